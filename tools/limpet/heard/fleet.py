"""What each device has last said, for as long as this program runs, and so how it is. Pure.

What is kept is bounded, whatever comes: devices by the registry, fields by MAX_FIELDS of a device
and MAX_NAMES of the fleet, causes by the list that nodes have. What is beyond that is counted.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from limpet.deploying.node_log import CAUSES, PASSING
from limpet.ingest.consumer import Message
from limpet.ingest.intake import MAX_FIELDS, Event, Intake, Reading, Taken, is_whole
from limpet.ingest.spans import Spans
from limpet.shared import plain
from limpet.shared.firmware import topics
from limpet.shared.plain import is_number

# Different names of fields in one fleet: what `limpet ingest` takes too.
MAX_NAMES = 200
# Of one boot; a device with more holes has the oldest ones given up.
MAX_SPANS = 500
OTHER = "other"
# Alerts of one device that are remembered as raised; a node has fewer kinds of them.
MAX_ALERTS = 32
# Readings that wait on a device without being a queue: some are always on their way.
QUEUE_FEW = 10
# Who is online is silent when nothing came for so many intervals, and this; nodes say them in their
# health. The second is for who has not said its interval.
SILENT_INTERVALS = 3
SILENT_S = 30.0
UNKNOWN_SILENT_S = 600.0
# A node that sleeps is late by this before it counts as silent: its clock drifts, and it has to
# join its network.
WAKE_S = 120.0
# Of a text that a device says: what is longer is cut.
MAX_WORD = 64
STATUSES = ("online", "offline", "asleep")
# What `Heard.state` may be, the worst first.
STATES = ("silent", "offline", "unseen", "asleep", "online")
_CAUSES = CAUSES.keys() | PASSING.keys()
_FIRMWARE = re.compile(r"[0-9A-Za-z.+_-]{1,40}")


class Alert(NamedTuple):
    """An alert that is raised. since: Unix seconds, None where only a birth has named it."""

    since: float | None
    reason: str = ""


@dataclass
class Heard:
    """Of one device. began: since when we listen; seen: when something came from it, 0 where
    nothing has yet; both Unix seconds. status, reason, wake_at, boot, session, firmware: of its
    last status; since: when that first came, None where it was retained. reading: the newest;
    fields: all that it has said, at most MAX_FIELDS. health: numbers by name. alerts: those that
    are raised. losses: how often by cause, this boot. queue_grows: whether at the last health more
    waited than at the one before; dropped_at: when a health last said that more was given up, Unix
    seconds.
    """

    began: float = 0.0
    seen: float = 0.0
    status: str = ""
    reason: str = ""
    since: float | None = None
    wake_at: float | None = None
    alerts: dict[str, Alert] = field(default_factory=dict)
    boot: int | None = None
    session: int = 0
    firmware: str = ""
    reading: Reading | None = None
    fields: set[str] = field(default_factory=set)
    health: dict[str, float] = field(default_factory=dict)
    losses: Counter[str] = field(default_factory=Counter)
    read_errors: float = 0.0
    queue_grows: bool = False
    dropped_at: float | None = None
    spans: Spans = field(default_factory=lambda: Spans(most=MAX_SPANS))

    def state(self, now: float) -> str:
        """Return one of STATES. online: it says so, and something came within three intervals;
        silent: it says so, and nothing came; asleep: until it is to wake; unseen: no status was
        ever heard of. now: Unix seconds.
        """
        if not self.status:
            return "online" if self.seen and now <= self._late() else "unseen"
        if self.status == "asleep":
            return (
                "silent" if self.wake_at is not None and now > self.wake_at + WAKE_S else "asleep"
            )
        if self.status == "offline":
            return "offline"
        return "silent" if now > self._late() else "online"

    def _late(self) -> float:
        interval_s = self.health.get("interval_s")
        allowed = (
            UNKNOWN_SILENT_S if interval_s is None else SILENT_INTERVALS * interval_s + SILENT_S
        )
        return max(self.began, self.seen) + allowed

    def missing(self) -> int:
        """Return how many seqs of the last boot were passed over and have not come."""
        return self.spans.given_up + sum(last - first + 1 for first, last in self.spans.holes())


class Fleet:
    """All of the fleet. bases: base topics by device id, the registry's. began: since when we
    listen, Unix seconds.
    """

    def __init__(self, bases: dict[str, str], began: float = 0.0) -> None:
        self._began = began
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
        self.devices = {
            name: self.devices.get(name) or Heard(self._began) for name in sorted(bases)
        }

    def interrupted(self, now: float = 0.0) -> None:
        """There was no connection: what was said meanwhile is nobody's gap, and nobody was silent.
        now: Unix seconds.
        """
        self._began = now
        for each in self.devices.values():
            each.spans, each.began = Spans(most=MAX_SPANS), now

    def take(self, message: Message, now: float) -> Taken | None:
        """Note a Message, of any content; return what it was made of, None where nothing of a known
        device is in it. now: Unix seconds.
        """
        taken = self._intake.take(message.topic, message.payload, int(now))
        readings, events, rejected = taken
        for refused in rejected:
            self.rejected[refused.reason] += 1
        names = [each.device for each in readings] or [each.device for each in events]
        if not names:
            return None
        heard = self.devices[names[0]]
        if not message.retained:
            heard.seen = now
        live = (message.topic or "").endswith(topics.TELEMETRY)
        self._readings(heard, readings, live)
        for event in events:
            _event(heard, event, message.retained, now)
        return taken

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


def _event(heard: Heard, event: Event, retained: bool, now: float) -> None:
    message: dict[str, Any] = json.loads(event.payload)  # intake has read it once
    if event.kind == "status":
        _status(heard, message, None if retained else now)
    elif event.kind == "health":
        _health(heard, message, now)
    elif event.kind == "alert":
        _alert(heard, message, event.at)


def _alert(heard: Heard, message: dict[str, Any], at: float) -> None:
    name = plain.word(message["alert"])[:MAX_WORD]
    if message["state"] == "cleared":
        heard.alerts.pop(name, None)
    elif message["state"] == "raised" and (name in heard.alerts or _has_room(heard)):
        heard.alerts[name] = Alert(at, plain.word(message.get("reason", ""))[:MAX_WORD])


def _has_room(heard: Heard) -> bool:
    return len(heard.alerts) < MAX_ALERTS


def _status(heard: Heard, message: dict[str, Any], now: float | None) -> None:
    """Note a status; now: None for one that is retained."""
    word, boot, session = (message.get(name) for name in ("status", "boot", "session"))
    if word not in STATUSES or not is_whole(boot, 1) or not is_whole(session, 1):
        return
    # A will may come late; a birth that comes now is of now, also of a device that counts anew.
    newer = heard.boot is None or (boot, session) >= (heard.boot, heard.session)
    if not newer and (word != "online" or now is None):
        return
    if boot != heard.boot:
        heard.health.clear()
        heard.losses.clear()
        heard.read_errors = 0.0
        heard.queue_grows = False
    if word == "online":
        raised = message.get("alerts")
        listed = raised if isinstance(raised, list) else []
        names = [plain.word(each)[:MAX_WORD] for each in listed if isinstance(each, str)]
        heard.alerts = {name: heard.alerts.get(name, Alert(None)) for name in names[:MAX_ALERTS]}
    # What is said again, as with other settings, is none that begins now.
    if (word, boot, session) != (heard.status, heard.boot, heard.session):
        heard.since = now
    heard.status, heard.boot, heard.session = word, boot, session
    heard.reason = plain.word(message.get("reason", ""))[:MAX_WORD]
    wake_at = message.get("wake_at")
    heard.wake_at = float(wake_at) if is_whole(wake_at) else None
    firmware = message.get("fw")
    if isinstance(firmware, str):
        heard.firmware = firmware if _FIRMWARE.fullmatch(firmware) else OTHER


def _health(heard: Heard, message: dict[str, Any], now: float) -> None:
    before = heard.health
    heard.health = {
        name: float(value)
        for name, value in message.items()
        if name in HEALTH and is_number(value) and (value >= 0 or name == "rssi")
    }
    queued, dropped = (heard.health.get(name, 0.0) for name in ("queued", "dropped"))
    heard.queue_grows = queued > max(before.get("queued", queued), QUEUE_FEW)
    if dropped > before.get("dropped", dropped):
        heard.dropped_at = now
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
