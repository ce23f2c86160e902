"""Run a script under the real MicroPython, with the node's modules on its path.

For tests of single modules. A whole node is run by `limpet.node_host.process.NodeProcess`.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from limpet.node_host.debian import HOST
from limpet.node_host.interpreter import micropython

REPO = Path(__file__).resolve().parents[3]
TESTS = REPO / "host_tests"

# On the path, this makes ticks stand still while another program has the core: for time budgets.
OWN_TIME = Path(__file__).with_name("own_time")

# Far above what any script takes on a machine that is busy, so that only a hang meets it.
TIMEOUT_S = 120


def environment(path: Sequence[Path | str] = ()) -> dict[str, str]:
    """Return an interpreter's environment: `path`, then the node's own folders and the tests', to
    import from.
    """
    node = [REPO / "firmware", REPO / "lib", REPO / "boards/host"]
    folders = [*path, *node, TESTS, ".frozen"]
    return {
        "PATH": os.environ.get("PATH", ""),
        "MICROPYPATH": ":".join(str(folder) for folder in folders),
    }


def run(
    script: str,
    *,
    arch: str = HOST,
    heap: str | None = None,
    cwd: Path | str | None = None,
    env: dict[str, str] | None = None,
    path: list[Path | str] | None = None,
    exit_code: int = 0,
) -> str:
    """Run `script` and return what it printed; fail the test when it does not end with `exit_code`.

    `arch` is the machine's own or i386, `heap` a size such as "128k". Files are relative to `cwd`,
    which is a folder of its own unless given. `path` comes before the node's own folders on
    MICROPYPATH. One that takes longer than TIMEOUT_S fails, too.
    """
    options = ["-X", f"heapsize={heap}"] if heap else []
    with tempfile.TemporaryDirectory() as scratch:
        try:
            done = subprocess.run(
                [*micropython(arch), *options, "-c", script],
                cwd=cwd or scratch,
                env={**environment(path or []), **(env or {})},
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            pytest.fail(f"MicroPython hangs after\n{late.stdout!r}", pytrace=False)
    if done.returncode != exit_code:
        pytest.fail(
            f"MicroPython ended with {done.returncode}, not {exit_code}\n"
            f"--- stdout\n{done.stdout}\n--- stderr\n{done.stderr}",
            pytrace=False,
        )
    return done.stdout
