"""Hostile input: every parser that reads from the network or from flash, fed by fuzz.py.

Here a seeded, short version: all prefixes and all single-bit flips under CPython, one in eight of
them under the 32-bit MicroPython, which measures heap. `make fuzz` runs all of them under both, and
100,000 random mutations of each target.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from limpet.node_host.debian import HOST, available
from support.fuzz import targets
from support.micropython import pythons, upy

FULL = os.environ.get("FUZZ") == "full"
# Another one each time where there is time for surprises; a failure prints it.
SEED = random.randrange(10**6) if FULL else 1

# Inputs drawn at random, and one in how many of the systematic ones.
ON_CPYTHON = (100_000, 1) if FULL else (2_000, 1)
ON_MICROPYTHON = (10_000, 1) if FULL else (200, 8)
# Heap objects of the ESP32's size, where this machine can run them.
ARCH = "i386" if available("i386") else HOST


@pytest.mark.parametrize("target", targets.TARGETS)
def test_hostile_input_on_cpython(target: str, tmp_path: Path) -> None:
    """Nothing raises what is not its own error, hangs, is slow or gives back what cannot be."""
    run(target, tmp_path, None, *ON_CPYTHON)


@pytest.mark.parametrize("target", targets.TARGETS)
def test_hostile_input_on_micropython(target: str, tmp_path: Path) -> None:
    """The same on MicroPython, and no input takes more heap than its parser's stated bound."""
    run(target, tmp_path, ARCH, *ON_MICROPYTHON)


def run(target: str, folder: Path, arch: str | None, count: int, every: int) -> None:
    """Run fuzz.py, and show what it printed."""
    timeout_s = 900 if FULL else upy.TIMEOUT_S
    arguments = (target, count, SEED, every)
    print(pythons.program("fuzz/fuzz", *arguments, folder=folder, arch=arch, timeout_s=timeout_s))


def test_reader_needs_no_second_buffer() -> None:
    """What is left of a packet moves to the front of the buffer without a copy of it."""
    script = """
import gc
from mqtt_packets import Reader
r = Reader(2048, 1024)
gc.disable()
for start in (1, 2, 3):
    r.clear()
    packets = b"\\xd0\\0" * start + b"\\x30\\x80\\x20" + bytes(range(200)) * 10
    r.space[: len(packets)] = packets
    first = r.packet(len(packets))
    while first == 0xD0:
        before = gc.mem_alloc()
        first = r.packet()
    took = gc.mem_alloc() - before
    rest = packets[2 * start :]
    print(took < 256, r.buffer[: len(rest)] == rest)
"""
    assert upy.run(script, arch=ARCH).split() == ["True"] * 6
