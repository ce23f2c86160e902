"""The parts of `limpet fleet run`: a light node says what a node says, and all is counted."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from types import SimpleNamespace

import pytest
from limpet.fleet.load import chart, light_node, payload
from limpet.fleet.load.consumer import keys
from limpet.fleet.load.figures import Device, Figures, Latencies
from limpet.fleet.load.payload import Reading
from node.readings import batches
from node.readings.telemetry import Telemetry
from node.session import causes
from node.shared.reading import Reading as Taken
from support.parts.layouts import LAYOUT, SIZE, pack_into

BOOT, T0 = 1_790_000_000, 1_790_000_123


def packed(readings: list[Reading], phase: float) -> tuple[Telemetry, bytearray]:
    """Return the node's own encoder, and these Readings as the node packs them."""
    clock = SimpleNamespace(unix=lambda: T0, given_up=False)
    telemetry = Telemetry("base", 1, BOOT, clock, LAYOUT)
    buffer = bytearray(SIZE * len(readings))
    for index, each in enumerate(readings):
        said = json.loads(payload.live(BOOT, each, phase))
        values = round(said["temperature"] * 10), round(said["humidity"] * 10)
        taken = Taken(BOOT, each.seq, each.ts, each.seq * 10, values)
        pack_into(buffer, index * SIZE, taken)
    return telemetry, buffer


@pytest.mark.parametrize("phase", [0.0, 0.3, 0.8])
def test_a_reading_is_said_as_a_node_says_it(phase: float) -> None:
    """Byte for byte."""
    reading = Reading(1042, T0)
    telemetry, buffer = packed([reading], phase)
    packet = bytearray()
    telemetry.write(packet, buffer, 0, 0)
    assert payload.live(BOOT, reading, phase) == packet


@pytest.mark.parametrize("times", [[0, 10, 20, 30], [0, 10, 21], [0, 7]])
def test_a_batch_is_said_as_a_node_says_it(times: list[int]) -> None:
    """Byte for byte, evenly spaced or not; and each of its Readings is counted."""
    readings = [Reading(5 + index, T0 + each) for index, each in enumerate(times)]
    telemetry, buffer = packed(readings, 0.1)
    packet = bytearray()
    assert batches.write(packet, telemetry, buffer, len(times), 0, True) == len(times)
    said = payload.batch(BOOT, readings, 0.1)
    assert said == packet
    assert keys(said) == [(BOOT, each.seq) for each in readings]


def test_the_back_off_is_the_node_s() -> None:
    """The same floor for the same causes."""
    assert light_node.FLOORS_MS[light_node.REFUSED] == causes.FLOORS_MS[causes.REFUSED]
    assert set(causes._REFUSED) >= light_node.REFUSED_CAUSES


@pytest.mark.parametrize("said", [b"", b"[1]", b"{", b'{"boot":[],"seq":1,"ts":1,"x":1}'])
def test_what_is_no_reading_has_no_key(said: bytes) -> None:
    """Whatever comes, the consumer goes on."""
    assert keys(said) == []


def test_each_reading_counts_once() -> None:
    """What was taken and has not come is missing; what comes again is told."""
    device = Device()
    for seq in range(4):
        device.took(7, seq)
    assert [device.delivered(7, seq) for seq in (3, 0, 3)] == [0, 0, 1]
    assert device.missing() == {(7, 1), (7, 2)}
    assert device.delivered(6, 0) is None  # another boot's
    assert device.delivered(7, 1 << 40) is None
    assert device.missing() == {(7, 1), (7, 2)}


def test_percentiles() -> None:
    """Right to 2 %, and never above the longest."""
    found = Latencies()
    assert found.percentile(50) is None
    for number in range(1, 1001):
        found.add(number / 1000)
    assert found.percentile(50) == pytest.approx(0.5, rel=0.02)
    assert found.percentile(99) == pytest.approx(0.99, rel=0.02)
    assert found.percentile(100) == found.longest == 1.0


def test_the_busiest_second() -> None:
    """Connects are counted by the second in which they came."""
    figures = Figures()
    for now in (1.1, 1.5, 2.0, 2.1, 2.9, 4.0):
        figures.connected(now)
    assert (figures.connects, figures.peak) == (6, 3)


@pytest.mark.parametrize("points", [[], [(0.0, 0.0)], [(float(n), n % 70) for n in range(5000)]])
def test_a_chart_is_svg(points: list[tuple[float, float]]) -> None:
    """One line, whatever there is to draw; and a name cannot break it."""
    said = chart.line("<Connected> & more", points, [(1.0, "cut & <back>")])
    tree = ET.fromstring(said)
    (line,) = tree.iter("{http://www.w3.org/2000/svg}polyline")
    assert len(line.attrib["points"].split()) <= 700
