"""The `limpet` command line: what it says of its subcommands, of typing errors and of Ctrl-C."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from cyclopts import App, CycloptsError
from limpet.boards.board_facts import facts
from limpet.cli import command_line
from support.flashing.micropython_images import image
from support.tool import LIMPET, limpet

# Presses Ctrl-C in the middle of the first import of the module that is named.
_INTERRUPTED = """
import sys
class Finder:
    def find_spec(self, name, *_):
        if name == {module!r}:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Finder())
sys.argv[1:] = ["console", "--port", "nowhere"]
from limpet.cli import main
main()
"""


def verbs() -> Iterator[tuple[list[str], App]]:
    """The words of each subcommand, those of a group of them included, and what it takes."""
    groups: list[tuple[list[str], App]] = [([], command_line())]
    for words, app in groups:
        names = [name for name in app if not name.startswith("-")]
        groups += [([*words, name], app[name]) for name in names]
        if words and not names:
            yield words, app


def test_help_says_what_each_does() -> None:
    """The list of subcommands has words for each of them."""
    said = limpet("--help").stdout
    for name in command_line():
        if not name.startswith("-"):
            assert re.search(rf"{re.escape(name)} +\w+ \w+", said), name
    assert limpet().stdout == said


def test_help_has_words_for_each_option() -> None:
    """Every parameter of every subcommand says what it is for."""
    seen = 0
    for words, app in verbs():
        for argument in app.assemble_argument_collection(parse_docstring=True):
            if argument.children or not argument.show:
                continue
            seen += 1
            assert re.search(r"\w+ \w+", argument.parameter.help or ""), (words, argument.name)
    assert seen > 70


def test_bench_is_for_who_has_the_clone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where limpet_bench is not installed, `limpet bench` is no subcommand; the rest are."""
    here = set(command_line())
    monkeypatch.setitem(sys.modules, "limpet_bench", None)
    assert here - set(command_line()) == {"bench"}


@pytest.mark.parametrize(
    ("words", "said", "where"),
    [
        (["image"], "BOARD requires an argument", "limpet image"),
        (["flash", "b", "--baud", "fast"], "Invalid value for --baud", "limpet flash"),
        (["nope"], 'Unknown command "nope"', "limpet"),
        (["deploy", "b", "--nope"], "Unknown option: --nope", "limpet deploy"),
    ],
)
def test_typing_errors(words: list[str], said: str, where: str) -> None:
    """Two lines as of any other Problem, and the exit code of a command line that is none."""
    done = limpet(*words)
    assert done.returncode == 2
    first, second = done.stderr.splitlines()
    assert first.startswith("limpet: ")
    assert said in first
    assert second == f"See {where} --help."


