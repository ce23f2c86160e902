"""What the payloads on the wire mean, in words for a person: Readings, status, health, Responses.

It takes whatever arrives: a payload that is not what its topic promises is shown as it is, never an
error. Control characters do not leave this module. Readings are in seen_readings.py.
"""

import json
from typing import Any

from limpet.shared.firmware import topics
from limpet.shared.plain import clock, safe, word
from limpet.shared.seen_readings import is_reading, reading_text, readings

# org/site/zone/device-type/device-id, then what kind of payload it is.
BASE_LEVELS = 5
TIME = "{org}/" + topics.TIME
# Readings: live ones, and those that waited; through a broker of before both come on the first.
READINGS = (topics.TELEMETRY, topics.BACKLOG)


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


def response_text(message: dict[str, Any], action: str = "") -> str:
    """Return a Response in words: `req-123 executed {...}` or `req-123 rejected bad-value: why`;
    with what the Command asked for behind its id, where that is known.
    """
    asked = [word(action)] if action else []
    parts = [word(message.get("id", "?")), *asked, word(message.get("status", "?"))]
    if "code" in message:
        parts.append(f"{word(message['code'])}: {word(message.get('text', ''))}")
    elif message.get("result"):
        parts.append(result_text(message["result"]))
    return " ".join(parts)


def result_text(result: Any) -> str:
    """Return what a Command brought: a Reading in words, anything else as `key=value`."""
    if isinstance(result, dict) and is_reading(result):
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
    names = ("alert", "state", "reason", "value", "limit")
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
    if kind in READINGS:
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
