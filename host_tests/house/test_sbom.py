"""`make sbom`: all that is pinned is in it, it holds to the schema, and comes out the same."""

from __future__ import annotations

import json
import shutil
from functools import cache
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from limpet.boards.board_facts import BOARDS, facts, names
from limpet.boards.micropython_download import IMAGES
from limpet.boards.node_files import modules
from limpet.node_host.umqtt import FILES
from limpet.shared.paths import FIRMWARE, REPO
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from sbom import bill
from sbom.locked import packages

LOCK = (REPO / "requirements.lock").read_text("utf-8")


@cache
def made() -> str:
    """The SBOM, which has been checked against the schema."""
    return bill.text()


def parts() -> dict[str, dict[str, Any]]:
    """The components by their reference."""
    return {each["bom-ref"]: each for each in json.loads(made())["components"]}


def hashes(part: dict[str, Any]) -> set[str]:
    """The SHA-256 of a component."""
    assert {each["alg"] for each in part["hashes"]} == {"SHA-256"}
    return {each["content"] for each in part["hashes"]}


def test_it_comes_out_the_same() -> None:
    """Byte by byte, without a date; with SOURCE_DATE_EPOCH it has that one, and all else as before
    but for its number.
    """
    assert bill.text() == made()
    assert "timestamp" not in made()
    dated, bare = json.loads(bill.text("1790000000")), json.loads(made())
    assert dated["metadata"].pop("timestamp") == "2026-09-21T14:13:20+00:00"
    assert dated.pop("serialNumber") != bare.pop("serialNumber")
    assert dated == bare


def test_every_package_of_the_lock_is_in_it() -> None:
    """With its version and all its hashes, the lines of the lock counted by another reading."""
    found = {name: each for name, each in parts().items() if name.startswith("pypi:")}
    lines = LOCK.splitlines()
    pinned = [each.split(" ")[0].split("==") for each in lines if "==" in each.split(" ")[0]]
    assert len(pinned) == len(packages(LOCK)) > 80
    known = 0
    for name, version in pinned:
        part = found[f"pypi:{canonicalize_name(name.partition('[')[0])}@{version}"]
        assert part["version"] == version
        known += len(hashes(part))
    assert known == sum("--hash=" in each for each in lines)


def test_scopes_are_what_is_installed() -> None:
    """What `limpet` asks for, and what that asks for, is required; of what only an extra or a
    developer wants nothing is.
    """
    scope = {each["name"]: each["scope"] for each in parts().values()}
    left, seen = ["limpet"], set()
    while left:
        asked = [Requirement(each) for each in metadata.requires(left.pop()) or []]
        for each in asked:
            name = canonicalize_name(each.name)
            if name not in seen and (not each.marker or each.marker.evaluate({"extra": ""})):
                seen.add(name)
                left.append(name)
    assert len(seen) > 40
    assert {scope[name] for name in seen} == {"required"}
    assert {scope[name] for name in ("uvicorn", "psycopg-binary", "duckdb")} == {"optional"}
    assert {scope[name] for name in ("pytest", "ruff", "cyclonedx-python-lib")} == {"excluded"}


def test_who_asks_for_whom() -> None:
    """Everything is asked for by somebody, from `limpet` on."""
    graph = {each["ref"]: each.get("dependsOn", []) for each in json.loads(made())["dependencies"]}
    asks = {ref.partition("@")[0]: [each.partition("@")[0] for each in graph[ref]] for ref in graph}
    assert "pypi:certifi" in asks["pypi:requests"]
    reached, left = set(), ["limpet"]
    while left:
        if (ref := left.pop()) not in reached:
            reached.add(ref)
            left += graph[ref]
    assert reached == {"limpet", *parts()}


def test_what_goes_onto_a_chip_is_in_it() -> None:
    """MicroPython's image of each chip, and each source of the node with the hash that it has."""
    digests = {digest for _, _, digest in IMAGES.values()}
    found = [each for each in parts().values() if each["type"] == "firmware"]
    assert digests == set().union(*(hashes(each) for each in found if "hashes" in each))
    files = {each["name"]: hashes(each) for each in parts()["limpet-node"]["components"]}
    wanted = {*FIRMWARE.rglob("*.py"), *(BOARDS / name / "board.py" for name in names())}
    for name in names():
        wanted |= {*modules(BOARDS / name, facts(name).sensors)}
    assert files == {
        path.relative_to(REPO).as_posix(): {sha256(path.read_bytes()).hexdigest()}
        for path in wanted
    }
    fetched = set().union(*(hashes(each) for each in parts().values() if "hashes" in each))
    assert {each.sha256 for each in FILES.values()} <= fetched


def test_uplot_that_was_changed_is_not_called_uplot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file beside VERSION that is not the one it names is said, and there is no SBOM."""
    assert {Path(each["name"]).name for each in parts()["npm:uplot"]["components"]} == {
        "LICENSE",
        "uPlot.iife.min.js",
        "uPlot.min.css",
    }
    folder = tmp_path / "uplot"
    shutil.copytree(bill.UPLOT, folder)
    (folder / "uPlot.min.css").write_text("changed")
    monkeypatch.setattr(bill, "UPLOT", folder)
    with pytest.raises(ValueError, match="does not say what lies beside it"):
        bill.text()


def test_what_is_no_cyclonedx_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """The schema that the library brings is asked."""
    monkeypatch.setattr(
        bill, "_sha256", lambda _: bill.HashType(alg=bill.HashAlgorithm.SHA_256, content="none")
    )
    with pytest.raises(ValueError, match="no CycloneDX"):
        bill.text()


@pytest.mark.parametrize("line", ["x==1", "x==1 \\\n    --hash=md5:1\n    # via y"])
def test_a_lock_that_is_none(line: str) -> None:
    """A package without hash, or that nobody asks for, is no package of a lock."""
    with pytest.raises(ValueError, match="x"):
        packages(line)


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It lies in dist/, whole, under the version's name; a date that is none is said."""
    monkeypatch.setattr(bill, "FOLDER", tmp_path / "dist")
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert bill.main() == 0
    (path,) = (tmp_path / "dist").iterdir()
    assert path.name == f"limpet-{metadata.version('limpet')}.cdx.json"
    assert path.read_text("utf-8") == made()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "today")
    assert bill.main() == 1
