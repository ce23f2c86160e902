"""What the payloads on the wire mean, in words for a person: Readings, status, health, Responses.

It takes whatever arrives: a payload that is not what its topic promises is shown as it is, never an
error. Control characters do not leave this module.
"""

import json
import math
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from limpet.shared.firmware import topics

# org/site/zone/device-type/device-id, then what kind of payload it is.
BASE_LEVELS = 5
# A batch longer than this is shown in part: nothing a node sends comes near it.
MAX_READINGS = 512
TIME = "{org}/" + topics.TIME


class SeenReading(NamedTuple):
    """A Reading as it came over the wire: fields hold what was sent, None where nothing was."""

    boot: Any
    seq: Any
    ts: Any
    up: Any
    temperature: Any
    humidity: Any


def kind_of(topic: str) -> str:
    """Return what follows the device's base topic, such as `telemetry`; empty when nothing does.
    For `{org}/time`, which is no device's, TIME.
    """
    levels = topic.split("/")
    return TIME if levels[1:] == [topics.TIME] else "/".join(levels[BASE_LEVELS:])


def device_of(topic: str) -> str:
    """Return the device id in `topic`; the whole topic where it has too few levels to hold one."""
    levels = topic.split("/")
    return levels[BASE_LEVELS - 1] if len(levels) >= BASE_LEVELS else topic


