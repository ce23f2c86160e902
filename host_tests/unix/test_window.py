"""The window proven: client, Link and Outbox against a model of network and broker (window.py).

PUBACKs come in any order, late, twice and for nothing; connections break anywhere; the session is
there or not; ids wrap. `make fuzz` runs more worlds, and a week at one publish per second.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from limpet.node_host.debian import HOST, available
from support import schemas
from support.brokers.running import base
from support.micropython import pythons, upy

FULL = os.environ.get("FUZZ") == "full"
ARCH = "i386" if available("i386") else HOST
SEEDS = 100 if FULL else 8
DAY_S = 86_400


@pytest.mark.parametrize("group", range(4))
def test_every_reading_arrives_whatever_happens(group: int, tmp_path: Path) -> None:
    """Each Reading is delivered at least once, and never again once it is acknowledged.

    Packet ids never collide, the window is kept, and DUP is set only where a session was resumed,
    with the same words, under the same id, in the order of the first sending.
    """
    first = group * SEEDS + 1
    words = ("random", 2000, SEEDS, first)
    said = pythons.program("simulated/window", *words, folder=tmp_path, timeout_s=600)
    assert said.count("readings=") == SEEDS
    shown = re.findall(r"^said (\S+) (.*)$", said, re.MULTILINE)
    assert {topic.removeprefix(base() + "/") for topic, _ in shown} >= {"status", "telemetry"}
    for topic, payload in shown:
        if topic != f"{base()}/commands/response":  # those are made up
            schemas.note(topic, payload.encode())
    # It was no calm sea.
    assert sum(map(int, re.findall(r"again=(\d+)", said))) > SEEDS
    assert sum(map(int, re.findall(r"connections=(\d+)", said))) > 10 * SEEDS


def test_ids_wrap_for_days(tmp_path: Path) -> None:
    """A day (in `make fuzz` a week) of one publish per second goes by without a single reconnect.

    Each Reading arrives in its second, once.
    """
    seconds = 7 * DAY_S if FULL else DAY_S
    said = pythons.program("simulated/window", "steady", seconds, folder=tmp_path, timeout_s=600)
    assert f"wraps={seconds // 65535} downs=0" in said


def test_publishing_leaves_nothing_on_the_heap(tmp_path: Path) -> None:
    """Heap in use after 300 publishes and after 3,000 is the same, within 512 bytes."""
    words = ("simulated/window", "steady", 3000)
    said = pythons.program(*words, folder=tmp_path, arch=ARCH, heap="256k")
    assert int(said.partition("kept=")[2]) < 512


def test_batches_shrink_when_the_heap_is_short() -> None:
    """Without room for a batch in a row the Backlog goes on with half of it, and half of that."""
    script = """
from support.parts.backlogs import backlog
from support.parts.layouts import LAYOUT, SIZE, pack_into
from node.readings.telemetry import Telemetry
from node.shared.reading import Reading

class Log:
    first, next, dropped = 0, 40, 0
    def __len__(self):
        return 40
    def read(self, position, buffer, count):
        if count > 12:
            raise MemoryError
        for at in range(count):
            taken = Reading(7, position + at, 1770000000 + 10 * at, 0, (1, 1))
            pack_into(buffer, at * SIZE, taken)
        return position, count

backlog = backlog(Log(), Telemetry("t", 1, 7, None, LAYOUT))
sizes = []
for now in range(9):
    backlog.run(now)
    if backlog.ready:
        key = backlog.peek(now)
        backlog.write(bytearray())
        backlog.sent(key)
        sizes.append(key)
print(sizes)
"""
    assert upy.run(script) == "[0, 12, 24, 36]\n"