SECONDS = ("0", "-1", "nan", "inf", "1e300", "soon")
PORTS = ("0", "-1", "65536", "8883.5", "x")
# Each option that is a number, and values that mean nothing there.
NUMBERS = [
    (["run"], "--seconds", SECONDS),
    (["run"], "--speed", ("0", "-1", "nan", "1e9")),
    (["node", "--root", "x"], "--speed", ("0", "nan")),
    (["send", "n", "ping"], "--timeout", SECONDS),
    (["send", "n", "ping"], "--ttl", ("-1", "0.4", "1e3", "soon")),
    (["send", "n", "ping"], "--port", PORTS),
    (["watch"], "--port", PORTS),
    (["broker"], "--port", PORTS[1:]),
    (["broker-config", "mosquitto"], "--port", PORTS),
    (["broker-config", "mosquitto"], "--devices", ("0", "-1", "1.5", "10000000", "x")),
    (["doctor"], "--port", PORTS),
    (["doctor"], "--plain-port", PORTS),
    (["doctor"], "--seconds", ("0", "1", "-1", "nan", "1e9", "a")),
    (["health"], "--port", PORTS),
    (["health"], "--slow", SECONDS),
    (["capacity"], "--devices", ("-1", "1.5", "10000000")),
    (["capacity"], "--services", ("-1", "1.5", "10000000")),
    (["capacity"], "--monitors", ("-1", "1.5", "10000000")),
    (["capacity"], "--interval", SECONDS),
    (["capacity"], "--fields", ("0", "-1", "1.5", "33")),
    (["capacity"], "--port", PORTS),
    (["exporter"], "--port", PORTS),
    (["homeassistant"], "--port", PORTS),
    (["top"], "--port", PORTS),
    (["top"], "--seconds", SECONDS),
    (["page"], "--port", PORTS),
    (["ingest"], "--port", PORTS),
    (["ingest"], "--workers", ("0", "-1", "1.5", "17")),
    (["service", "install", "ingest"], "--workers", ("0", "-1", "1.5", "17")),
    (["ingest"], "--keep", ("0", "-1", "1.5", "40000")),
    (["ingest"], "--idle", SECONDS),
    (["init"], "--port", PORTS),
    (["provision"], "--port", PORTS),
    (["provision"], "--count", ("0", "-1", "1.5", "10000000")),
    (["provision"], "--first", ("-1", "1.5", "10000000000")),
    (["fleet", "renew"], "--within", ("-1", "1.5", "soon")),
    (["operator", "renew"], "--within", ("-1", "1.5", "soon")),
    (["fleet", "run"], "--nodes", ("0", "-1", "1.5", "x")),
    (["fleet", "run", "-n", "1"], "--real", ("-1", "1.5", "x")),
    (["fleet", "run", "-n", "1"], "--seconds", SECONDS),
    (["fleet", "run", "-n", "1"], "--interval", SECONDS),
    (["fleet", "run", "-n", "1"], "--ramp", ("0", "-1", "nan", "x")),
    (["fleet", "run", "-n", "1"], "--churn", ("-1", "nan", "x")),
    (["fleet", "run", "-n", "1"], "--port", PORTS),
    (["operator", "renew"], "--within", ("-1", "1.5", "soon")),
    (["wokwi", "b"], "--port", PORTS),
    (["flash", "b"], "--baud", ("0", "-1", "300", "115200.5")),
    (["test-board", "b"], "--patience", ("0", "-1", "1.5", "10000000")),
    (["test-board", "b"], "--look", SECONDS),
]


def error_of(words: list[str]) -> str:
    """What is said of a command line; nothing is run."""
    try:
        command_line().parse_args(words, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("words", "option", "values"), NUMBERS)
def test_numbers_that_mean_nothing(words: list[str], option: str, values: tuple[str, ...]) -> None:
    """Each is refused by name, before anything is begun: no time, no port, no number."""
    for value in values:
        assert f"for {option}" in error_of([*words, f"{option}={value}"]), value


def test_numbers_at_the_ends_of_their_ranges() -> None:
    """What does mean something is taken: a free port to listen on, a Command that never expires."""
    for words in (
        "run --seconds 0.5 --speed 20",
        "send n ping --ttl 0 --timeout 86400 --port 65535",
        "broker --port 0",
        "flash b --baud 921600",
        "test-board b --patience 1 --look 3600",
    ):
        assert error_of(words.split()) == ""


def test_each_number_is_tried() -> None:
    """A number that is new on a command line is in the table above."""
    known = {(words[0], option) for words, option, _ in NUMBERS}
    for verb, app in verbs():
        for argument in app.assemble_argument_collection():
            kinds = {argument.hint, *get_args(argument.hint)}
            if kinds & {int, float} and argument.name != "--flash":  # which is one of three
                assert (verb[0], argument.name) in known


def test_no_seconds_are_no_run() -> None:
    """As a user meets it: `make run SECONDS=0` says what is wrong instead of running for ever."""
    done = limpet("run", "--seconds=0")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        'limpet: Invalid value "0.0" for --seconds. Must be > 0.',
        "See limpet run --help.",
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["provision", ""], "A word of the command line"),  # which is not node-1
        (["doctor", ""], "A word of the command line"),
        (["doctor", "--broker", ""], "--broker"),
        (["health", "--broker=", "--port", "8883"], "--broker"),
        (["fleet", "list", "--fleet", ""], "--fleet"),  # which is not the working directory
        (["exporter", "--broker", "a", "--broker", ""], "--broker"),
        (["send", "node-1", "ping", "--id", ""], "--id"),
    ],
)
def test_an_empty_text(words: list[str], said: str, tmp_path: Path) -> None:
    """It is a variable that is not set: refused by its name, before anything is done."""
    done = limpet(*words, cwd=tmp_path)
    assert done.returncode == 2
    first, second = done.stderr.splitlines()
    assert first == f"limpet: {said} is an empty text."
    assert "variable" in second
    assert not list(tmp_path.iterdir())


