"""Every capture of a DHT22 or AM2320, decoded here straight from its levels, against what the node
makes of it.

On the node's side: boards/host's `machine` plays the capture, lib/dht22.py reads it.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from support.captures import expected
from support.micropython.upy import REPO, run

CAPTURES = sorted((REPO / "boards/host/captures").glob("am23*.jsonl"))

# At this speed 2 s of the node's time are 2 ms, and a pace that is 20 real ms off is forgiven.
SPEED = "1000"

READ_ALL = """
import laptop, machine
from dht22 import DHT22
from sensing import SensorError, measure

sensor = DHT22(machine.Pin(27), machine.dht_readinto)
due = 1000
for _ in range({count}):
    while laptop.clock.now() < due:
        pass
    due = laptop.clock.now() + 2000
    try:
        print(*measure(sensor))
    except SensorError as error:
        print(error.args[0])
"""


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
def test_capture_gives_the_same_on_the_node(capture: Path) -> None:
    """Values and silences come in the capture's order, and after its end it begins again."""
    once = expected(capture)
    script = READ_ALL.format(count=len(once) + 2)
    said = run(script, env={"LIMPET_SPEED": SPEED, "LIMPET_REPLAY": str(capture)})
    assert said.splitlines() == [*once, *(once * 2)[:2]]


def test_captures_hold_what_they_are_kept_for() -> None:
    """88 good frames in the long one, silences in those that asked too soon or too briefly."""
    silences = {capture.stem: expected(capture).count("no-response") for capture in CAPTURES}
    assert len(expected(REPO / "boards/host/captures/am2302_1mhz_200s.jsonl")) == 88
    assert {name: count for name, count in silences.items() if count} == {
        "am2302_1mhz_delay0us_50ms_low": 59,
        "am2302_1mhz_delay2000us_100us_low": 10,
        "am2302_1mhz_delay2000us_200us_low": 8,
        "am2302_1mhz_delay2000us_300us_low": 5,
        "am2302_1mhz_delay250us": 4,
    }


def test_small_heap_plays_the_long_capture() -> None:
    """The capture is read line by line: 48 KB of heap on a 32-bit interpreter are enough."""
    script = READ_ALL.format(count=88) + "import gc; gc.collect()\n"
    said = run(script, arch="i386", heap="48k", env={"LIMPET_SPEED": SPEED})
    assert len(said.splitlines()) == 88
