"""Readings as they came over the wire, live or in a batch, of whatever sensors, and in words.

It takes whatever arrives: what is no number is shown as `?`, and nothing raises. What a field is
in, its name says: docs/schema/telemetry.schema.json has the same names.
"""

import re
import textwrap
from collections.abc import Iterator
from typing import Any, NamedTuple

from limpet.shared.plain import clock, is_number, safe, word

# By the last word of a field's name.
UNITS = {"temperature": "°C", "humidity": "%", "pressure": "hPa", "supply": "V"}
# Those of which the unit does not say what they are.
_NAMED = {"supply"}
# What a Reading says beside what was measured.
_FRAME = frozenset(("v", "boot", "seq", "ts", "up", "dt"))
# More is shown in part: nothing a node sends comes near it.
MAX_READINGS = 512
MAX_FIELDS = 32
# Where a batch has nothing at all, which is not `null`.
_NOTHING = "?"
_BEFORE_UNIT = re.compile(rf" (?=(?:{'|'.join(map(re.escape, UNITS.values()))})(?: |$))")


class SeenReading(NamedTuple):
    """A Reading as it came over the wire: fields hold what was sent, None where nothing was.

    values: by the field's name, None where that could not be read.
    """

    boot: Any
    seq: Any
    ts: Any
    up: Any
    values: dict[str, Any]


def is_reading(message: dict[str, Any]) -> bool:
    """Whether an object has the name of a Reading, as what `read_now` brings."""
    return {"boot", "seq", "ts"} <= message.keys()


def readings(message: dict[str, Any]) -> list[SeenReading]:
    """Return the Readings in a payload: one, or those of a batch in their order."""
    return list(_readings(message))


def _readings(message: dict[str, Any]) -> Iterator[SeenReading]:
    boot, seq, ts, up = (message.get(key) for key in ("boot", "seq", "ts", "up"))
    fields = {name: value for name, value in message.items() if name not in _FRAME}
    fields = dict(list(fields.items())[:MAX_FIELDS])
    columns = {name: each for name, each in fields.items() if isinstance(each, list)}
    if not columns:
        if any(value is not None for value in fields.values()):
            yield SeenReading(boot, seq, ts, up, fields)
        return
    for i in range(min(MAX_READINGS, max(map(len, columns.values())))):
        offset = _offset(message.get("dt"), i)
        values = {}
        for name in fields:
            column = columns.get(name, [])
            values[name] = column[i] if i < len(column) else _NOTHING
        yield SeenReading(boot, _plus(seq, i), _plus(ts, offset), _plus(up, offset), values)


def _offset(dt: Any, i: int) -> Any:
    """Return the seconds of Reading i after the first: spacing, or a list of offsets."""
    if isinstance(dt, list):
        return dt[i] if i < len(dt) else None
    return dt * i if is_number(dt) else (0 if i == 0 else None)


def _plus(value: Any, more: Any) -> Any:
    return value + more if is_number(value) and is_number(more) else None


def measured(reading: SeenReading, between: str = " ") -> list[str]:
    """Return what was measured, a text for each sensor: `24.4 °C 46.3 %`, `outdoor 7.1 °C`."""
    sensors: dict[str, list[str]] = {}
    for name, value in reading.values.items():
        sensor, _, quantity = name.rpartition("_")
        unit = UNITS.get(quantity)
        if unit and quantity not in _NAMED:
            text = f"{_number(value, 1)} {unit}"
            sensors.setdefault(sensor.replace("_", " "), []).append(text)
        else:  # its name is the only word for what it is
            text = f"{_number(value, 1)} {unit}" if unit else _number(value)
            sensors[name.replace("_", " ")] = [text]
    return [f"{safe(each)} {between.join(said)}".lstrip() for each, said in sensors.items()]


def _number(value: Any, places: int = 0) -> str:
    """Return a value with the places that it came with, at least `places` and at most 3: `-` where
    it could not be read, `?` where it is no number.
    """
    if value is None:
        return "-"
    if not is_number(value) or abs(value) >= 1e6:
        return "?"
    whole, _, rest = f"{value:.3f}".partition(".")
    rest = rest.rstrip("0").ljust(places, "0")
    return f"{whole}.{rest}" if rest else whole


def reading_values(reading: SeenReading) -> str:
    """Return what was measured and its seq: `24.4 °C 46.3 % seq 1042`."""
    return " ".join([*measured(reading), f"seq {word(reading.seq)}"])


def reading_text(reading: SeenReading) -> str:
    """Return a Reading in words: `24.4 °C 46.3 % seq 1042 12:03:10`."""
    when = clock(reading.ts)
    if not when and reading.up is not None:
        when = f"{word(reading.up)} s into boot {word(reading.boot)}"
    return f"{reading_values(reading)} {when}".rstrip()


def wrapped(text: str, width: int, indent: str = "") -> list[str]:
    """Return the lines of a text, at most `width` wide: broken at blanks but those before a unit,
    and in a word where that alone is longer. indent: before all lines but the first.
    """
    # A no-break space is none to textwrap; what `safe` lets through has none of its own.
    kept = _BEFORE_UNIT.sub("\N{NO-BREAK SPACE}", text)
    found = textwrap.wrap(
        kept, width, subsequent_indent=indent, break_on_hyphens=False, replace_whitespace=False
    )
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in found] or [""]
