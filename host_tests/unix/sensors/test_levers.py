"""What somebody at the levers wants of the laptop's sensors: it comes through each one's driver, in
the form and with the checksum that the sensor has.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from support.micropython.upy import run

# Each value of a field that its driver declares, a prime apart and both ends, wanted and read.
EACH_VALUE = """
import laptop, levers, machine
from onewire import _crc8
from sensing import measure

class Bus:
    crc8 = lambda self, data: _crc8(data)
    def reset(self): return True
    def write(self, data): self.said = self.rom if data == b"\\x33" else self.pad
    def readinto(self, buffer): buffer[:] = self.said
    def writeto(self, address, data): pass
    def readfrom_into(self, address, buffer): buffer[:] = self.answer

def made(driver):
    bus = Bus()
    bus.rom = b"\\x28" + bytes(6)
    bus.rom += bytes((_crc8(bus.rom),))
    def readinto(pin, frame):
        frame[:] = b"\\0\\0\\0\\0\\0"
        levers.dht(wanted, driver, frame)
    module = __import__(driver)
    if driver[:3] == "dht":
        return bus, getattr(module, driver.upper())(None, readinto)
    kind = {"ds18b20": "DS18B20", "sht3x": "SHT3x", "sht4x": "SHT4x"}[driver]
    return bus, getattr(module, kind)(bus)

for driver in DRIVERS:
    bus, sensor = made(driver)
    tried = 0
    ranges = [list(range(each.low, each.high, 7)) + [each.high] for each in sensor.fields]
    for index in range(max(map(len, ranges))):
        values = tuple(each[index % len(each)] for each in ranges)
        if not any(values):
            continue  # a DHT that says zeros alone is a line held low
        wanted = {field.name: value for field, value in zip(sensor.fields, values)}
        bus.pad = levers.ds18b20(wanted, bytes(4) + b"\\x7f" + bytes(4), _crc8)
        bus.answer = levers.sht(wanted, driver, bytes(6))
        found = measure(sensor)
        step = 4 if driver == "ds18b20" else 0  # which tells sixteenths of a degree
        if any(abs(a - b) > step for a, b in zip(found, values)):
            print(driver, values, found)
        tried += 1
    print(driver, tried)
"""


def test_each_value_comes_through_the_driver(tmp_path: Path) -> None:
    """From the least to the greatest that a driver declares, 85.0 degrees of a DS18B20 included."""
    drivers = ("dht22", "dht11", "ds18b20", "sht3x", "sht4x")
    env = {"LIMPET_LEVERS": str(tmp_path / "none")}
    said = run(f"DRIVERS = {drivers!r}\n{EACH_VALUE}", env=env).splitlines()
    assert [line.split()[0] for line in said] == list(drivers), said
    assert all(int(line.split()[1]) > 100 for line in said)


READ = """
import board, laptop, machine, os
from sensing import SensorError, measure

def wait(ms):
    until = laptop.clock.now() + ms
    while laptop.clock.now() < until:
        pass

made = []
for driver, wiring, *more in board.SENSORS:
    wiring = wiring if isinstance(wiring, tuple) else (wiring,)
    made.append(__import__(driver).sensor(machine, *wiring, *more[1:]))

def read():
    for sensor in made:
        wait(2000)
        try:
            if sensor.fresh_ms < sensor.pace_ms:
                sensor.start()
                wait(sensor.lead_ms)
            print(*measure(sensor))
        except SensorError as error:
            print(error.args[0])

def want(text):
    with open(os.getenv("LIMPET_LEVERS"), "w") as file:
        file.write(text)

wait(1000)
"""


def read(script: str, path: Path, sensors: str = "") -> list[str]:
    """Run it with a table of these sensors, at a speed at which none is asked too early."""
    env = {"LIMPET_LEVERS": str(path), "LIMPET_SENSORS": sensors, "LIMPET_SPEED": "1000"}
    return run(READ + script, env=env).splitlines()


def test_one_value_is_wanted_and_the_other_as_captured(tmp_path: Path) -> None:
    """And all is as captured before, and again when nothing is wanted, or the file is gone."""
    said = read(
        """
