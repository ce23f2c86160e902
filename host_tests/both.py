"""Run cases under both Pythons: the one pytest runs in, and the real MicroPython.

A case is a function `case_...` in a module that imports nothing but the node's pure modules and
what both Pythons have, and that asserts. A failing one names its line.
"""

from __future__ import annotations

from types import ModuleType

import upy

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
