"""Run cases under both Pythons: the one pytest runs in, and the real MicroPython.

A case is a function `case_...` in a module that imports nothing but the node's pure modules and
what both Pythons have, and that asserts. A failing one names its line. What takes arguments and
time is a program of its own.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import upy
from limpet.micropython.interpreter import micropython
from limpet.micropython.umqtt import umqtt_dir
from limpet.paths import FIRMWARE, HOST_BOARD, LIB

INTERPRETERS = ("cpython", "micropython")


def names(module: ModuleType) -> list[str]:
    """Return the names of a module's cases."""
    return [name for name in vars(module) if name.startswith("case_")]


def run(module: ModuleType, case: str, interpreter: str) -> None:
    """Run one case under one interpreter."""
    if interpreter == "cpython":
        vars(module)[case]()
    else:
        here = str(upy.REPO / "host_tests")
        upy.run(f"from {module.__name__} import {case}; {case}()", path=[here])


def program(
    name: str,
    *arguments: object,
    folder: Path,
    arch: str | None = None,
    heap: str = "1m",
    timeout_s: float = 60,
) -> str:
    """Run `name`.py of this folder in `folder`, and return what it printed; fail if it fails.

    arch: of the MicroPython to run it under, with that heap; None is this CPython.
    """
    here = upy.REPO / "host_tests"
    path = ":".join(map(str, [here, FIRMWARE, LIB, HOST_BOARD, umqtt_dir()]))
    command = [*micropython(arch), "-X", f"heapsize={heap}"] if arch else [sys.executable]
    try:
        done = subprocess.run(
            [*command, str(here / f"{name}.py"), *map(str, arguments)],
            cwd=folder,
            env={"PYTHONPATH": path, "MICROPYPATH": f"{path}:.frozen"},
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired as late:
        pytest.fail(f"{name} {arguments} hangs after\n{late.stdout!r}", pytrace=False)
    if done.returncode:
        pytest.fail(f"{name} {arguments}\n{done.stdout}{done.stderr}", pytrace=False)
    return done.stdout
