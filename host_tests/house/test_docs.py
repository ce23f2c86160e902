"""The docs: links that lead somewhere, command lines that are ones, references that are up to date,
and a consumer that runs.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import CycloptsError
from limpet.cli import command_line
from limpet.shared.paths import REPO
from support.chaos.faults import KINDS
from support.repository import commands_of_limpet, make_targets, tracked

PAGES = [path for path in tracked() if path.suffix == ".md"]
# What a reader is told to type lies there. (A note tells what was tried, a benchmark what was run.)
MANUAL = [path for path in PAGES if path.parent.name not in ("notes", "reference")]
GENERATOR = REPO / "tools" / "docs" / "reference.py"
PROGRAMS = ("limpet", "make")
_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def prose(page: Path) -> str:
    """The page without what is shown as code."""
    text = _FENCE.sub("", page.read_text("utf-8"))
    text = "\n".join(line for line in text.splitlines() if not line.startswith("    "))
    return re.sub(r"`[^`\n]*`", "`code`", text)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MkDocs make them."""
    text = _FENCE.sub("", page.read_text("utf-8"))
    heads = re.findall(r"^#+ (.*)", text, re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", head).lower() for head in heads)
    return {re.sub(r"[^\w\- ]", "", head).strip().replace(" ", "-") for head in plain}


def code_lines(page: Path) -> Iterator[str]:
    """Every line of code of a page: in blocks, and between back-quotes. A `\\` joins two."""
    text = page.read_text("utf-8").replace("\\\n", " ")
    for language, block in _FENCE.findall(text):
        if language in ("", "sh"):
            yield from (line.strip() for line in block.splitlines())
    text = _FENCE.sub("", text)
    for line in text.splitlines():
        if line.startswith("    "):
            yield line.strip()
        else:
            yield from re.findall(r"`([^`\n]+)`", line)


def command_lines(page: Path, program: str) -> list[list[str]]:
    """The lines that call `program`, as words, without the remark behind three blanks or more."""
    found = []
    for line in code_lines(page):
        line = re.sub(r"^(cd \S+ && |sudo |[A-Z_]+=\S+ )*", "", line)
        line = re.split(r" {3,}| \(| \|", line)[0].removeprefix(".venv/bin/")
        if line.split(" ")[0] == program:
            found.append(shlex.split(line)[1:])
    return found


def test_pages_are_found() -> None:
    """Else the tests here would test nothing."""
    names = {path.relative_to(REPO).as_posix() for path in PAGES}
    assert {"README.md", "docs/index.md", "docs/first-board.md", "boards/README.md"} <= names
    calls = {
        program: [w for p in MANUAL for w in command_lines(p, program)] for program in PROGRAMS
    }
    assert len(calls["limpet"]) > 60
    assert len(calls["make"]) > 40


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(REPO)))
def test_links_lead_somewhere(page: Path) -> None:
    """Each relative link is of a file or folder that is there, each anchor of a heading in it."""
    dead = []
    for link in _LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert not dead


@pytest.mark.parametrize("page", MANUAL, ids=lambda path: str(path.relative_to(REPO)))
def test_command_lines_of_limpet(page: Path) -> None:
    """Each is taken by the command line as it is; one that is only named has the right name."""
    app, wrong = command_line(), []
    for words in command_lines(page, "limpet"):
        if not words or words in (["--help"], ["--version"]) or "COMMAND" in words:
            continue
        try:
            app.parse_args(words, exit_on_error=False, print_error=False)
        except CycloptsError as error:
            named = words[0] in commands_of_limpet() and words[-1] != "-"
            if named and "requires an argument" in str(error):
                continue  # such as `limpet image`, which names it
            wrong.append(f"limpet {' '.join(words)}: {error}")
    assert not wrong


@pytest.mark.parametrize("page", MANUAL, ids=lambda path: str(path.relative_to(REPO)))
def test_command_lines_of_make(page: Path) -> None:
    """Each target is one, and each variable is one of the Makefile's or of a tool's environment."""
    text = (REPO / "Makefile").read_text()
    known = set(re.findall(r"\b[A-Z_]{2,}\b", text)) | {"MICROPYTHON", "UMQTT", "WIFI_PASSWORD"}
    wrong = []
    for words in command_lines(page, "make"):
        for word in words:
            name, equals, _ = word.partition("=")
            if not (name in known if equals else word in make_targets()):
                wrong.append(f"make {' '.join(words)}: {word}")
    assert not wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(REPO)))
def test_paths_are_there(page: Path) -> None:
    """A file or folder of the repository that is named is there: moving one is told in the docs."""
    if page.name in ("CHANGELOG.md", "benchmarks.md"):  # which tell of what was
        return
    text = _FENCE.sub("", page.read_text("utf-8"))
    named = re.findall(r"`((?:firmware|lib|boards|tools|host_tests|docs)/[\w./-]*)`", text)
    named += [f"firmware/{name}" for name in re.findall(r"`((?:node|device)/[\w/]+\.py)`", text)]
    example = "firmware/node/commands/beep.py"  # which docs/adding.md would add
    assert not [name for name in named if name != example and not (REPO / name).exists()]


def test_references_are_up_to_date() -> None:
    """docs/reference is what the code says now. If not: make docs, and commit what has changed."""
    line = [sys.executable, str(GENERATOR), "--check"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_page_is_in_the_index_and_in_the_site() -> None:
    """Nobody finds a page to which nothing leads."""
    index = (REPO / "docs" / "index.md").read_text("utf-8")
    site = (REPO / "tools" / "docs" / "mkdocs.yml").read_text("utf-8")
    for page in PAGES:
        name = page.relative_to(REPO)
        assert f" {name}\n" in site, name
        if name.parts[0] == "docs" and name.name != "index.md":
            assert f"({name.relative_to('docs')})" in index, name


@pytest.mark.parametrize("name", ["README.md", "docs/promises.md"])
def test_number_of_faults(name: str) -> None:
    """As many kinds of fault are said as `make chaos` has."""
    said = re.findall(r"(\d+) kinds", (REPO / name).read_text("utf-8"))
    assert said == [str(len(KINDS))]


def test_wiring_picture_has_the_boards_pins() -> None:
    """GPIO and place on the header are those of the table in the Board's README, which is held
    against board.py elsewhere; a second sensor is not in the picture.
    """
    text = (REPO / "boards" / "esp32_devkit" / "README.md").read_text("utf-8")
    table = text.split("\n## A second sensor")[0]
    picture = (REPO / "docs" / "images" / "wiring-esp32-devkit.svg").read_text("utf-8")
    pins = set(re.findall(r"^\| (\w+ \(J2-\d+\))", table, re.MULTILINE))
    assert len(pins) == 4
    assert pins == set(re.findall(r">(\w+ \(J2-\d+\))<", picture))
