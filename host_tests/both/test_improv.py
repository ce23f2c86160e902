"""lib/improv.py, case by case, under both Pythons, and installed alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from both.cases import improv as cases
from limpet.shared.paths import LIB
from support.micropython import pythons, upy


@pytest.mark.parametrize("interpreter", pythons.INTERPRETERS)
@pytest.mark.parametrize("case", pythons.names(cases))
def test_improv(case: str, interpreter: str) -> None:
    """The case, whose own docstring says what holds, holds under this Python."""
    pythons.run(cases, case, interpreter)


def test_works_alone(tmp_path: Path) -> None:
    """The one file in an empty folder is all it takes, under both Pythons."""
    shutil.copy(LIB / "improv.py", tmp_path)
    script = "import improv; print(len(improv.state(2)))"
    line = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, '.'); {script}"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "12\n"
    assert upy.run(script, cwd=tmp_path, env={"MICROPYPATH": "."}) == "12\n"


def test_reading_takes_no_heap() -> None:
    """The console is read without a byte of heap: a collection in a burst would cost bytes."""
    script = """
import gc, improv
reader = improv.Reader()
stream = b"some text IMPROV " + improv.wifi_settings("a" * 32, "b" * 64) * 3
def read():
    for byte in stream:
        reader.feed(byte)
read()
gc.collect()
gc.disable()
before = gc.mem_alloc()
read()
print(gc.mem_alloc() - before)
"""
    assert int(upy.run(script)) < 100
