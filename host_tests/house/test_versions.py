"""versions.py itself: what runs nothing has not passed, and what is not to be had says why."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import versions
from limpet.node_host import javascript
from limpet.shared.problem import Problem

SAYS = """
import sys
print(%r)
sys.exit(%d)
"""


def test_tests_that_do_not_begin_have_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """pytest that refuses its own configuration writes a report all the same, of no tests."""

    def refused(line: list[str], **how: object) -> object:
        [report] = [word for word in line if word.startswith("--junitxml=")]
        Path(report.partition("=")[2]).write_text('<testsuites><testsuite tests="0"/></testsuites>')
        return subprocess.CompletedProcess(line, 4)

    monkeypatch.setattr(subprocess, "run", refused)
    row = versions.run("1.26", "modules")
    assert (row.passed, row.failed) == (0, 1)


@pytest.mark.parametrize(
    ("said", "code", "counts"),
    [
        ("3 passed 0 failed 1 skipped", 0, (3, 0, 1)),
        ("2 passed 1 failed 1 skipped", 1, (2, 1, 1)),
        ("0 passed 0 failed 0 skipped", 1, (0, 1, 0)),
        ("ImportError", 1, (0, 1, 0)),
    ],
)
def test_pure_cases_are_counted(
    said: str, code: int, counts: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By module; one that comes to none of its cases has failed."""
    ended = versions.ended
    modules: list[str] = []

    def stands_in(line: list[str]) -> tuple[int, str]:
        modules.append(line[4].removeprefix("both.cases."))
        return ended([sys.executable, "-c", SAYS % (said, code)])

    monkeypatch.setattr(javascript, "build", lambda release: Path("micropython.mjs"))
    monkeypatch.setattr(versions, "ended", stands_in)
    row = versions.tested("1.27")
    assert "config" in modules
    assert not versions.NOT_PURE & set(modules)
    assert row[2:5] == tuple(len(modules) * count for count in counts)


def test_what_is_not_to_be_had_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without node: no failure. A number that nobody knows is one: it may be a slip of the pen."""

    def build(release: str) -> Path:
        raise Problem("there is no node here.", "")

    monkeypatch.setattr(javascript, "build", build)
    rows = [versions.tested(release) for release in ("1.24", "1.99")]
    assert [row.why for row in rows] == ["there is no node here.", "no build of it is known."]
    assert "not to be had: there is no node here." in rows[0].words()
    assert [row.failed for row in rows] == [0, 1]


def test_each_name_is_a_test() -> None:
    """What is to run under a release has a file; a test that got another name is missed here."""
    for name in versions.MODULES + versions.NODES:
        assert versions.of(name)