def safe(text: str) -> str:
    """Return `text` without what could steer a terminal: it becomes `\\xNN`, `\\uNNNN`.

    Beside control characters that is what turns the direction of writing, or breaks lines.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def show(payload: bytes) -> str:
    """Return a payload as one safe line of text; bytes that are not UTF-8 become `\\xNN`."""
    return safe(payload.decode("utf-8", "backslashreplace"))


def decode(payload: bytes) -> dict[str, Any] | None:
    """Return the JSON object in `payload`, or None where there is none."""
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def readings(message: dict[str, Any]) -> list[SeenReading]:
    """Return the Readings in a telemetry payload: one, or those of a backlog in their order."""
    return list(_readings(message))


def _readings(message: dict[str, Any]) -> Iterator[SeenReading]:
    boot, seq, ts, up = (message.get(key) for key in ("boot", "seq", "ts", "up"))
    temperature, humidity = message.get("temperature"), message.get("humidity")
    if not isinstance(temperature, list) and not isinstance(humidity, list):
        if temperature is not None or humidity is not None:
            yield SeenReading(boot, seq, ts, up, temperature, humidity)
        return
    columns = [column if isinstance(column, list) else [] for column in (temperature, humidity)]
    for i in range(min(MAX_READINGS, max(map(len, columns)))):
        offset = _offset(message.get("dt"), i)
        yield SeenReading(
            boot,
            _plus(seq, i),
            _plus(ts, offset),
            _plus(up, offset),
            *(column[i] if i < len(column) else None for column in columns),
        )


def _offset(dt: Any, i: int) -> Any:
    """Return the seconds of Reading i after the first: spacing, or a list of offsets."""
    if isinstance(dt, list):
        return dt[i] if i < len(dt) else None
    return dt * i if is_number(dt) else (0 if i == 0 else None)


def _plus(value: Any, more: Any) -> Any:
    return value + more if is_number(value) and is_number(more) else None


def is_number(value: Any) -> bool:
    """True for a finite number; not for true, false, or an int that no float can hold."""
    try:
        return (
            not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)
        )
    except OverflowError:
        return False


def tenths(value: Any, unit: str) -> str:
    """Return a measured value with one decimal and its unit, or `?` where it is not a number."""
    return f"{value:.1f} {unit}" if is_number(value) and abs(value) < 1e6 else f"? {unit}"


def clock(ts: Any) -> str:
    """Return Unix seconds as local time `12:03:10`, the date before it if not today; else empty."""
    if not is_number(ts):
        return ""
    try:
        then = time.localtime(ts)
    except (ValueError, OverflowError, OSError):
        return ""
    today = time.localtime()[:3] == then[:3]
    return time.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S", then)


def word(value: Any) -> str:
    """Return any JSON value as one safe line: strings bare, the rest as JSON."""
    try:
        return safe(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    except (ValueError, RecursionError):
        return "?"


def reading_values(reading: SeenReading) -> str:
    """Return what was measured and its seq: `24.4 °C 46.3 % seq 1042`."""
    values = f"{tenths(reading.temperature, '°C')} {tenths(reading.humidity, '%')}"
    return f"{values} seq {word(reading.seq)}"


def reading_text(reading: SeenReading) -> str:
    """Return a Reading in words: `24.4 °C 46.3 % seq 1042 12:03:10`."""
    when = clock(reading.ts)
    if not when and reading.up is not None:
        when = f"{word(reading.up)} s into boot {word(reading.boot)}"
    return f"{reading_values(reading)} {when}".rstrip()


def status_text(message: dict[str, Any]) -> str:
    """Return a status in words: `online boot 7 session 31 fw 0.1.0 reset power-on`."""
    parts = [word(message.get("status", "?"))]
    parts += [
        f"{key} {word(message[key])}"
        for key in ("reason", "boot", "session", "fw")
        if key in message
    ]
    if "reset" in message:
        parts.append(f"reset {word(message['reset'])}")
    if "why" in message:
        parts.append(f"why {word(message['why'])}")
    outage = message.get("outage")
    if isinstance(outage, dict):
        parts.append(
            f"after {word(outage.get('s', '?'))} s without link: {word(outage.get('cause', '?'))}"
        )
    alerts = message.get("alerts")
    if isinstance(alerts, list) and alerts:
        more = message.get("more_alerts")
        parts.append("alerts " + ", ".join(map(word, alerts)))
        parts += [] if more is None else [f"and {word(more)} more"]
    return " ".join(parts)


def response_text(message: dict[str, Any]) -> str:
    """Return a Response in words: `req-123 executed {...}` or `req-123 rejected bad-value: why`."""
    parts = [word(message.get("id", "?")), word(message.get("status", "?"))]
    if "code" in message:
        parts.append(f"{word(message['code'])}: {word(message.get('text', ''))}")
    elif message.get("result"):
        parts.append(result_text(message["result"]))
    return " ".join(parts)


def result_text(result: Any) -> str:
    """Return what a Command brought: a Reading in words, anything else as `key=value`."""
    if isinstance(result, dict) and "temperature" in result and "humidity" in result:
        return " ".join(reading_text(reading) for reading in readings(result))
    return pairs(result)


def pairs(values: Any) -> str:
    """Return an object as `key=value key=value`, anything else as JSON."""
    if not isinstance(values, dict):
        return word(values)
    return " ".join(f"{safe(key)}={word(value)}" for key, value in values.items())


def _command_text(message: dict[str, Any]) -> str:
    params = message.get("params")
    rest = pairs(params) if isinstance(params, dict) else ""
    return f"{word(message.get('id', '?'))} {word(message.get('action', '?'))} {rest}".rstrip()


def _alert_text(message: dict[str, Any]) -> str:
    names = ("alert", "state", "value", "limit")
    words = [word(message[n]) for n in names[:2] if n in message]
    words += [f"{n} {word(message[n])}" for n in names[2:] if n in message]
    return " ".join([*words, clock(message.get("ts"))]).rstrip()


def _plain_text(message: dict[str, Any]) -> str:
    rest = {key: value for key, value in message.items() if key not in ("v", "ts")}
    return f"{pairs(rest)} {clock(message.get('ts'))}".strip()


def describe(topic: str, payload: bytes) -> list[str]:
    """Return what a payload says: a line per Reading, one for all else, none if unknown."""
    kind = kind_of(topic)
    if not payload:
        return ["(empty: nothing is retained here any more)"]
    message = decode(payload)
    if message is None:
        return []
    if kind == "telemetry":
        return [reading_text(reading) for reading in readings(message)]
    if kind.startswith("commands/response"):
        return [response_text(message)]
    text = {
        "status": status_text,
        "commands": _command_text,
        "alerts": _alert_text,
        "health": _plain_text,
        "config/desired": _plain_text,
        "config/reported": _plain_text,
        TIME: _plain_text,
    }.get(kind)
    return [text(message)] if text else []
