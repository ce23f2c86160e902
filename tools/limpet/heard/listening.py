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

# Between two looks at the registry, and the longest wait for the broker.
LOOK_S = 1.0


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

    def take(self, message: Message, now: float) -> None:
        """Note a Message. now: Unix seconds."""
        self.fleet.take(message, now)

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


def listen(consumer: Consumer, hearing: Hearing, ended: Callable[[], bool] = lambda: False) -> None:
    """Take what comes until it is `ended`, which is asked each LOOK_S at least. Raises Problem for
    what only a person can put right, as long as there was no connection yet.
    """
    looked = time.monotonic()
    while not ended():
        consumer.step(LOOK_S)
        messages = consumer.take()
        if (now := time.monotonic()) - looked >= LOOK_S:
            looked = now
            bases = hearing.known.refresh()
            with hearing.lock:
                hearing.fleet.known(bases)
        with hearing.lock:
            hearing.connection(consumer.up, consumer.connects, time.time())
            for each in messages:
                hearing.take(each, time.time())
        consumer.acknowledge(messages)
