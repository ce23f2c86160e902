"""A Python package that is not there: which one, and what brings it."""

from __future__ import annotations

import subprocess
import sys
import tomllib

import pytest
from limpet.shared.extras import EXTRAS
from limpet.shared.paths import REPO

# What an import meets where a package was not installed.
BLOCKED = """
import sys
sys.modules[{package!r}] = None
from limpet.shared.extras import EXTRAS
EXTRAS.update({extras!r})
sys.argv[1:] = {words!r}
from limpet.cli import main
main()
"""


def blocked(package: str, extras: dict[str, str], *words: str) -> str:
    """Run `limpet` where `package` cannot be imported; return what it says when it fails."""
    script = BLOCKED.format(package=package, extras=extras, words=list(words))
    line = [sys.executable, "-c", script]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stdout
    return done.stderr


def test_extra_is_named() -> None:
    """Who lacks it reads what to install."""
    said = blocked("serial", {"serial": "boards"}, "console")
    cause, remedy = said.splitlines()
    assert cause == "limpet: There is no Python package serial here: it comes with limpet[boards]."
    assert "'.[boards]'" in remedy


def test_what_everybody_needs() -> None:
    """Half an installation is named, too, and by what is missing."""
    said = blocked("paho", {}, "watch")
    assert said.startswith("limpet: There is no Python package paho here, which limpet needs.\n")


@pytest.mark.parametrize("ours", ["limpet.boards.port", "node.shared"])
def test_bug_stays_one(ours: str) -> None:
    """A module of ours that is not there is nobody's package."""
    said = blocked(ours, {}, "console")
    assert said.startswith("Traceback")
    assert ours in said


def test_each_extra_is_known() -> None:
    """pyproject.toml has the extras that are named here, and no other."""
    project = tomllib.loads((REPO / "pyproject.toml").read_text("utf-8"))["project"]
    assert set(project.get("optional-dependencies", {})) == set(EXTRAS.values())
