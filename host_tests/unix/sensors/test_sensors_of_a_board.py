"""firmware/device/sensors.py: what is made of a Board's SENSORS, and what is refused by name."""

from __future__ import annotations

import pytest
from support.micropython.upy import run

DESK = """
import sys
from device.sensors import make
from sensing import Field, Sensor

class machine:
    class Pin:
        def __init__(self, gpio):
            self.gpio = gpio
    def dht_readinto(pin, buffer):
        buffer[:] = bytes((1, 208, 0, pin.gpio, (209 + pin.gpio) & 255))
    def SoftI2C(scl, sda, freq):
        return None

class onewire:
    class OneWire:
        def __init__(self, pin):
            pass
        def crc8(self, data):
            return 0

sys.modules["onewire"] = onewire

class Odd(Sensor):
    fields = (Field("pressure", "hPa", 1, 3000, 11000, 10),)
    pace_ms = 1000
    fresh_ms = 2000

def odd(**says):
    made = Odd()
    for name, value in says.items():
        setattr(made, name, value)
    class driver:
        pass
    driver.sensor = staticmethod(lambda machine, *pins: made)
    sys.modules["odd"] = driver

odd()

def made(*lines):
    for line in lines:
        if line[0] != "odd":
            sys.modules.pop(line[0], None)  # a boot makes its sensors once
    try:
        return make(lines, machine, LED=26)
    except Exception as error:
        print(type(error).__name__ + ":", error)
        return ()

def names(*lines):
    return [field.name for each in made(*lines) for field in each.fields]

"""


def said(script: str) -> list[str]:
    """What `script` prints at the desk, by lines."""
    return run(DESK + script).splitlines()


def test_one_sensor_has_the_names_of_its_driver() -> None:
    """As it was with a single one; it is on the pin that the line says."""
    script = """
print(names(("dht22", 27)))
(sensor,) = made(("dht22", 33))
print(repr(sensor.name), sensor.read())
"""
    assert said(script)[0] == "['temperature', 'humidity']"
    assert said(script)[1] == "'' (33, 464)"


def test_further_ones_put_their_name_before_it() -> None:
    """Two of a kind, and another kind, in the order of SENSORS; a field has another name."""
    script = """
lines = ("dht22", 27), ("dht22", 33, "attic"), ("ds18b20", 4, "outdoor")
print(names(*lines))
first, second, _ = made(*lines)
print([each.name for each in made(*lines)], first.fields[0][1:] == second.fields[0][1:])
print(first.read(), second.read())
"""
    assert said(script) == [
        "['temperature', 'humidity', 'attic_temperature', 'attic_humidity', 'outdoor_temperature']",
        "['', 'attic', 'outdoor'] True",
        "(27, 464) (33, 464)",
    ]


def test_a_bus_is_shared() -> None:
    """By those of one kind of bus, on all of its pins; what else a line says is the driver's. In
    square brackets it is the same, as the tools take those as well.
    """
    script = """
print(names(("ds18b20", 4, "in", "28" + "00" * 7), ("ds18b20", 4, "out", "28" + "01" * 7)))
a, b = made(("sht4x", (22, 21)), ("sht3x", (22, 21), "out", 0x45))
print(a._address, b._address)
a, b = made(["sht4x", [22, 21]], ["sht3x", (22, 21), "out", 0x45])
print(a._address, b._address)
"""
    assert said(script) == ["['in_temperature', 'out_temperature']", "68 69", "68 69"]


def test_what_has_made_the_sensors_is_let_go_of() -> None:
    """The function that reads a line is byte code that nobody needs any more."""
    script = """
made(("dht22", 27))
import dht22
print(hasattr(dht22, "sensor"), hasattr(dht22, "DHT22"))
"""
    assert said(script) == ["False True"]


