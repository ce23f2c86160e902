"""What arrives, turned into what the store takes. Pure: nothing is read, sent or stored.

A payload is anybody's bytes. What is not what its topic promises is not an error but a `Rejected`,
with a reason that is one of REASONS; what is good beside it is taken all the same.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple, TypeGuard

from limpet.shared.firmware import topics
from limpet.shared.payloads import BASE_LEVELS, READINGS

# What somebody should know of, by reason.
REASONS = {
    "bad-topic": "a topic that is not UTF-8, or none of a device",
    "unknown-device": "a device that is not in the registry",
    "too-long": "a payload of more than 64 KB",
    "not-json": "no JSON object in UTF-8",
    "other-version": "a payload whose `v` is not 1",
    "no-reading": "no boot, seq and ts, or nothing that was measured",
    "bad-boot": "a boot that is none: 1 to 4294967295",
    "bad-seq": "a seq that is none: 0 to 4294967295",
    "bad-ts": "a time that is none: whole Unix seconds, or null with up",
    "uneven-batch": "lists of different lengths, or no dt that fits them",
    "bad-field": "a field whose name is none: lower case, digits and _, 48 letters at most",
    "bad-value": "a value that is no number, or beyond a billion; the other fields are taken",
    "too-many-fields": "more than 32 fields in a Reading, or 200 in the store",
    "bad-event": "a status, alert, health or Response without what tells it from others",
    "unstorable": "what the database takes from nobody",
}
# These are said of a part: the Reading they came with is stored without it.
PARTIAL = {"bad-field", "bad-value", "too-many-fields"}

MAX_PAYLOAD = 65536
# What is kept of a payload that was rejected.
KEPT_BYTES = 2048
MAX_FIELDS = 32
MAX_BATCH = 1000
# Nothing that a node measures comes near it; means and sums of more would overflow.
MAX_VALUE = 1e9
_UINT32 = 0xFFFFFFFF
FRAME = frozenset(("v", "boot", "seq", "ts", "up", "dt"))
# Columns of the store, and of every table in PostgreSQL.
RESERVED = FRAME | {
    "device", "tableoid", "xmin", "cmin", "xmax", "cmax", "ctid", "oid", "rowid",
}  # fmt: skip
_FIELD = re.compile(r"[a-z][a-z0-9_]{0,47}")

# Beside Readings: the suffix of the topic, and what it is called in the store.
EVENTS = {
    topics.STATUS: "status",
    topics.ALERTS: "alert",
    topics.HEALTH: "health",
    topics.RESPONSE: "response",
}


class Reading(NamedTuple):
    """A Reading of `device`: `ts` in Unix seconds, None where the node did not know; then `up`,
    seconds since that boot began. values: by the field's name; None where it could not be read.
    """

    device: str
    boot: int
    seq: int
    ts: int | None
    up: int | None
    values: dict[str, float | None]


class Event(NamedTuple):
    """What else a device has said. kind: `status`, `alert`, `health` or `response`. key: tells it
    from others of its kind; the same key again is the same. at: Unix seconds.
    """

    device: str
    kind: str
    key: str
    at: int
    payload: str


class Rejected(NamedTuple):
    """A payload, or the first KEPT_BYTES of it, that was not taken as a whole; device: its id where
    that is a known one.
    """

    topic: str
    reason: str
    size: int
    payload: bytes
    device: str = ""


class Taken(NamedTuple):
    """What one Message was made of."""

    readings: list[Reading]
    events: list[Event]
    rejected: list[Rejected]


class _No(Exception):
    """The whole payload is not taken; the text is the reason."""


class Intake:
    """Turns Messages into Taken. known: base topics by device id, kept up to date by its owner;
    None where there is no registry to ask: then every device counts.
    """

    def __init__(self, known: dict[str, str] | None = None) -> None:
        self.known = known
        self._devices: dict[str, tuple[str, str]] = {}

    def take(self, topic: str | None, payload: bytes, now: int) -> Taken:
        """Return what a Message says. topic: None where that is not UTF-8. now: Unix seconds."""
        taken = Taken([], [], [])
        device = ""
        try:
            device, kind = self._place(topic)
            if not payload:
                return taken  # a retained Message that somebody has cleared
            self._take(taken, device, kind, topic or "", payload, now)
        except _No as why:
            _reject(taken, str(why), topic or "", payload, device)
        return taken

    def _take(
        self, taken: Taken, device: str, kind: str, topic: str, payload: bytes, now: int
    ) -> None:
        message = _decoded(payload)
        if kind in READINGS:
            for reason in _readings(taken.readings, device, message):
                _reject(taken, reason, topic, payload, device)
        else:
            at = message.get("ts")
            at = at if is_whole(at) else now
            key = _key(EVENTS[kind], message, at)
            taken.events.append(Event(device, EVENTS[kind], key, at, payload.decode()))

    def _place(self, topic: str | None) -> tuple[str, str]:
        """Return the device and the kind of a topic; raises _No."""
        if topic is None:
            raise _No("bad-topic")
        found = self._devices.get(topic)
        if found is None:
            found = _split(topic)
            if len(self._devices) > 100_000:  # of a broker that lets anybody say anything
                self._devices.clear()
            self._devices[topic] = found
        if self.known is not None and found[0] not in self.known:
            raise _No("unknown-device")
        return found


def _split(topic: str) -> tuple[str, str]:
    levels = topic.split("/")
    kind = "/".join(levels[BASE_LEVELS:])
    if kind.startswith(topics.RESPONSE + "/"):
        kind = topics.RESPONSE
    device = levels[BASE_LEVELS - 1] if len(levels) > BASE_LEVELS else ""
    if not device or len(device) > 64 or (kind not in READINGS and kind not in EVENTS):
        raise _No("bad-topic")
    return device, kind


def _reject(taken: Taken, reason: str, topic: str, payload: bytes, device: str) -> None:
    kept = payload[:KEPT_BYTES]
    device = "" if reason == "unknown-device" else device
    taken.rejected.append(Rejected(topic[:256], reason, len(payload), kept, device))


def _decoded(payload: bytes) -> dict[str, Any]:
    if len(payload) > MAX_PAYLOAD:
        raise _No("too-long")
    try:
        message = json.loads(payload.decode())
    except (ValueError, RecursionError):
        raise _No("not-json") from None
    if not isinstance(message, dict):
        raise _No("not-json")
    if message.get("v", 1) != 1:
        raise _No("other-version")
    return message


def is_whole(value: Any, least: int = 0, most: int = _UINT32) -> TypeGuard[int]:
    """Whether it is a whole number from `least` to `most`; true and false are none."""
    return type(value) is int and least <= value <= most


def _readings(into: list[Reading], device: str, message: dict[str, Any]) -> list[str]:
    """Append the Readings of a payload; return the reasons for what is left out of them. Raises
    _No, with nothing appended.
    """
    boot, seq, ts = message.get("boot"), message.get("seq"), message.get("ts")
    if boot is None or seq is None:
        raise _No("no-reading")
    if not is_whole(boot, 1):
        raise _No("bad-boot")
    if not is_whole(seq):
        raise _No("bad-seq")
    up = None
    if ts is None:
        up = message.get("up")
        if not is_whole(up):
            raise _No("bad-ts")
    elif not is_whole(ts):
        raise _No("bad-ts")
    wrong: list[str] = []
    fields = _fields(message, wrong)
    if not fields:
        raise _No("no-reading")
    if "dt" not in message and not any(type(value) is list for value in fields.values()):
        made = [Reading(device, boot, seq, ts, up, _checked(fields, wrong))]
    else:
        made = _batch(device, (boot, seq, ts, up), fields, message.get("dt"), wrong)
    # In a batch one may be empty, as a boot's seqs have no hole.
    if not any(value is not None for each in made for value in each.values.values()):
        raise _No("no-reading")
    into += made
    return list(dict.fromkeys(wrong))


def _fields(message: dict[str, Any], wrong: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in message.items():
        if name in FRAME:
            continue
        if name in RESERVED or not _FIELD.fullmatch(name):
            wrong.append("bad-field")
        elif len(found) == MAX_FIELDS:
            wrong.append("too-many-fields")
        else:
            found[name] = value
    return found


def _batch(
    device: str, frame: tuple[Any, ...], fields: dict[str, Any], dt: Any, wrong: list[str]
) -> list[Reading]:
    """Return the Readings of a batch: i is seq + i, at ts + i * dt or ts + dt[i]."""
    boot, seq, ts, up = frame
    sizes = {len(value) if isinstance(value, list) else -1 for value in fields.values()}
    size = sizes.pop()
    if sizes or not 0 < size <= MAX_BATCH:
        raise _No("uneven-batch")
    if dt is None and size == 1:
        dt = 0
    if isinstance(dt, list):
        if len(dt) != size or not all(is_whole(each) for each in dt):
            raise _No("uneven-batch")
        offsets = dt
    elif is_whole(dt):
        offsets = [dt * i for i in range(size)]
    else:
        raise _No("uneven-batch")
    if seq + size - 1 > _UINT32:
        raise _No("bad-seq")
    if (up if ts is None else ts) + max(offsets) > _UINT32:
        raise _No("bad-ts")
    made = []
    for i, offset in enumerate(offsets):
        values = _checked({name: column[i] for name, column in fields.items()}, wrong)
        then = None if ts is None else ts + offset
        made.append(Reading(device, boot, seq + i, then, up if up is None else up + offset, values))
    return made


def _checked(fields: dict[str, Any], wrong: list[str]) -> dict[str, float | None]:
    """Return the values, with None for each that is no number; `wrong` is told."""
    for name, value in fields.items():
        if value is None:
            continue
        kind = type(value)
        # NaN, which Python's parser takes, is not within anything.
        if (kind is not float and kind is not int) or not -MAX_VALUE <= value <= MAX_VALUE:
            wrong.append("bad-value")
            fields[name] = None
    return fields


def _key(kind: str, message: dict[str, Any], at: int) -> str:
    """Return what tells an event from others of its kind; raises _No where it is not there."""
    if kind == "status":
        parts = [message.get("boot"), message.get("session")]
        if not all(is_whole(each, 1) for each in parts):
            raise _No("bad-event")
        parts.append(message.get("status"))
    elif kind == "alert":
        parts = [at, message.get("alert"), message.get("state")]
    elif kind == "health":
        parts = [at, message.get("up")]
    else:
        parts = [message.get("id")]
    words = [str(each) for each in parts if is_whole(each) or isinstance(each, str)]
    if len(words) != len(parts) or not all(word.isprintable() for word in words):
        raise _No("bad-event")
    return " ".join(words)[:200]
