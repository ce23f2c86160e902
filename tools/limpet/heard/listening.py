"""The connection by which a fleet is heard: what is said now, until its owner ends it. While the
broker is away, or others are tried, what was heard stays.

Its session is not kept: a figure of an hour ago is of no use, and a queue at the broker would be
one more thing to fill it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from limpet.heard.fleet import Fleet
from limpet.heard.known import Known
from limpet.ingest.consumer import Consumer, Message

# Between two looks at the registry.
LOOK_S = 1.0
# Messages for which the lock is held in one go.
PIECE = 100


class Hearing:
    """A fleet, and whether it is heard. Whoever reads or changes it holds `lock`.

    up: whether there is a connection; connects: how many there were; lost_at: when the last one
    ended, Unix seconds, None while there is one or none yet.
    """

    def __init__(self, fleet: Fleet, known: Known) -> None:
        self.lock = threading.Lock()
        self.fleet = fleet
        self.known = known
        self.up = False
        self.connects = 0
        self.lost_at: float | None = None

    def judged_at(self, now: float) -> float:
        """Return as of when devices are online or silent: now, or, while nobody can be heard, when
        the connection was lost. Unix seconds.
        """
        return now if self.lost_at is None else self.lost_at

    def base_topics(self) -> dict[str, str]:
        """Return the base topics by device id, of all that were ever in the registry."""
        return {name: each.base for name, each in self.known.registry.devices.items()}

    def take(self, message: Message, now: float) -> None:
        """Note a Message. now: Unix seconds."""
        self.fleet.take(message, now)

    def look(self, now: float) -> None:
        """Go by the registry of now. Called each LOOK_S or so; now: Unix seconds."""
        self.fleet.known(self.known.refresh())

    def lost(self) -> None:
        """The connection has ended."""

    def connection(self, up: bool, connects: int, now: float) -> None:
        """Note how the connection is. now: Unix seconds."""
        if connects != self.connects:
            self.fleet.interrupted(now)
            self.connects = connects
        if up:
            self.lost_at = None
        elif self.up:
            self.lost_at = now
            self.lost()
        self.up = up


def listen(
    consumer: Consumer,
    hearing: Hearing,
    ended: Callable[[], bool] = lambda: False,
    step_s: float = LOOK_S,
) -> None:
    """Take what comes until it is `ended`, which is asked behind each step, of `step_s` at most.
    Raises Problem for what only a person can put right, as long as there was no connection yet.
    """
    looked = time.monotonic()
    while not ended():
        consumer.step(step_s)
        messages = consumer.take()
        with hearing.lock:
            hearing.connection(consumer.up, consumer.connects, time.time())
        if (now := time.monotonic()) - looked >= LOOK_S:
            looked = now
            with hearing.lock:
                hearing.look(time.time())
        for at in range(0, len(messages), PIECE):
            with hearing.lock:
                for each in messages[at : at + PIECE]:
                    hearing.take(each, time.time())
        consumer.acknowledge(messages)
