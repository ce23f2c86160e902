"""Every capture, decoded here straight from its levels, against what the node makes of it.

On the node's side: boards/host's `machine` plays the capture, lib/dht22.py reads it.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.micropython.upy import REPO, run

CAPTURES = sorted((REPO / "boards/host/captures").glob("*.jsonl"))

# At this speed 2 s of the node's time are 2 ms, and a pace that is 20 real ms off is forgiven.
SPEED = "1000"

READ_ALL = """
import laptop, machine
from dht22 import DHT22, DHTError

sensor = DHT22(machine.Pin(27), machine.dht_readinto)
due = 1000
for _ in range({count}):
    while laptop.clock.now() < due:
        pass
    due = laptop.clock.now() + 2000
    try:
        print(*sensor.read())
    except DHTError as error:
        print(error.reason)
"""


def decode(levels: list[int]) -> str:
    """What one request gave: "temperature humidity" in tenths, or no-response.

    Written from the datasheet, by the sum of each bit's low and high: 76 to 80 us is a 0, 118 to
    128 us a 1.
    """
    if len(levels) == 1:
        return "no-response"
    assert len(levels) == 85, "neither silence nor a frame"
    bits = "".join(
        "1" if low + high > 99 else "0"
        for low, high in zip(levels[4:84:2], levels[5:84:2], strict=True)
    )
    humidity, sign, magnitude = int(bits[:16], 2), bits[16], int(bits[17:32], 2)
    assert sum(int(bits[i : i + 8], 2) for i in (0, 8, 16, 24)) % 256 == int(bits[32:], 2)
    return f"{-magnitude if sign == '1' else magnitude} {humidity}"


def expected(capture: Path) -> list[str]:
    """What each request of the capture gave."""
    return [decode(json.loads(line)["us"]) for line in capture.read_text().splitlines()]


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
