"""The work of `limpet homeassistant`: it hears the fleet, and has retained what is due, so many
Messages at a time as the broker acknowledges.

All of it is one thread, heard/listening.py's: after each look for Messages it is asked whether it
has ended, and does what is due then.
"""

from __future__ import annotations

import math
import random
import time
from collections import deque
from collections.abc import Callable

from limpet.heard.fleet import Fleet
from limpet.heard.known import Known
from limpet.heard.listening import LOOK_S, Hearing
from limpet.homeassistant.entries import Entries
from limpet.homeassistant.entry import entry_topic, problem_topic
from limpet.ingest.consumer import Consumer, Message
from limpet.shared.plain import plural
from limpet.shared.problem import Problem

# After a connection, what is retained comes first: status of the devices, entries of ours.
SETTLE_S = 2.0
# Home Assistant asks all of its kind at once when it has started: each waits for a while.
JITTER_S = (0.5, 5.0)
# On their way to the broker at once.
WINDOW = 10
_HERE = b"online"


def dropped(topic: str) -> Problem:
    """Return what is wrong with a broker that passes on nothing of what we say on `topic`."""
    return Problem(
        f"The broker has acknowledged {topic}, and passes it on to nobody: its rules are older "
        "than 3, or this identity has another role than discovery.",
        "Make its files anew (limpet broker-config), restart it, and see limpet operator list.",
    )


class Announcer(Hearing):
    """prefix: Home Assistant's, for discovery; organisations: whose devices are told of. say: told
    what a person should know. `consumer` has to be set before it is asked. clears: whether all is
    to be cleared, in place of what is due.
    """

    def __init__(
        self,
        fleet: Fleet,
        known: Known,
        prefix: str,
        organisations: set[str],
        say: Callable[[str], None],
    ) -> None:
        super().__init__(fleet, known)
        self.entries = Entries(prefix, organisations)
        self.consumer: Consumer | None = None
        self.clears = False
        self.told = 0
        self._status = f"{prefix}/status"
        self._say = say
        self._settled_at = math.inf
        self._looked = 0.0
        self._again_at: float | None = None
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._left_out: dict[str, tuple[str, ...]] = {}
        self._warned = False

    @property
    def topics(self) -> tuple[str, ...]:
        """Topics beside those of the devices that it has to hear."""
        prefix = self._status.removesuffix("/status")
        return entry_topic(prefix, "+"), problem_topic(prefix, "+"), self._status

    def connection(self, up: bool, connects: int, now: float) -> None:
        """Note how the connection is."""
        if connects != self.connects:
            self.entries.begin()
            self._waiting.clear()
            self._settled_at, self._warned = now + SETTLE_S, False
        elif not up:
            self._settled_at = math.inf  # a connection counts from its subscriptions on
        super().connection(up, connects, now)

    def take(self, message: Message, now: float) -> None:
        """Note a Message."""
        topic = message.topic or ""
        if topic == self._status:
            if message.payload == _HERE and not message.retained:
                self._again_at = now + random.uniform(*JITTER_S)
            return
        if self.entries.retained(topic, message.payload):
            return
        taken = self.fleet.take(message, now)
        if taken:
            self.entries.taken(topic, taken.readings, taken.events, self.fleet, now)

    def settled(self, now: float) -> bool:
        """Whether what is retained has come, so that what is missing can be told from it."""
        return self.up and now >= self._settled_at

    def at_rest(self, now: float) -> bool:
        """Whether all that is due has been said and acknowledged."""
        assert self.consumer
        return not (self._waiting or self.consumer.unacknowledged or list(self._due(now)))

    def step(self) -> None:
        """Say what is due, as far as the broker keeps up."""
        now = time.time()
        if not self.settled(now):
            return
        if self._again_at is not None and now >= self._again_at:
            self._again_at = None
            self.entries.again()
            self._looked = 0.0
            self._say("Home Assistant has started: it is told again")
        if not self._waiting and abs(now - self._looked) >= LOOK_S:
            self._looked = now
            self._waiting.extend(self._due(now))
            self._tell_left_out()
        self._publish(now)
        if (topic := self.entries.dropped(now)) and not self._warned:
            self._warned = True
            self._say(f"{dropped(topic).cause} {dropped(topic).remedy}")

    def _due(self, now: float) -> list[tuple[str, bytes]]:
        if self.clears:
            return list(self.entries.clearing())
        devices = self.known.registry.devices
        bases = {name: each.base for name, each in devices.items()}
        return list(self.entries.due(bases, self.fleet, self.judged_at(now), now))

    def _publish(self, now: float) -> None:
        consumer = self.consumer
        assert consumer
        while self._waiting and consumer.unacknowledged < WINDOW:
            topic, payload = self._waiting.popleft()
            if not consumer.publish(topic, payload, retain=True):
                self._waiting.clear()
                return
            self.entries.said(topic, payload, now)
            self.told += 1

    def _tell_left_out(self) -> None:
        for name, fields in self.entries.left_out.items():
            if fields and self._left_out.get(name) != fields:
                self._left_out[name] = fields
                what = plural(len(fields), "field")
                self._say(f"{name}: {what} had no room in its entry: {', '.join(fields)}")