def test_a_text_that_ends_with_a_sign() -> None:
    """It is not empty, nor is what a Command is given as such."""
    for words in (["send", "n", "x", "key="], ["send", "n", "x", "--id=a="]):
        assert "empty" not in limpet(*words, "--port", "x").stderr


# As a terminal that is set to Latin-1 sends it.
LATIN = b"Caf\xe9"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["init", "--org", LATIN], "org"),
        (["fleet", "show", LATIN], "device"),
        (["provision", "--wifi-ssid", LATIN], "wifi-ssid"),
        (["provision", "--org", LATIN], "org"),
        (["provision", LATIN], "device"),
        (["provision", "--broker", LATIN], "broker"),
        (["provision", "--server-name", "a", "--server-name", LATIN], "server-name"),
        (["send", LATIN, "ping"], "device"),
        (["send", "node-1", "ping", b"text=" + LATIN], "params"),
        (["send", "node-1", "ping", "--id", LATIN], "id"),
        (["send", "node-1", "ping", "--broker", LATIN], "broker"),
        (["watch", LATIN + b"/#"], "filters"),
        (["run", "--device", LATIN], "device"),
        (["broker", "--listen", LATIN], "listen"),
        (["console", "--port", b"socket://" + LATIN + b":1"], "port"),
        (["wokwi", "esp32_devkit", "--broker", LATIN], "broker"),
        (["test-board", "esp32_devkit", "--wifi-ssid", LATIN], "wifi-ssid"),
    ],
)
def test_text_that_is_not_utf8(words: list[str | bytes], said: str, tmp_path: Path) -> None:
    """It is refused by the name of its option, in each subcommand, before anything is done."""
    line = [str(LIMPET), *words]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == f"limpet: {said} is not UTF-8."
    assert not list(tmp_path.iterdir())


def test_path_may_be_any_bytes(tmp_path: Path) -> None:
    """A folder whose name is no UTF-8 is a folder; only mosquitto takes no such name."""
    folder = os.fsencode(tmp_path) + b"/" + LATIN
    line: list[str | bytes] = [str(LIMPET), "init", folder]
    assert subprocess.run(line, capture_output=True, timeout=120).returncode == 0
    line = [str(LIMPET), "provision", "--fleet", folder]
    assert subprocess.run(line, capture_output=True, timeout=120).returncode == 0
    assert os.path.exists(folder + b"/devices/node-1/identity.json")
    line = [str(LIMPET), "broker-config", "mosquitto", "--fleet", folder]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stderr.startswith("limpet: No broker's configuration can name ")


@pytest.mark.parametrize(
    "words",
    [
        ["init", "file"],
        ["init", "file/below"],
        ["image", "esp32_devkit", "--out", "file", "--firmware", "here.bin"],
    ],
)
def test_folder_that_cannot_be_written(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path and the cause in words, exit code 1, no traceback. (A file in the folder's place
    keeps root out, too.)
    """
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    Path("here.bin").write_bytes(image(facts("esp32_devkit")))
    done = limpet(*words)
    assert done.returncode == 1, done.stderr
    first, second = done.stderr.splitlines()
    assert re.match(r"limpet: .*file.*: (Not a directory|File exists)\.$", first)
    assert second == "See to it, or name another place."
    assert Path("file").read_text() == ""


def test_link_that_leads_to_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the place of a folder or a file it is named, without a traceback."""
    monkeypatch.chdir(tmp_path)
    Path("link").symlink_to("link")
    done = limpet("init", "link")
    assert done.returncode == 1
    said = r"limpet: .*/link.*: (File exists|Too many .* links)\.\nSee to it"
    assert re.match(said, done.stderr), done.stderr
    done = limpet("provision", "--fleet", "link")
    assert done.stderr == "limpet: There is no fleet in link.\nMake one: limpet init link\n"
    done = limpet("node", "--root", ".", "--replay", "link")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("module", ["limpet.shared.ending", "cyclopts", "limpet.deploying.console"])
def test_ctrl_c_while_it_loads(module: str) -> None:
    """Who thinks better of it at once sees no traceback."""
    line = [sys.executable, "-c", _INTERRUPTED.format(module=module)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_little_is_loaded_before_ctrl_c_is_caught() -> None:
    """What main cannot guard is its own file: nothing else has to be read for it."""
    script = "import sys; had = set(sys.modules); import limpet.cli; print(*set(sys.modules) - had)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert set(done.stdout.split()) <= {"limpet", "limpet.cli", "__future__", "errno"}
