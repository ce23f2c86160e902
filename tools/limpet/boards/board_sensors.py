"""The sensors that a board.py lists in SENSORS, read and checked before anything is flashed.

A line is (driver, pins) or (driver, pins, name): ("dht22", 27), ("sht3x", (21, 22), "outdoor").
The driver is a file of that name in the Board's folder or in lib/. What is refused here, the node
refuses when it boots (firmware/device/sensors.py): it then starts without sensors, in safe mode.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from limpet.shared.paths import LIB
from limpet.shared.problem import Problem

# With an underscore behind it, what the names of a sensor's fields begin with.
NAME = re.compile(r"[a-z][a-z0-9_]{0,19}")
_FORM = 'SENSORS = (("dht22", 27), ("ds18b20", 25, "outdoor"))'
# What a board.py had for the one sensor that a Board could have.
_OLD = ("sensor", "SENSOR_GPIO")


class WiredSensor(NamedTuple):
    """A line of SENSORS: the driver's module, the GPIOs, and the name, "" for none."""

    driver: str
    pins: tuple[int, ...]
    name: str = ""

    @property
    def line(self) -> tuple[Any, ...]:
        """As board.py has it."""
        pins = self.pins[0] if len(self.pins) == 1 else self.pins
        return (self.driver, pins, self.name) if self.name else (self.driver, pins)


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
    for fault in _clashes(path.parent, sensors, said.get("LED_GPIO")):
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


def driver(folder: Path, name: str) -> Path | None:
    """Return the file of a driver: the Board's own, in its `folder`, goes before lib/'s."""
    return next((path for at in (folder, LIB) if (path := at / f"{name}.py").is_file()), None)


def _sensor(path: Path, line: Any) -> WiredSensor:
    """One line of SENSORS. Raises Problem."""
    fault = f"{path}: SENSORS: {line!r} "
    if not isinstance(line, tuple | list) or len(line) not in (2, 3):
        raise Problem(f"{fault}is not (driver, pins) or (driver, pins, name).", f"So: {_FORM}")
    name, pins, *rest = line
    pins = tuple(pins) if isinstance(pins, tuple | list) else (pins,)
    if not isinstance(name, str) or not name.isidentifier() or name == "board":
        raise Problem(f"{fault}names no driver.", "The first is a driver's module, a text.")
    if not pins or not all(type(pin) is int and pin >= 0 for pin in pins):
        raise Problem(f"{fault}has no pins.", "The second is a GPIO, or several: (21, 22).")
    if rest and not (isinstance(rest[0], str) and (not rest[0] or NAME.fullmatch(rest[0]))):
        raise Problem(
            f"{fault}has a name that no field can begin with.",
            "A name is a letter, then up to 19 more of a-z, 0-9 and _.",
        )
    if driver(path.parent, name) is None:
        raise Problem(
            f"{fault}has no driver: neither {path.parent.name}/ nor lib/ holds {name}.py.",
            f"Put {name}.py beside board.py, or name another driver.",
        )
    return WiredSensor(name, pins, *rest)


def _clashes(folder: Path, sensors: tuple[WiredSensor, ...], led: Any) -> Iterator[str]:
    """What two sensors, or a sensor and the LED, cannot both have."""
    users = {led: "LED_GPIO"} if type(led) is int else {}
    fields: dict[str, str] = {}
    for sensor in sensors:
        for pin in sensor.pins:
            if pin in users:
                yield f"GPIO{pin} is used twice, by {users[pin]} and by {sensor.driver}."
            users[pin] = sensor.driver
        for field in _fields(folder, sensor):
            if field in fields:
                yield (
                    f"{field} would be there twice, from {fields[field]} and from "
                    f"{sensor.driver}: one of them needs a name."
                )
            fields[field] = sensor.driver


def _fields(folder: Path, sensor: WiredSensor) -> Iterator[str]:
    """The names of a sensor's fields, as far as its driver says them as texts: Field("...", ...).
    It is read and not run; what it puts together otherwise, the node checks when it boots.
    """
    path = driver(folder, sensor.driver)
    assert path
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return  # the compiler says it better
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="Field"), args=[ast.Constant(value=str(name)), *_]):
                yield f"{sensor.name}_{name}" if sensor.name else name
