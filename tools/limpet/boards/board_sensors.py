"""The sensors that a board.py lists in SENSORS, read and checked before anything is flashed.

A line is (driver, pins), (driver, pins, name) or (driver, pins, name, and what else the driver is
to be told): ("dht22", 27), ("sht4x", (22, 21), "low", 0x45). The driver is a file of that name in
the Board's folder or in lib/. What is refused here, the node refuses when it boots
(firmware/device/sensors.py): after three crashes it is in safe mode, which has no sensors.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from limpet.boards.drivers import Driver
from limpet.shared.problem import Problem

# With an underscore behind it, what the names of a sensor's fields begin with.
NAME = re.compile(r"[a-z][a-z0-9_]{0,19}")
_FIELD = re.compile(r"[a-z][a-z0-9_]*")
# What a Reading says of itself in the same JSON.
_TAKEN = ("v", "boot", "seq", "ts", "up", "dt")
# By chip: what MicroPython has no pin for, be it that the chip has none.
_LAST_GPIO = {"esp32": 39, "esp32s3": 48, "esp32c3": 21}
_NO_GPIO = {"esp32": {20, 24, 28, 29, 30, 31}, "esp32s3": {22, 23, 24, 25}}
_ROM = re.compile(r"[0-9A-Fa-f]{16}")
_THERMOMETERS = (0x28, 0x22)  # the first byte of a ROM, as lib/ds18b20.py takes it
_FORM = 'SENSORS = (("dht22", 27), ("ds18b20", 25, "outdoor"))'
# What a board.py had for the one sensor that a Board could have.
_OLD = ("sensor", "SENSOR_GPIO")


class WiredSensor(NamedTuple):
    """A line of SENSORS: the driver's module, the GPIOs, the name ("" for none), and what else the
    driver is told, such as an address or a divider's resistors.
    """

    driver: str
    pins: tuple[int, ...]
    name: str = ""
    more: tuple[Any, ...] = ()

    @property
    def line(self) -> tuple[Any, ...]:
        """As board.py has it."""
        pins = self.pins[0] if len(self.pins) == 1 else self.pins
        if self.name or self.more:
            return (self.driver, pins, self.name, *self.more)
        return (self.driver, pins)


def read(path: Path, said: dict[str, Any]) -> tuple[WiredSensor, ...]:
    """Return the sensors of a board.py at `path`, of which `said` are the constants.

    Raises Problem: there is no SENSORS, it has another form, a driver is no file, a pin or a field
    is there twice.
    """
    if "SENSORS" not in said:
        old = [name for name in _OLD if name in said]
        if old:
            raise Problem(
                f"{path} has {old[0]}, as Boards of Limpet 0.1 had: no node asks for it any more.",
                f"Write instead, with your pins: {_FORM}\n"
                "and: sensors, led = wired(SENSORS, LED_GPIO)",
            )
        raise Problem(f"{path} does not say SENSORS.", f"Say it, with your pins: {_FORM}")
    if not isinstance(said["SENSORS"], tuple | list):
        raise Problem(
            f"{path}: SENSORS is no list of texts and numbers, written out.", f"Say it so: {_FORM}"
        )
    sensors = tuple(_sensor(path, line) for line in said["SENSORS"])
    for sensor in sensors:
        _on_chip(path, sensor, said.get("CHIP"))
    if not sensors:
        raise Problem(f"{path}: SENSORS is empty: there would be nothing to say.", f"So: {_FORM}")
    for fault in clashes(path.parent, sensors, said.get("LED_GPIO")):
        raise Problem(f"{path}: {fault}", "Correct SENSORS.")
    return sensors


def rewritten(text: str, sensors: Iterable[WiredSensor]) -> str:
    """Return a board.py, given as text, with other SENSORS."""
    lines = text.splitlines(keepends=True)
    for statement in ast.parse(text).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id="SENSORS")], lineno=first, end_lineno=int(last)):
                made = f"SENSORS = {tuple(each.line for each in sensors)!r}\n"
                return "".join([*lines[: first - 1], made, *lines[last:]])
    raise AssertionError("no SENSORS, though the facts were read")


def _sensor(path: Path, line: Any) -> WiredSensor:
    """One line of SENSORS. Raises Problem."""
    fault = f"{path}: SENSORS: {line!r} "
    if not isinstance(line, tuple | list) or len(line) < 2:
        raise Problem(f"{fault}is not (driver, pins) or (driver, pins, name).", f"So: {_FORM}")
    driver, wiring, *rest = line
    pins = tuple(wiring) if isinstance(wiring, tuple | list) else (wiring,)
    name, *more = rest or [""]
    if not isinstance(driver, str) or not driver.isidentifier() or driver == "board":
        raise Problem(f"{fault}names no driver.", "The first is a driver's module, a text.")
    if not pins or not all(type(pin) is int and pin >= 0 for pin in pins):
        raise Problem(f"{fault}has no pins.", "The second is a GPIO, or several: (22, 21).")
    if isinstance(name, int):
        raise Problem(
            f"{fault}has its GPIOs one after the other.",
            f"Put them in brackets: {(driver, (*pins, name, *more))!r}; what else the driver wants "
            'comes behind the name, be it "".',
        )
    if not isinstance(name, str) or not (name == "" or NAME.fullmatch(name)):
        raise Problem(
            f"{fault}has a name that no field can begin with.",
            "A name is a letter, then up to 19 more of a-z, 0-9 and _.",
        )
    known = Driver.of(path.parent, driver)
    if known is None:
        raise Problem(
            f"{fault}has no driver: neither {path.parent.name}/ nor lib/ holds a {driver}.py with "
            "a function sensor().",
            f"Put {driver}.py beside board.py, or name another driver.",
        )
    if not known.least <= len(pins) + len(more) <= len(known.wants):
        raise Problem(
            f"{fault}does not say what {driver} wants to be told: {', '.join(known.wants)}.",
            "GPIOs come second, several in brackets; what else it wants, behind the name.",
        )
    told = dict(zip(known.wants, (*pins, *more), strict=False))
    if known.bus == "onewire" and "rom" in told and not _is_rom(told["rom"]):
        raise Problem(
            f"{fault}has no ROM of a DS18B20.",
            "A ROM is 16 hex digits, as `onewire`'s scan() tells them: the family 28, the number, "
            "and a checksum of both.",
        )
    return WiredSensor(driver, pins, name, tuple(more))


def _on_chip(path: Path, sensor: WiredSensor, chip: Any) -> None:
    """Raise Problem for a GPIO that the chip has not."""
    last, missing = _LAST_GPIO.get(chip), _NO_GPIO.get(chip, set())
    for pin in sensor.pins:
        if last is not None and (pin > last or pin in missing):
            but = f", without {', '.join(map(str, sorted(missing)))}" if missing else ""
            raise Problem(
                f"{path}: GPIO{pin}, of {sensor.driver}, is no pin of the {chip}.",
                f"It has GPIO 0 to {last}{but}.",
            )


def _is_rom(text: Any) -> bool:
    """Whether that is the ROM of a DS18B20 and its like: the eighth byte is a CRC-8 (polynomial
    0x31, bits reversed) of the others.
    """
    if not isinstance(text, str) or not _ROM.fullmatch(text):
        return False
    crc = 0
    for byte in (rom := bytes.fromhex(text)):
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x8C if crc & 1 else 0)
    return crc == 0 and rom[0] in _THERMOMETERS


def clashes(folder: Path, sensors: Iterable[WiredSensor], led: Any) -> Iterator[str]:
    """Yield what two sensors, or a sensor and the LED (its GPIO), cannot both have. `folder` is the
    Board's, where drivers may lie.
    """
    users: dict[int, WiredSensor] = {}
    fields: dict[str, str] = {}
    for sensor in sensors:
        driver = Driver.of(folder, sensor.driver)
        assert driver, "a driver was found before"
        for pin in sensor.pins:
            other = users.setdefault(pin, sensor)
            if pin == led:
                yield f"GPIO{pin} is used twice, by LED_GPIO and by {sensor.driver}."
            elif sensor.pins.count(pin) > 1 or (
                other is not sensor and not _may_share(folder, other, sensor)
            ):
                yield f"GPIO{pin} is used twice, by {other.driver} and by {sensor.driver}."
        for field in driver.fields:
            full = f"{sensor.name}_{field.name}" if sensor.name else field.name
            if full in _TAKEN or not _FIELD.fullmatch(full):
                yield f"{full} of {sensor.driver} is no name for a field."
            if full in fields:
                yield (
                    f"{full} would be there twice, from {fields[full]} and from "
                    f"{sensor.driver}: one of them needs a name."
                )
            fields[full] = sensor.driver


def _may_share(folder: Path, one: WiredSensor, other: WiredSensor) -> bool:
    """Whether both are on one bus, each with something of its own: an address, a ROM."""
    first, second = Driver.of(folder, one.driver), Driver.of(folder, other.driver)
    if not first or not second or not first.bus or first.bus != second.bus:
        return False
    told = first.told(*one.pins, *one.more), second.told(*other.pins, *other.more)
    return one.pins == other.pins and told[0] != told[1]
