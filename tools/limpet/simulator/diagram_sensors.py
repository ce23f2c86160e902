"""The sensors in a diagram: those of board.py, each where it belongs, and what is wired besides.

A sensor that board.py does not list is simulated as well, by the name that its part has as id: so
a second one can be had in Wokwi, and stay off the Board until it is wired.
"""

from collections.abc import Iterator
from typing import Any

from limpet.boards.board_facts import BoardFacts
from limpet.boards.board_sensors import NAME, WiredSensor
from limpet.simulator.wiring import Wiring, wiring
from limpet.simulator.wokwi_parts import GND, SENSOR_PARTS, V3, V5


def simulated(diagram: dict[str, Any], board: BoardFacts) -> tuple[WiredSensor, ...]:
    """Return the sensors of a diagram without faults: the Board's own, then what else is wired."""
    wired = wiring(diagram)
    further = []
    for name in _assigned(wired, board)[1]:
        kind = SENSOR_PARTS[wired.types[name]]
        (gpio,) = wired.meets(f"{name}:{kind.data}")
        further.append(WiredSensor(kind.driver, (int(gpio.removeprefix("GPIO")),), name))
    return (*board.sensors, *further)


def _assigned(
    wiring: Wiring, board: BoardFacts
) -> tuple[list[tuple[WiredSensor, str | None]], list[str]]:
    """Each sensor of the Board with its part (None: there is none), and the parts beyond these."""
    left = wiring.of(*SENSOR_PARTS)
    pairs: list[tuple[WiredSensor, str | None]] = []
    for sensor in board.sensors:
        fit = [part for part in left if SENSOR_PARTS[wiring.types[part]].driver == sensor.driver]
        # The one that is where it should be; else whichever is meant, so that its fault is named.
        fit.sort(key=lambda part: (not _is_on(wiring, part, sensor.pins), part != sensor.name))
        pairs.append((sensor, fit[0] if fit else None))
        left = [part for part in left if part not in fit[:1]]
    return pairs, left


def _is_on(wiring: Wiring, part: str, pins: tuple[int, ...]) -> bool:
    data = SENSOR_PARTS[wiring.types[part]].data
    return wiring.meets(f"{part}:{data}") == {f"GPIO{pin}" for pin in pins}


def faults(wiring: Wiring, board: BoardFacts) -> Iterator[str]:
    """Yield what is wrong: each sensor of board.py has its part where the firmware reads it;
    further ones have a pin of their own, and a name.
    """
    pairs, further = _assigned(wiring, board)
    for sensor, part in pairs:
        if part is None:
            yield f"There is no part for {sensor.line} of SENSORS."
            continue
        if not _is_on(wiring, part, sensor.pins):
            data = SENSOR_PARTS[wiring.types[part]].data
            pins = " and ".join(f"GPIO{pin}" for pin in sensor.pins)
            yield f"{part}:{data} is not on {pins}, as SENSORS has it."
        yield from _circuit(wiring, part)
    for part in further:
        data = f"{part}:{SENSOR_PARTS[wiring.types[part]].data}"
        found = wiring.meets(data)
        if len(found) != 1 or not min(found).startswith("GPIO"):
            yield f"{data} is not on one GPIO."
        if found == {f"GPIO{board.led_gpio}"}:
            yield f"{data} is on GPIO{board.led_gpio}, which is LED_GPIO."
        if not NAME.fullmatch(part):
            yield f"{part}: SENSORS does not list it, and its id is no name for a sensor."
        yield from _circuit(wiring, part)
    yield from _shared(wiring)


def _shared(wiring: Wiring) -> Iterator[str]:
    """No pin is the data line of two sensors."""
    lines = [f"{part}:{SENSOR_PARTS[wiring.types[part]].data}" for part in wiring.of(*SENSOR_PARTS)]
    for net in wiring.nets:
        if len(both := [line for line in lines if line in net]) > 1:
            yield f"{' and '.join(both)} share {' and '.join(sorted(wiring.meets(both[0])))}."


def _circuit(wiring: Wiring, name: str) -> Iterator[str]:
    """A sensor is powered, and its data line pulled up to 3.3 V."""
    kind = SENSOR_PARTS[wiring.types[name]]
    if not wiring.meets(f"{name}:VCC") & {V3, V5}:
        yield f"{name}:VCC is on no 3V3 or 5V pin."
    if GND not in wiring.meets(f"{name}:GND"):
        yield f"{name}:GND is on no GND pin."
    if kind.open and len(wiring.net(f"{name}:{kind.open}")) > 1:
        yield f"{name}:{kind.open} is connected."
    if V3 not in wiring.through(f"{name}:{kind.data}", kind.ohm):
        least, most = (f"{ohm / 1000:g}" for ohm in kind.ohm)
        yield f"{name}:{kind.data} has no pull-up of {least} to {most} kOhm to 3V3."
