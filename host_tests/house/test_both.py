"""pythons.py: a case that fails or hangs says so under its own name, and the next one runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from support.micropython import pythons

CASES = """
def case_good():
    pass

def case_bad():
    print("about to")
    assert 1 == 2

def case_hangs():
    print("for ever")
    while True:
        pass

def case_ends():
    raise SystemExit(3)

def case_dies():
    import uctypes
    uctypes.bytearray_at(1, 4)[0]
"""


@pytest.fixture
def cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A module of cases of every kind."""
    (tmp_path / "cases_of_every_kind.py").write_text(CASES)
    monkeypatch.syspath_prepend(tmp_path)
    yield import_module("cases_of_every_kind")
    del sys.modules["cases_of_every_kind"]
    pythons.close()


def failure(cases: ModuleType, case: str, **how: float) -> str:
    """What a test says whose case fails under MicroPython."""
    with pytest.raises(pytest.fail.Exception) as failed:
        pythons.run(cases, case, "micropython", **how)
    return str(failed.value)


def test_failing_case_names_its_line(cases: ModuleType) -> None:
    """With what it printed; and the others go on in the same interpreter."""
    pythons.run(cases, "case_good", "micropython")
    said = failure(cases, "case_bad")
    assert said.startswith("case_bad failed under micropython\nabout to\nTraceback")
    assert 'cases_of_every_kind.py", line 7, in case_bad\nAssertionError' in said
    pythons.run(cases, "case_good", "micropython")
    assert "SystemExit: 3" in failure(cases, "case_ends")


def test_case_that_hangs_is_ended(cases: ModuleType) -> None:
    """After its limit, under its own name; the next one has an interpreter of its own."""
    said = failure(cases, "case_hangs", timeout_s=1)
    assert said == "case_hangs hangs for 1 s under micropython\nfor ever\n"
    pythons.run(cases, "case_good", "micropython")


def test_interpreter_that_dies_is_no_hang(cases: ModuleType) -> None:
    """A crash ends the case at once, and the next one runs."""
    assert failure(cases, "case_dies") == "case_dies ended with -11 under micropython\n"
    pythons.run(cases, "case_good", "micropython")


def test_case_that_is_not_there_fails(cases: ModuleType) -> None:
    """A name that no case has passes nowhere."""
    assert "AttributeError" in failure(cases, "case_none")
