"""Run cases under both Pythons: the one pytest runs in, and the real MicroPython; the latter also
with a chip's word size, where such a one runs.

A case is a function `case_...` in a module that imports nothing but the node's pure modules and
what both Pythons have, and that asserts. A failing one names its line. The cases of a module share
an interpreter, as they share pytest's; so none may leave anything behind. What takes arguments and
time is a program of its own.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from types import ModuleType

import pytest
from limpet.node_host import debian
from limpet.node_host.interpreter import micropython
from limpet.node_host.umqtt import umqtt_dir
from limpet.shared.paths import FIRMWARE, HOST_BOARD, LIB
from node.shared.unimport import unimport
from support.micropython import upy

ARCHS = {"micropython": debian.HOST, "32 bits": "i386"}
INTERPRETERS = ("cpython", "micropython", *(["32 bits"] if debian.available("i386") else []))

# No case can print these: they end what it says.
_PASSED, _FAILED = b"\x04passed\n", b"\x04failed\n"
_SERVE = """
import gc, sys
import {module} as module
for line in sys.stdin:
    gc.collect()
    try:
        getattr(module, line.strip())()
        print("\\x04passed")
    except BaseException as error:
        sys.print_exception(error)
        print("\\x04failed")
"""


class Cases:
    """One MicroPython with the cases of a module, which runs those that it is told to."""

    def __init__(self, module: ModuleType, arch: str) -> None:
        assert module.__file__
        self.module = module
        self.arch = arch
        path = [Path(module.__file__).parents[module.__name__.count(".")]]
        self._folder = tempfile.TemporaryDirectory()
        self._process = subprocess.Popen(
            [*micropython(arch), "-c", _SERVE.format(module=module.__name__)],
            cwd=self._folder.name,
            env=upy.environment(path),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run(self, case: str, timeout_s: float) -> tuple[str, str]:
        """Run one; return what became of it, `passed` or else, and what it printed."""
        assert self._process.stdin
        assert self._process.stdout
        said, deadline = b"", monotonic() + timeout_s
        try:
            self._process.stdin.write(case.encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # what it died of is still to be read
        out = self._process.stdout.fileno()
        while not said.endswith((_PASSED, _FAILED)):
            if not select.select([out], [], [], max(deadline - monotonic(), 0))[0]:
                return f"hangs for {timeout_s:g} s", said.decode(errors="replace")
            data = os.read(out, 65536)
            if not data:
                return f"ended with {self._process.wait()}", said.decode(errors="replace")
            said += data
        words, _, became = said.decode(errors="replace").rpartition("\x04")
        return became.strip(), words

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()
        self._folder.cleanup()


_open: list[Cases] = []  # of one module, as its cases follow one another


def close() -> None:
    """End the interpreters that wait for more cases."""
    while _open:
        _open.pop().close()


def names(module: ModuleType) -> list[str]:
    """Return the names of a module's cases."""
    return [name for name in vars(module) if name.startswith("case_")]


@contextlib.contextmanager
def _same_modules() -> Iterator[None]:
    """Have the node's modules be those of before: what one case has the node let go of, as a chip
    does, the other modules and cases of this process still hold.
    """
    before = {name: each for name, each in sys.modules.items() if name.startswith("node.")}
    try:
        yield
    finally:
        unimport(*[name for name in list(sys.modules) if name.startswith("node.")])
        sys.modules.update(before)
        for name, each in before.items():
            parent, _, last = name.rpartition(".")
            setattr(sys.modules[parent], last, each)


def run(module: ModuleType, case: str, interpreter: str, timeout_s: float = upy.TIMEOUT_S) -> None:
    """Run one case under one interpreter; fail if it fails, or takes longer than `timeout_s`."""
    if interpreter == "cpython":
        with _same_modules():
            vars(module)[case]()
        return
    if _open and _open[0].module is not module:
        close()
    arch = ARCHS[interpreter]
    here = next((each for each in _open if each.arch == arch), None)
    if here is None:
        here = Cases(module, arch)
        _open.append(here)
    became, said = here.run(case, timeout_s)
    if became not in ("passed", "failed"):
        close()
    if became != "passed":
        pytest.fail(f"{case} {became} under {interpreter}\n{said}", pytrace=False)


def program(
    name: str,
    *arguments: object,
    folder: Path,
    arch: str | None = None,
    heap: str = "1m",
    timeout_s: float = upy.TIMEOUT_S,
) -> str:
    """Run support/`name`.py in `folder`, and return what it printed; fail if it fails.

    arch: of the MicroPython to run it under, with that heap, and with ticks that stand still while
    another program has the core; None is this CPython.
    """
    path = ":".join(map(str, [upy.TESTS, FIRMWARE, LIB, HOST_BOARD, umqtt_dir()]))
    command = [*micropython(arch), "-X", f"heapsize={heap}"] if arch else [sys.executable]
    try:
        done = subprocess.run(
            [*command, str(upy.TESTS / "support" / f"{name}.py"), *map(str, arguments)],
            cwd=folder,
            env={"PYTHONPATH": path, "MICROPYPATH": f"{upy.OWN_TIME}:{path}:.frozen"},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired as late:
        pytest.fail(f"{name} {arguments} hangs after\n{late.stdout!r}", pytrace=False)
    if done.returncode:
        pytest.fail(f"{name} {arguments}\n{done.stdout}{done.stderr}", pytrace=False)
    return done.stdout
