"""lib/ds18b20.py, on a bus that is stricter than the chips (support/sensors/one_wire.py)."""

from __future__ import annotations

import pytest
from support.micropython.upy import run
from support.sensors.one_wire import crc8, rom

DESK = """
from ds18b20 import DS18B20
from sensing import SensorError, measure
from support.sensors.desk import read_once as read
from support.sensors.one_wire import Bus, Thermometer, rom

"""


def said(script: str) -> list[str]:
    """What `script` prints at the desk, by lines."""
    return run(DESK + script).splitlines()


@pytest.mark.parametrize(
    ("sixteenths", "hundredths"),
    [
        # The datasheet's own table: 125, 85, 25.0625, 10.125, 0.5, 0, and below zero.
        (0x07D0, 12500),
        (0x0550, 8500),
        (0x0191, 2506),
        (0x00A2, 1013),
        (0x0008, 50),
        (0x0000, 0),
        (-0x0008, -50),
        (-0x00A2, -1012),
        (-0x0191, -2506),
        (-0x0370, -5500),
        # Beyond the range, of which a copy of the chip says 127.94 when it has not converted.
        (0x07FF, "out-of-range"),
        (-0x0371, "out-of-range"),
    ],
)
def test_temperature_means(sixteenths: int, hundredths: int | str) -> None:
    """Sixteenths become hundredths, rounded; also by a ROM of one's own."""
    script = f"""
for named in (None, rom(7)):
    bus = Bus(Thermometer(rom(7), {sixteenths}))
    print(read(DS18B20(bus, named), bus))
"""
    expected = f"({hundredths},)" if isinstance(hundredths, int) else hundredths
    assert said(script) == [expected, expected]


def test_what_was_not_converted_is_no_reading() -> None:
    """85.0 right after power-up is refused, and so is what is read before the 750 ms are over; 85.0
    that was measured counts.
    """
    script = """
one = Thermometer(rom(7), 340)
bus = Bus(one)
sensor = DS18B20(bus)
print(read(sensor, bus, 749), read(sensor, bus, 750))
one.power_up()
try:
    measure(sensor)
except SensorError as error:
    print(error.args[0])
hot = Bus(Thermometer(rom(7), 0x0550))
print(read(DS18B20(hot), hot))
"""
    assert said(script) == ["power-up (2125,)", "power-up", "(8500,)"]


def test_nothing_waits_for_a_conversion() -> None:
    """`start` returns at once, and `read` begins no other: one conversion for each."""
    script = """
one = Thermometer(rom(7), 340)
bus = Bus(one)
sensor = DS18B20(bus)
for _ in range(5):
    read(sensor, bus)
print(one.conversions, bus.now, sensor.lead_ms)
"""
    assert said(script) == ["5 3750 750"]


def test_missing_sensors_have_a_name() -> None:
    """Nobody on the bus, nobody with this ROM, a line that is held low."""
    script = """
empty = Bus()
print(read(DS18B20(empty), empty))
other = Bus(Thermometer(rom(8), 340))
print(read(DS18B20(other, rom(7)), other))
for named in (None, rom(7)):
    low = Bus(Thermometer(rom(7), 340))
    low.held = True
    print(read(DS18B20(low, named), low))
"""
    assert said(script) == ["no-response", "no-response", "all-zero", "all-zero"]


def test_several_on_one_bus() -> None:
    """Each is read by its ROM; without one they all answer at once, which is noticed."""
    script = """
bus = Bus(Thermometer(rom(7), 340), Thermometer(rom(1000), 16))
print(read(DS18B20(bus, rom(7)), bus), read(DS18B20(bus, rom(1000)), bus))
print(read(DS18B20(bus), bus))
"""
    assert said(script) == ["(2125,) (100,)", "rom-checksum"]


def test_other_kinds_are_refused() -> None:
    """A DS18S20 counts in halves: what it says is no temperature here. A DS1822 is the same."""
    script = """
for family in (0x10, 0x22):
    bus = Bus(Thermometer(rom(7, family), 340))
    print(read(DS18B20(bus), bus))
"""
    assert said(script) == ["wrong-kind", "(2125,)"]


def test_bits_below_the_resolution_do_not_count() -> None:
    """At 9 bits the three lowest are undefined, at 10 two, at 11 one."""
    script = """
for bits in (9, 10, 11, 12):
    bus = Bus(Thermometer(rom(7), 0x0157, bits))
    print(read(DS18B20(bus), bus))
"""
    assert said(script) == ["(2100,)", "(2125,)", "(2138,)", "(2144,)"]


def test_every_flipped_bit_is_noticed() -> None:
    """Any single wrong bit of the scratchpad fails the checksum."""
    script = """
bus = Bus(Thermometer(rom(7), 340))
sensor = DS18B20(bus, rom(7))
reasons = set()
for bit in range(72):
    sensor.start()
    bus.now += 750
    bus.flip = bit
    try:
        print(measure(sensor))
    except SensorError as error:
        reasons.add(error.args[0])
print(reasons)
"""
    assert said(script) == ["{'checksum'}"]


@pytest.mark.parametrize(
    "text", ["28ff", "28070000000000ab", rom(7, 0x10).hex(), "no hex at all!!!"]
)
def test_rom_that_is_none_is_refused_at_once(text: str) -> None:
    """Too short, a wrong checksum, another kind, no hex: a board.py that says that is wrong."""
    script = f"""
import sys

class OneWire(Bus):
    def __init__(self, pin):
        super().__init__()

class machine:
    Pin = int

class onewire:
    pass

onewire.OneWire = OneWire
sys.modules["onewire"] = onewire
import ds18b20
try:
    ds18b20.sensor(machine, 4, "{text}")
except ValueError as error:
    print("refused")
print(type(ds18b20.sensor(machine, 4, "{rom(7).hex()}")).__name__)
"""
    assert said(script) == ["refused", "DS18B20"]


def test_stand_in_has_the_datasheets_checksum() -> None:
    """The example of Maxim's application note 27."""
    assert crc8(bytes.fromhex("02 1c b8 01 00 00 00")) == 0xA2
