"""lib/sht4x.py and sht3x.py, on a bus that is stricter than the chips (support/sensors)."""

from __future__ import annotations

import pytest
from support.micropython.upy import run
from support.sensors.two_wires import word

DESK = """
from sensing import SensorError, measure
from sht3x import SHT3x
from sht4x import SHT4x
from support.sensors.desk import read_once as read
from support.sensors.two_wires import SHT3X, SHT4X, Bus, Climate

"""


def said(script: str) -> list[str]:
    """What `script` prints at the desk, by lines."""
    return run(DESK + script).splitlines()


@pytest.mark.parametrize(
    ("temperature", "humidity"),
    # The ends, the middle, what reads as 0 and as 100 %, one more and one less.
    [
        *((0x6666, 0x8000), (0x8000, 0x7FFF), (0x0750, 0), (0xFFFF, 0xFFFF), (0x6666, 3145)),
        *((0x6666, 3146), (0x6666, 55574), (0x6666, 55575), (0x07AF, 0x4000), (0x0000, 0x4000)),
    ],
)
def test_words_mean(temperature: int, humidity: int) -> None:
    """The formulas of both datasheets, rounded to hundredths; the SHT4x's % are cut off."""
    script = f"""
for kind, commands in ((SHT4x, SHT4X), (SHT3x, SHT3X)):
    bus = Bus({{0x44: Climate(commands, {temperature}, {humidity})}})
    print(read(kind(bus), bus))
"""
    celsius = round(-4500 + 17500 * temperature / 65535)
    four = min(max(round(-600 + 12500 * humidity / 65535), 0), 10000)
    three = round(10000 * humidity / 65535)
    if not -4000 <= celsius <= 12500:
        assert said(script) == ["out-of-range"] * 2
    else:
        assert said(script) == [f"({celsius}, {four})", f"({celsius}, {three})"]


def test_numbers_stay_small() -> None:
    """Every word of either kind: no number on the way needs more than the chip's 30 bits."""
    assert 0xFFFF * 3500 + 6553 < 1 << 30


def test_silence_is_named() -> None:
    """Nobody at the address; nothing was started; the measurement is not done yet; read twice."""
    script = """
bus = Bus({0x45: Climate(SHT4X, 0x6666, 0x8000)})
print(read(SHT4x(bus), bus))
sensor = SHT4x(bus, 0x45)
try:
    measure(sensor)
except SensorError as error:
    print(error.args[0])
print(read(sensor, bus, 8), read(sensor, bus))
try:
    measure(sensor)
except SensorError as error:
    print(error.args[0])
"""
    assert said(script) == ["no-response", "no-response", "no-response (2500, 5650)", "no-response"]


def test_every_flipped_bit_is_noticed() -> None:
    """Any single or double wrong bit of a word fails its CRC."""
    script = """
bus = Bus({0x44: Climate(SHT4X, 0x6666, 0x8000)})
sensor = SHT4x(bus)
reasons = []
for bit in range(48):
    bus.flip = bit
    reasons.append(read(sensor, bus))
print(set(reasons), len(reasons))
"""
    assert said(script) == ["{'checksum'} 48"]


def test_two_share_a_bus() -> None:
    """Each at its address; a sensor is made of a Board's pins, and the bus in software."""
    script = """
import sht3x, sht4x

class machine:
    made = []
    Pin = int
    def SoftI2C(scl, sda, freq):
        machine.made.append((scl, sda, freq))
        return bus

bus = Bus({0x44: Climate(SHT4X, 0x6666, 0x8000), 0x45: Climate(SHT3X, 0x8000, 0x8000)})
print(read(sht4x.sensor(machine, 22, 21), bus), read(sht3x.sensor(machine, 22, 21, 0x45), bus))
print(machine.made, sht4x.BUS == sht3x.BUS)
"""
    assert said(script) == [
        "(2500, 5650) (4250, 5000)",
        "[(22, 21, 100000), (22, 21, 100000)] True",
    ]


def test_stand_in_has_the_datasheets_checksum() -> None:
    """Both datasheets: CRC (0xBEEF) = 0x92."""
    assert word(0xBEEF)[2] == 0x92
