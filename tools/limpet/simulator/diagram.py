"""A linter for the Wokwi diagrams of our Boards: what is wrong with one, each fault in a sentence.

It knows our circuit, an LED and sensors on a board, and so finds what Wokwi's own linter cannot: a
sensor without power, a data line on another GPIO than the firmware's. Where parts are drawn does
not matter; it knows the parts of wokwi_parts.py.
"""

from collections.abc import Iterator
from typing import Any

from limpet.boards.board_facts import BoardFacts
from limpet.simulator import diagram_sensors
from limpet.simulator.wiring import Wiring, wiring
from limpet.simulator.wokwi_parts import GND, MONITOR, MONITOR_PINS, PARTS, Part

# Below, a red LED at 3.3 V draws more than the 13 mA that it is worth.
LED_OHM = (100, 10_000)


def faults(diagram: Any, board: BoardFacts) -> list[str]:
    """Return what is wrong with a diagram.json (parsed) for a Board; [] when nothing is.

    Faults of form hide those of wiring, which cannot be told before.
    """
    found = list(_form(diagram)) or list(_names(diagram))
    if found:
        return found
    wired = wiring(diagram)
    found = list(_board(wired, board))
    if not found:
        board_id = wired.of(*(name for name, part in PARTS.items() if part.chip))[0]
        found = [*_serial(wired, board_id), *_joined(wired)]
        found += [*diagram_sensors.faults(wired, board), *_led(wired, board.led_gpio)]
        found += _idle(wired)
    return found


def _form(diagram: Any) -> Iterator[str]:
    """Version, and each part and connection of the types that Wokwi reads."""
    if not isinstance(diagram, dict) or diagram.get("version") != 1:
        yield "The diagram is no JSON object of version 1."
        return
    parts, connections = diagram.get("parts"), diagram.get("connections")
    if not isinstance(parts, list) or not isinstance(connections, list):
        yield "Parts or connections are no list."
        return
    for number, part in enumerate(parts):
        if not isinstance(part, dict) or not all(
            isinstance(part.get(key), str) for key in ("id", "type")
        ):
            yield f"Part {number} has no id or no type."
            continue
        for name, value in part.get("attrs", {}).items():
            if not isinstance(value, str):
                yield f"{part['id']}: attribute {name} is no string."
    for number, wire in enumerate(connections):
        ends = wire[:3] if isinstance(wire, list) and len(wire) in (3, 4) else [None]
        path = wire[3] if len(ends) == 3 and len(wire) == 4 else []
        if not all(isinstance(end, str) for end in ends) or not (
            isinstance(path, list) and all(isinstance(step, str) for step in path)
        ):
            yield f"Connection {number} is not [from, to, colour, [path]]."


def _names(diagram: dict[str, Any]) -> Iterator[str]:
    """Ids are unique, types and attributes known, and connections end at pins that exist."""
    types: dict[str, Part | None] = {}
    for part in diagram["parts"]:
        name, type_ = part["id"], part["type"]
        if name in types:
            yield f"There are two parts {name}."
        known = types[name] = PARTS.get(type_)
        if not known:
            yield f"{name}: {type_} is no part that wokwi_parts.py knows."
            continue
        for attribute, value in part.get("attrs", {}).items():
            if attribute not in known.numbers | known.words:
                yield f"{name}: {type_} has no attribute {attribute}."
            elif attribute in known.numbers and not _is_number(value):
                yield f"{name}: attribute {attribute} is no number: {value}."
    for wire in diagram["connections"]:
        for end in wire[:2]:
            name, _, pin = end.partition(":")
            part = types.get(name)
            if name != MONITOR and name not in types:
                yield f"{end}: there is no part {name}."
            elif pin not in (MONITOR_PINS if name == MONITOR else part.pins if part else {pin}):
                yield f"{end}: there is no such pin."


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _board(wiring: Wiring, board: BoardFacts) -> Iterator[str]:
    """One board, with the Board's chip and its size of flash."""
    found = wiring.of(*(name for name, part in PARTS.items() if part.chip))
    if len(found) != 1:
        yield f"There are {len(found)} boards instead of one."
        return
    chip = PARTS[wiring.types[found[0]]].chip
    if chip != board.chip:
        yield f"{found[0]} has {chip}, {board.name} has {board.chip}."
    flash = wiring.attrs[found[0]].get("flashSize", "4")
    if flash != str(board.flash_mb):
        yield f"{found[0]} has {flash} MB of flash, {board.name} has {board.flash_mb}."


def _serial(wiring: Wiring, board: str) -> Iterator[str]:
    """The serial monitor hears the console, unless that is the chip's own USB."""
    if wiring.attrs[board].get("serialInterface") == "USB_SERIAL_JTAG":
        return
    for pin, monitor in (("TX", "RX"), ("RX", "TX")):
        if f"{MONITOR}:{monitor}" not in wiring.net(f"{board}:{pin}"):
            yield f"{board}:{pin} does not lead to {MONITOR}:{monitor}."


def _joined(wiring: Wiring) -> Iterator[str]:
    """No wire joins what must not be: two rails, two GPIOs, or a GPIO and a rail."""
    for net in wiring.nets:
        both = wiring.meets(min(net))
        if len(both) > 1:
            yield f"{' and '.join(sorted(both))} are joined."


def _led(wiring: Wiring, gpio: int) -> Iterator[str]:
    """One LED, from the firmware's pin through a resistor to ground."""
    found = wiring.of("wokwi-led")
    if len(found) != 1:
        yield f"There are {len(found)} LEDs instead of one."
        return
    name = found[0]
    if wiring.through(f"{name}:A", LED_OHM) != {f"GPIO{gpio}"}:
        yield f"{name}:A is not on GPIO{gpio}, which is LED_GPIO, through 100 Ohm or more."
    if GND not in wiring.meets(f"{name}:C"):
        yield f"{name}:C is on no GND pin."


def _idle(wiring: Wiring) -> Iterator[str]:
    """No part lies about unconnected."""
    used = {end.partition(":")[0] for net in wiring.nets for end in net}
    yield from (f"{name} is connected to nothing." for name in wiring.types if name not in used)
