"""What each device has last said, for as long as this program runs. Pure.

What is kept is bounded, whatever comes: devices by the registry, fields by MAX_FIELDS of a device
and MAX_NAMES of the fleet, causes by the list that nodes have. What is beyond that is counted.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from limpet.deploying.node_log import CAUSES, PASSING
from limpet.ingest.consumer import Message
from limpet.ingest.intake import MAX_FIELDS, Event, Intake, Reading, is_whole
from limpet.ingest.spans import Spans
from limpet.shared.firmware import topics
from limpet.shared.plain import is_number

# Different names of fields in one fleet: what `limpet ingest` takes too.
MAX_NAMES = 200
# Of one boot; a device with more holes has the oldest ones given up.
MAX_SPANS = 500
OTHER = "other"
_CAUSES = CAUSES.keys() | PASSING.keys()
_FIRMWARE = re.compile(r"[0-9A-Za-z.+_-]{1,40}")


@dataclass
class Heard:
    """Of one device. seen: when something came from it, Unix seconds, 0 where nothing has yet.
    online, boot, session, firmware: of its last status. reading: the newest; fields: all that it
    has said, at most MAX_FIELDS. health: numbers by name. losses: how often by cause, this boot.
    """

    seen: float = 0.0
    online: bool | None = None
    boot: int | None = None
    session: int = 0
    firmware: str = ""
    reading: Reading | None = None
    fields: set[str] = field(default_factory=set)
    health: dict[str, float] = field(default_factory=dict)
    losses: Counter[str] = field(default_factory=Counter)
    read_errors: float = 0.0
    spans: Spans = field(default_factory=lambda: Spans(most=MAX_SPANS))

    def missing(self) -> int:
        """Return how many seqs of the last boot were passed over and have not come."""
        return self.spans.given_up + sum(last - first + 1 for first, last in self.spans.holes())


class Fleet:
    """All of the fleet. bases: base topics by device id, the registry's."""

    def __init__(self, bases: dict[str, str]) -> None:
        self.devices: dict[str, Heard] = {}
        self.rejected: Counter[str] = Counter()
        self.ignored_fields = 0
        self._names: set[str] = set()
        self._intake = Intake()
        self.known(bases)

    def known(self, bases: dict[str, str]) -> None:
        """Go by the registry of now: who is not in it any more is forgotten."""
        if bases == self._intake.known:
            return
        self._intake.known = dict(bases)
        self.devices = {name: self.devices.get(name) or Heard() for name in sorted(bases)}

    def interrupted(self) -> None:
        """There was no connection: what was said meanwhile is nobody's gap."""
        for each in self.devices.values():
            each.spans = Spans(most=MAX_SPANS)

    def take(self, message: Message, now: float) -> None:
        """Note a Message, of any content. now: Unix seconds."""
        readings, events, rejected = self._intake.take(message.topic, message.payload, int(now))
        for refused in rejected:
            self.rejected[refused.reason] += 1
        names = [each.device for each in readings] or [each.device for each in events]
        if not names:
            return
        heard = self.devices[names[0]]
        if not message.retained:
            heard.seen = now
        live = (message.topic or "").endswith(topics.TELEMETRY)
        self._readings(heard, readings, live)
        for event in events:
            _event(heard, event, message.retained)

    def _readings(self, heard: Heard, readings: Iterable[Reading], live: bool) -> None:
        for each in readings:
            last = heard.reading
            # A device whose flash was erased counts anew: what it says live is newer all the same.
            anew = last is not None and live and each.boot < last.boot and _later(each, last)
            if last is None or anew or each.boot > last.boot:
                heard.spans = Spans(most=MAX_SPANS)
            if last is None or anew or (each.boot, each.seq) > (last.boot, last.seq):
                heard.reading = last = each
                self._fields(heard, each.values)
            if each.boot == last.boot:
                heard.spans.add(each.seq, each.ts)

    def _fields(self, heard: Heard, names: Iterable[str]) -> None:
        for name in names:
            if name in heard.fields:
                continue
            new = name not in self._names
            if len(heard.fields) >= MAX_FIELDS or (new and len(self._names) >= MAX_NAMES):
                self.ignored_fields += 1
                continue
            heard.fields.add(name)
            self._names.add(name)


def _later(one: Reading, other: Reading) -> bool:
    return one.ts is not None and other.ts is not None and one.ts > other.ts


def _event(heard: Heard, event: Event, retained: bool) -> None:
    message: dict[str, Any] = json.loads(event.payload)  # intake has read it once
    if event.kind == "status":
        _status(heard, message, retained)
    elif event.kind == "health":
        _health(heard, message)


def _status(heard: Heard, message: dict[str, Any], retained: bool) -> None:
    word, boot, session = (message.get(name) for name in ("status", "boot", "session"))
    if word not in ("online", "offline") or not is_whole(boot, 1) or not is_whole(session, 1):
        return
    # A will may come late; a birth that comes now is of now, also of a device that counts anew.
    newer = heard.boot is None or (boot, session) >= (heard.boot, heard.session)
    if not newer and (word == "offline" or retained):
        return
    if boot != heard.boot:
        heard.health.clear()
        heard.losses.clear()
        heard.read_errors = 0.0
    heard.online, heard.boot, heard.session = word == "online", boot, session
    firmware = message.get("fw")
    if isinstance(firmware, str):
        heard.firmware = firmware if _FIRMWARE.fullmatch(firmware) else OTHER


def _health(heard: Heard, message: dict[str, Any]) -> None:
    heard.health = {
        name: float(value)
        for name, value in message.items()
        if name in HEALTH and is_number(value) and (value >= 0 or name == "rssi")
    }
    heard.losses = Counter()
    for cause, count in _counts(message.get("downs")):
        heard.losses[cause if cause in _CAUSES else OTHER] += count
    heard.read_errors = float(sum(count for _, count in _counts(message.get("read_errors"))))


def _counts(found: Any) -> Iterable[tuple[str, int]]:
    items = found.items() if isinstance(found, dict) else ()
    return [(name, count) for name, count in items if is_whole(count)]


# What is taken of a device's health as it is: docs/schema/health.schema.json.
HEALTH = {
    "up", "interval_s", "queued", "dropped", "reads", "handshake_ms", "ping_ms", "rssi",
    "heap", "heap_min", "idf", "idf_largest", "flash_errors", "bugs",
}  # fmt: skip
