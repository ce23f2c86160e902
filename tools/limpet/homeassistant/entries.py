"""What Home Assistant is to be told of each device, and what it has been told. Pure.

The broker is the memory: what is retained there of ours is read at each connection, so that a
restart of this program takes no entity away, and what it would say again is not said.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from limpet.heard import trouble
from limpet.heard.fleet import Fleet, Heard
from limpet.homeassistant import entry, parts
from limpet.homeassistant.entry import Device, Remembered
from limpet.ingest.intake import Event, Reading, is_whole
from limpet.shared.firmware import reading, topics

# Topics of which it is remembered what they retain: devices have two each.
MOST_TOPICS = 200_000
# Of devices that have left, told once more when Home Assistant is back: it may have been away when
# they left, and nothing retained says it.
MOST_LEFT = 1000
# A device whose fields are not known yet is told of without them when it has had so long to say a
# Reading: in safe mode it says none, and can be reset all the same.
PATIENCE_S = 20.0
# Between two entries of one device: who names its fields anew with each Reading would have Home
# Assistant make and remove entities all the time.
PACE_S = 10.0
# After so long without it, what we have said ourselves was dropped by the broker.
ECHO_S = 15.0


class Entries:
    """prefix: Home Assistant's, for discovery. organisations: the first levels of topics that are
    ours; what is said of others is left alone. Times are Unix seconds.
    """

    def __init__(self, prefix: str, organisations: Iterable[str]) -> None:
        self.left_out: dict[str, tuple[str, ...]] = {}
        self._prefix = prefix
        self._organisations = set(organisations)
        self._remembered: dict[str, Remembered] = {}
        self._live: dict[str, tuple[str, ...]] = {}
        self._gone: dict[str, tuple[str, ...]] = {}
        self._intervals: dict[str, float] = {}
        self._sleeps: dict[str, float] = {}
        self._made: dict[str, tuple[Device, bytes]] = {}
        self._made_at: dict[str, float] = {}
        # By topic: what is retained there, as far as we know, or are about to have retained.
        self._there: dict[str, bytes] = {}
        self._unheard: dict[str, float] = {}
        self._left: dict[str, None] = {}
        self._left_again: set[str] = set()

    # What comes

    def begin(self) -> None:
        """Begin a connection: what is retained is about to be told."""
        self._there.clear()
        self._unheard.clear()

    def again(self) -> None:
        """Have all of it said once more."""
        self._there = dict.fromkeys(self._there, b"?")
        self._left_again = {*self._left}

    def retained(self, topic: str, payload: bytes) -> bool:
        """Note what a broker passes on of ours, our own words too; whether that is such a topic."""
        name, kind = entry.device_of(self._prefix, topic)
        if not name:
            return False
        self._unheard.pop(topic, None)
        known = entry.remembered(payload) if kind == "config" and payload else None
        if known and known.base.split("/")[0] not in self._organisations:
            known = None
        if not payload or (kind == "config" and not known):
            self._there.pop(topic, None)
        elif topic in self._there or len(self._there) < MOST_TOPICS:
            self._there[topic] = _digest(payload)
        if known:
            self._remembered.setdefault(name, known)
        return True

    def taken(
        self, topic: str, readings: list[Reading], events: list[Event], fleet: Fleet, now: float
    ) -> None:
        """Note what a Message of a device was made of, once `fleet` has."""
        if readings and topic.endswith(f"/{topics.TELEMETRY}"):
            (name, *_), heard = readings[-1], fleet.devices[readings[-1].device]
            if heard.reading is readings[-1]:
                self._fields(name, tuple(sorted(heard.fields & readings[-1].values.keys())))
        for each in events:
            heard = fleet.devices[each.device]
            if each.kind == "response":
                self._response(each.device, json.loads(each.payload))
            elif each.kind == "health" and "interval_s" in heard.health:
                self._intervals[each.device] = heard.health["interval_s"]
            elif heard.status == "asleep" and heard.wake_at and heard.since:
                longest = max(self._sleeps.get(each.device, 0.0), heard.wake_at - heard.since)
                self._sleeps[each.device] = min(longest, reading.INTERVAL_S[1])

    def _fields(self, name: str, now: tuple[str, ...]) -> None:
        known = self._remembered.get(name)
        before = self._live.get(name) or (known.fields if known else ())
        self._live[name] = now
        gone = {*self._gone.get(name, ()), *before} - {*now}
        self._gone[name] = tuple(sorted(gone))

    def _response(self, name: str, said: dict[str, Any]) -> None:
        """Note the interval that Home Assistant has set: the next health may be minutes away."""
        result = said.get("result")
        of_ours = str(said.get("id")).startswith(parts.INTERVAL_ID)
        if not of_ours or said.get("status") != "executed" or not isinstance(result, dict):
            return
        if is_whole(seconds := result.get("seconds"), *reading.INTERVAL_S):
            self._intervals[name] = float(seconds)

    # What is due

    def due(
        self, bases: Mapping[str, str], fleet: Fleet, judged_at: float, now: float
    ) -> Iterator[tuple[str, bytes]]:
        """Yield topic and payload of all that is to be retained, and is not. bases: the registry's.
        judged_at: as of when devices are online or silent. `said` has to be told of each.
        """
        for name in {*self._remembered, *self._made} - fleet.devices.keys():
            self._forget(name)
        for topic in {*self._there, *self._left_again}:
            name, _ = entry.device_of(self._prefix, topic)
            if name not in fleet.devices and self._ours(topic, name):
                yield topic, b""
        for name, heard in fleet.devices.items():
            device = self.device(name, bases.get(name, ""), heard, now)
            if device is None:
                continue
            topic = entry.entry_topic(self._prefix, name)
            made = self._made.get(name)
            paced = now < self._made_at.get(name, 0.0) + PACE_S
            if made is None or (made[0] != device and not paced):
                self._made_at[name] = now
                payload, self.left_out[name] = entry.entry(self._prefix, name, device)
                made = self._made[name] = device, _digest(payload)
            if self._there.get(topic) != made[1]:
                yield topic, entry.entry(self._prefix, name, made[0])[0]
            worst = trouble.trouble(heard, judged_at)
            bad = trouble.rank(heard, judged_at) < trouble.BAD
            payload = entry.problem(worst, bad, heard.alerts)
            topic = entry.problem_topic(self._prefix, name)
            if self._there.get(topic) != _digest(payload):
                yield topic, payload

    def device(self, name: str, base: str, heard: Heard, now: float) -> Device | None:
        """Return what an entry is made of; None while too little is known of the device."""
        known = self._remembered.get(name)
        fields = self._live.get(name) or (known.fields if known else tuple(sorted(heard.fields)))
        if not base or (not heard.status and not heard.seen):
            return None  # as it is; it may never have been switched on
        if not fields and now < heard.began + PATIENCE_S:
            return None
        expire = known.expire_s if known else None
        if interval := self._intervals.get(name):
            asleep = heard.status == "asleep" or name in self._sleeps
            least = (expire or 0) if asleep else 0
            expire = max(parts.expire_s(interval, self._sleeps.get(name, 0.0)), least)
        firmware = heard.firmware or (known.firmware if known else "")
        return Device(base, fields, self._gone.get(name, ()), firmware, expire)

    def clearing(self) -> Iterator[tuple[str, bytes]]:
        """Yield what clears all that is retained of ours, as `due` does."""
        for topic in list(self._there):
            if self._ours(topic, entry.device_of(self._prefix, topic)[0]):
                yield topic, b""

    def _ours(self, topic: str, name: str) -> bool:
        """Whether we have said this: an entry says whose it is, and a problem is of its entry."""
        entry_ = entry.entry_topic(self._prefix, name)
        return topic == entry_ or entry_ in self._there or entry_ in self._left_again

    def said(self, topic: str, payload: bytes, now: float) -> None:
        """Note that this is on its way to the broker."""
        if payload:
            self._there[topic] = _digest(payload)
            self._unheard.setdefault(topic, now)
            return
        self._there.pop(topic, None)
        self._unheard.pop(topic, None)
        self._left_again.discard(topic)
        if len(self._left) < MOST_LEFT:
            self._left[topic] = None

    @property
    def unheard(self) -> bool:
        """Whether something that we have said has not come back yet."""
        return bool(self._unheard)

    def dropped(self, now: float) -> str:
        """Return a topic on which we said something that the broker has passed on to nobody; empty
        where there is none.
        """
        return next((topic for topic, at in self._unheard.items() if now > at + ECHO_S), "")

    def _forget(self, name: str) -> None:
        every: tuple[dict[str, Any], ...] = (
            *(self._remembered, self._live, self._gone, self._intervals, self._sleeps),
            *(self._made, self._made_at, self.left_out),
        )
        for each in every:
            each.pop(name, None)


def _digest(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=16).digest()