def test_only_what_is_listed_is_loaded() -> None:
    """A node with one DHT22 has no heap for other drivers, nor for what has made its sensor."""
    script = """
from node.shared.unimport import unimport

unimport("sensing", "dht22", "device.sensors")
before = set(sys.modules)
from device.sensors import make
made(("dht22", 27))
print(sorted(set(sys.modules) - before))
"""
    assert said(script) == ["['dht22', 'sensing']"]


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        # A pin that is somebody else's.
        ('("dht22", 26),', "WiringError: GPIO26 is used twice: LED, dht22"),
        (
            '("dht22", 27), ("ds18b20", 27, "out")',
            "WiringError: GPIO27 is used twice: dht22, ds18b20",
        ),
        (
            '("dht22", 27), ("dht22", 27, "out")',
            "WiringError: GPIO27 is used twice: dht22, dht22",
        ),
        # Buses of two kinds, and half a bus.
        (
            '("sht4x", (22, 4)), ("ds18b20", 4, "out")',
            "WiringError: GPIO4 is used twice: sht4x, ds18b20",
        ),
        (
            '("sht4x", (22, 21)), ("sht4x", (21, 22), "out", 0x45)',
            "WiringError: GPIO21 is used twice: sht4x, sht4x",
        ),
        (
            '("sht4x", (22, 22)),',
            "WiringError: GPIO22 is used twice: sht4x, sht4x",
        ),
        # A name that is there already, or that telemetry has for something else, or that is none.
        (
            '("dht22", 27), ("ds18b20", 4)',
            "WiringError: field temperature is there twice: ds18b20",
        ),
        (
            '("dht22", 27, "out"), ("ds18b20", 4, "out")',
            "WiringError: field out_temperature is there twice: ds18b20",
        ),
        (
            '("dht22", 27, "Out"),',
            "WiringError: no name for a field: Out_temperature of dht22",
        ),
        (
            '("dht22", 27, "2"),',
            "WiringError: no name for a field: 2_temperature of dht22",
        ),
        # A driver that is not there, or refuses what it is told.
        ('("dht23", 27),', "ImportError: no module named 'dht23'"),
        ('("ds18b20", 4, "", "28ff"),', "ValueError: no ROM of a DS18B20"),
        (
            '("supply", 35, "", 100, 0),',
            "AttributeError: type object 'machine' has no attribute 'ADC'",
        ),
        # None at all.
        ("", "WiringError: SENSORS is empty"),
    ],
)
def test_what_cannot_be_is_refused(lines: str, says: str) -> None:
    """Each with its name: it is what the node's crash says, and get_crash fetches."""
    assert said(f"made({lines})") == [says]


@pytest.mark.parametrize(
    ("says", "why"),
    [
        ('fields=(Field("ts", "s", 0, 0, 1, 1),)', "WiringError: field ts is there twice: odd"),
        ('fields=(Field("a b", "s", 0, 0, 1, 1),)', "WiringError: no name for a field: a b of odd"),
        ('fields=(Field("_a", "s", 0, 0, 1, 1),)', "WiringError: no name for a field: _a of odd"),
        ("fresh_ms=700, lead_ms=700", "WiringError: stale before it is read: odd"),
        ("pace_ms=0", "WiringError: stale before it is read: odd"),
    ],
)
def test_declaration_that_cannot_be_is_refused(says: str, why: str) -> None:
    """A field with a name of telemetry's own, or none; a sensor that could never be read."""
    assert said(f'odd({says})\nmade(("odd", 5))') == [why]


def test_words_of_a_refusal_are_kept_in_a_crash_report() -> None:
    """Of most exceptions a crash keeps the kind alone, as they may quote a secret; these name pins,
    fields and drivers.
    """
    script = """
from node.system.crash_report import report
try:
    make((("dht22", 26),), machine, LED=26)
except Exception as error:
    print(report(error).split("\\n")[-1])
"""
    assert said(script) == ["WiringError: GPIO26 is used twice: LED, dht22"]
