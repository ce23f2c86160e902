"""Hostile input: every parser that reads from the network or from flash, fed by fuzz.py.

Here a seeded, short version: all prefixes and all single-bit flips under CPython, one in eight of
them under the 32-bit MicroPython, which measures heap. `make fuzz` runs everything under both, and
100,000 random mutations of each target.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import fuzz_targets
import pytest
from limpet.debian import HOST, available
from limpet.interpreter import micropython
from limpet.paths import FIRMWARE, HOST_BOARD, LIB, REPO
from limpet.umqtt import umqtt_dir

HERE = REPO / "host_tests"
FULL = os.environ.get("FUZZ") == "full"
# Another one each time where there is time for surprises; a failure prints it.
SEED = random.randrange(10**6) if FULL else 1
TIMEOUT_S = 900 if FULL else 60

# Inputs drawn at random, and one in how many of the systematic ones.
ON_CPYTHON = (100_000, 1) if FULL else (2_000, 1)
ON_MICROPYTHON = (10_000, 1) if FULL else (200, 8)
# Heap objects of the ESP32's size, where this machine can run them.
ARCH = "i386" if available("i386") else HOST


def run(command: list[str], target: str, counts: tuple[int, int], folder: Path) -> str:
    """Run fuzz.py in `folder`, and return what it printed; fail with that and its errors."""
    path = ":".join(map(str, [HERE, FIRMWARE, LIB, HOST_BOARD, umqtt_dir()]))
    count, every = counts
    try:
        done = subprocess.run(
            [*command, str(HERE / "fuzz.py"), target, str(count), str(SEED), str(every)],
            cwd=folder,
            env={"PYTHONPATH": path, "MICROPYPATH": f"{path}:.frozen"},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
    except subprocess.TimeoutExpired as late:
        pytest.fail(f"{target}, seed {SEED}: hangs after {late.stdout!r}", pytrace=False)
    if done.returncode:
        pytest.fail(f"{target}, seed {SEED}:\n{done.stdout}{done.stderr}", pytrace=False)
    return done.stdout


@pytest.mark.parametrize("target", fuzz_targets.TARGETS)
def test_hostile_input_on_cpython(target: str, tmp_path: Path) -> None:
    """Nothing raises what is not its own error, hangs, is slow or gives back what cannot be."""
    print(run([sys.executable], target, ON_CPYTHON, tmp_path))


@pytest.mark.parametrize("target", fuzz_targets.TARGETS)
def test_hostile_input_on_micropython(target: str, tmp_path: Path) -> None:
    """The same on MicroPython, and no input takes more heap than its parser's stated bound."""
    print(run([*micropython(ARCH), "-X", "heapsize=1m"], target, ON_MICROPYTHON, tmp_path))