read()
want('{"dht22": {"temperature": -71}}')
read()
want('{"dht22": {"humidity": 999}}')
read()
want('{}')
read()
want('{"dht22": {"unplugged": true}}')
read()
os.remove(os.getenv("LIMPET_LEVERS"))
read()
""",
        tmp_path / "wanted",
    )
    assert said == ["244 464", "-71 464", "244 999", "245 463", "no-response", "244 463"]


@pytest.mark.parametrize("sensor", ["dht22", "dht11", "ds18b20:outdoor", "sht3x", "sht4x:low"])
def test_unplugged_and_bad_checksums(sensor: str, tmp_path: Path) -> None:
    """Each kind falls silent, and has the wrong checksum."""
    said = read(
        f"""
for wanted in ("unplugged", "bad_checksums"):
    want('{{"{sensor}": {{"%s": true}}}}' % wanted)
    read()
""",
        tmp_path / "wanted",
        sensor,
    )
    assert said == ["no-response", "checksum"]


def test_each_sensor_by_its_own_name(tmp_path: Path) -> None:
    """What is wanted of one, the others do not heed; a supply that is unplugged has no voltage."""
    text = (
        '{"ds18b20:outdoor": {"temperature": -1000}, "dht22:low": {"humidity": 5}, '
        '"dht22": {"unplugged": true}, "sht4x": {"humidity": 10000}, "supply": {"unplugged": true}}'
    )
    path = tmp_path / "wanted"
    path.write_text(text)
    sensors = "dht22,ds18b20:outdoor,dht22:low,sht4x:air,sht4x:b,supply"
    first, outdoor, low, air, other, supply = read("read()", path, sensors)
    assert (first, outdoor, supply) == ("no-response", "-1000", "adc-low")
    assert low == "244 5"
    assert air == other  # "sht4x" is none of them


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "syntax error"),
        (b"[]", "it is no object"),
        (b'{"dht22": 1}', "what is wanted of a sensor is an object"),
        (b'{"dht22": {"temperature": 1.5}}', "a value is true, false, or a whole number"),
        (b'{"dht22": {"temperature": 1e999}}', "a value is true, false, or a whole number"),
        (b'{"dht22": {"temperature": 32768}}', "a value is true, false, or a whole number"),
        (b'{"dht22": {"temperature": null}}', "a value is true, false, or a whole number"),
        (b" " * 4090 + b'{"a": {}}', "it is longer than 4096"),
        (b"[" * 4000, "syntax error"),
        (b"\xff\xfe", ""),
    ],
)
def test_bad_file_is_told_of_once_and_not_followed(tmp_path: Path, text: bytes, why: str) -> None:
    """The sensor plays its capture; a right file behind it is followed."""
    path = tmp_path / "wanted"
    path.write_bytes(text)
    said = read('read()\nread()\nwant(\'{"dht22": {"temperature": 3}}\')\nread()', path)
    told, *values = said
    assert told.startswith(f"LIMPET_LEVERS: {path} is not followed: ")
    assert why in told
    assert values == ["244 464", "245 464", "3 462"]


def test_a_later_time_is_a_new_file(tmp_path: Path) -> None:
    """Of two files of one size the later one is read, be they written in one second."""
    path = tmp_path / "wanted"
    for number, value in enumerate((100, 200)):
        made = tmp_path / str(value)
        made.write_text(json.dumps({"dht22": {"temperature": value}}))
        os.utime(made, (number + 1, number + 1))
    os.replace(tmp_path / "100", path)
    said = read(f"read()\nos.rename({str(tmp_path / '200')!r}, {str(path)!r})\nread()", path)
    assert said == ["100 464", "200 464"]
