"""A light node: what a node looks like from the broker, without a node. Thousands of them run on
one loop.

Topics, payloads, will, birth, subscriptions, certificate, session, window, timeouts and back-off
are the node's. What it lacks: sensors (it plays a slow wave), flash (its Outbox is in RAM), health,
alerts, and answers to Commands.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from limpet.fleet.load.connection import ANSWER_S, DUP, QOS_1, RETAIN, Address, Connection, Hello
from limpet.fleet.load.figures import Device, Figures
from limpet.fleet.load.identity import Identity
from limpet.fleet.load.payload import Reading, batch, live
from limpet.shared.firmware import topics, version
from limpet.shared.mechanisms import Backoff

# Readings that wait in RAM, 2.7 hours at one per 10 s. The oldest go first, and are counted.
OUTBOX = 1_000
# Of a batch: some 1,400 bytes, as the node's.
BATCH = 100
# As firmware/node/session/causes.py: what a person has to mend is not asked about each second.
REFUSED = "refused"
FLOORS_MS = {REFUSED: 60_000}
REFUSED_CAUSES = {
    "protocol-version",
    "client-id",
    "credentials",
    "not-authorized",
    "certificate",
    "tls-refused",
}


class Flight(NamedTuple):
    """A Message on its way: all that is needed to send it again, and when it was sent last."""

    topic: bytes
    payload: bytes
    flags: int
    readings: tuple[Reading, ...] = ()
    sent_at: float = 0.0


@dataclass(frozen=True)
class Surroundings:
    """What all light nodes of a run share. boot: which boot they say it is, so that what came of
    an earlier run is told apart. gate: how many may be in a TLS handshake at once: it is work, and
    with all of them in it each would take as long as all together, and the rest wait.
    """

    address: Address
    figures: Figures
    boot: int
    interval_s: float
    random: Callable[[], float]
    gate: asyncio.Semaphore


class LightNode:
    """One of them: `start`, then it runs on the loop until `end`. connects: how often the broker
    has let it in.
    """

    def __init__(self, around: Surroundings, identity: Identity, book: Device) -> None:
        self.connects = 0
        self.fault = ""
        self._taking = True
        self._link: Connection | None = None
        self._around = around
        self._identity = identity
        self._book = book
        self._loop = asyncio.get_running_loop()
        self.base = base = identity.base
        self._live = f"{base}/{topics.TELEMETRY}".encode()
        self._batches = f"{base}/{topics.BACKLOG}".encode()
        self._status = f"{base}/{topics.STATUS}"
        self._commands = f"{base}/{topics.COMMANDS}"
        self._backoff: Any = Backoff(around.random, floors_ms=FLOORS_MS)
        self._waiting: deque[Reading] = deque()
        self._flights: dict[int, Flight] = {}
        self._again: dict[int, Flight] = {}  # of the connection before
        self._birth = b""
        self._heard = False  # whether it has come back: no Reading goes before
        self._packet_id = self._seq = self._session = 0
        self._due = 0.0
        self._up_at: float | None = None
        self._task: asyncio.Task[None] | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._phase = around.random()

    @property
    def unacknowledged(self) -> int:
        """How many Readings it keeps."""
        return len(self._waiting) + sum(len(each.readings) for each in self._flying())

    def kept(self) -> set[tuple[int, int]]:
        """Return which those are, by (boot, seq)."""
        found = [*self._waiting, *(one for each in self._flying() for one in each.readings)]
        return {(self._around.boot, each.seq) for each in found}

    def _flying(self) -> Iterable[Flight]:
        return (*self._flights.values(), *self._again.values())

    def start(self) -> None:
        """Power on: connect, and take a Reading each interval, the first at a moment of its own."""
        self._book.taken[self._around.boot] = 0
        self._connect()
        self._due = time.monotonic() + self._around.random() * self._around.interval_s
        self._later("take", self._due - time.monotonic(), self._take)

    @property
    def up(self) -> bool:
        """Whether it is connected."""
        return self._link is not None and self._link.up

    def cut(self) -> bool:
        """Lose the connection, without a goodbye; whether there was one."""
        was = self.up
        if self._link and was:
            self._link.abort("cut")
        return was

    def look(self) -> None:
        """Look at the deadlines, as the node does while its connection is idle. Called each second
        or so.
        """
        link, now = self._link, time.monotonic()
        if not link:
            return
        keepalive_s = self._identity.keepalive_s
        if not link.up:
            if link.heard and now - link.heard > ANSWER_S:
                link.abort("connack-timeout")
        elif self._flights and now - next(iter(self._flights.values())).sent_at > ANSWER_S:
            link.abort("puback-timeout")
        elif now - link.heard > keepalive_s / 2 + ANSWER_S:
            link.abort("ping-timeout")
        elif now - min(link.heard, link.spoke) > keepalive_s / 2:
            link.ping()

    def rest(self) -> None:
        """Take no more Readings."""
        self._taking = False

    async def end(self, clear: bool) -> None:
        """Power off with a goodbye. clear: leave no status at the broker."""
        self._taking = False
        for timer in self._timers.values():
            timer.cancel()
        if self._task:
            self._task.cancel()
        if self._link and self._link.up:
            said = b"" if clear else self._said("offline", reason="shutdown")
            self._send(self._next_id(), Flight(self._status.encode(), said, RETAIN | QOS_1))
            self._link.leave()
            self._around.figures.up -= 1
        self._link = None

    # -- the connection ----------------------------------------------------------------------------

    def _connect(self) -> None:
        self._task = self._loop.create_task(self._open())

    async def _open(self) -> None:
        self._session += 1
        will = self._status, self._said("offline", reason="lost"), 1, True
        one = self._identity
        hello = Hello(one.device_id, one.keepalive_s, will, one.login)
        self._link = link = Connection(self, hello)
        around = self._around
        await link.open(around.address, one.context, one.handshake_s, around.gate)

    def on_up(self, connection: Connection, session_present: bool) -> None:
        """As node/session/link.py: the birth first, then what was in flight, then what waits."""
        figures = self._around.figures
        figures.up += 1
        figures.connected(time.monotonic())
        self.connects += 1
        self._up_at = time.monotonic()
        self._heard = False
        if session_present:
            figures.resumed += 1
        else:
            found = [one for each in self._again.values() for one in each.readings]
            self._again.clear()
            self._waiting.extendleft(reversed(found))
        connection.subscribe(self._next_id(), self._status)
        connection.subscribe(self._next_id(), self._commands)
        self._birth = self._said("online", fw=version.VERSION, reset="power-on")
        self._send(self._next_id(), Flight(self._status.encode(), self._birth, RETAIN | QOS_1))

    def on_down(self, connection: Connection, cause: str) -> None:
        """Try again when the node's back-off says."""
        if connection is not self._link:
            return
        figures, now = self._around.figures, time.monotonic()
        figures.downs[cause] += 1
        self._link, self._heard = None, False
        if self._up_at is not None:
            figures.up -= 1
            self._backoff.rested(int((now - self._up_at) * 1000))
            self._up_at = None
        # A birth is said anew in each connection.
        self._again |= {key: each for key, each in self._flights.items() if each.readings}
        self._flights.clear()
        kind = REFUSED if cause in REFUSED_CAUSES else "network"
        self._later("connect", self._backoff.next_ms(kind) / 1000, self._connect)

    def on_subscribed(self, granted: bool) -> None:
        """Refused, it would be counted: the node logs it."""
        if not granted:
            self._around.figures.downs["subscription refused"] += 1

    def on_message(self, topic: str, payload: bytes) -> None:
        """The birth comes back: what was in flight when the connection before broke goes again
        under its packet id, then what waits. Commands are not answered.
        """
        if self._heard or payload != self._birth:
            return
        self._heard = True
        again, self._again = self._again, {}
        for packet_id, flight in again.items():
            self._send(packet_id, flight._replace(flags=flight.flags | DUP))
        self._pump()

    # -- Readings ----------------------------------------------------------------------------------

    def _take(self) -> None:
        around = self._around
        if not self._taking:
            return
        self._waiting.append(Reading(self._seq, int(time.time())))
        self._book.took(around.boot, self._seq)
        self._seq += 1
        around.figures.taken += 1
        if len(self._waiting) > OUTBOX:
            self._waiting.popleft()
            around.figures.dropped += 1
        self._pump()
        # By slots, as the node's: late ones do not move those that follow.
        self._due += around.interval_s
        self._later("take", max(self._due - time.monotonic(), 0), self._take)

    def _pump(self) -> None:
        """Send what waits: one Reading live, more of them in batches, as far as the window goes."""
        link, waiting, boot = self._link, self._waiting, self._around.boot
        while waiting and self._heard and link and len(self._flights) < self._identity.window:
            found = [waiting.popleft()]
            while waiting and len(found) < BATCH and waiting[0].seq == found[-1].seq + 1:
                found.append(waiting.popleft())
            if len(found) == 1:
                flight = Flight(self._live, live(boot, found[0], self._phase), QOS_1, (*found,))
            else:
                flight = Flight(self._batches, batch(boot, found, self._phase), QOS_1, (*found,))
            self._send(self._next_id(), flight)

    def on_acknowledged(self, packet_id: int) -> None:
        """The broker has it."""
        flight = self._flights.pop(packet_id, None)
        if flight is None:
            return
        if flight.readings:
            self._around.figures.acknowledged.add(time.monotonic() - flight.sent_at)
        self._pump()

    def _send(self, packet_id: int, flight: Flight) -> None:
        assert self._link
        now = time.monotonic()
        self._flights[packet_id] = flight._replace(sent_at=now)
        for each in flight.readings:
            self._book.sent_at[self._around.boot, each.seq] = now
        self._link.publish(flight.topic, flight.payload, flight.flags, packet_id)

    def _next_id(self) -> int:
        while True:
            self._packet_id = self._packet_id % 65535 + 1
            if self._packet_id not in self._flights and self._packet_id not in self._again:
                return self._packet_id

    def _said(self, status: str, **more: object) -> bytes:
        order = {"v": 1, "status": status, "boot": self._around.boot, "session": self._session}
        return json.dumps(order | more, separators=(",", ":")).encode()

    def _later(self, name: str, seconds: float, what: Any) -> None:
        if self._taking or name == "connect":
            self._timers[name] = self._loop.call_later(seconds, what)
