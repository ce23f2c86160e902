"""The load run's own consumer: it counts each Reading by (device, boot, seq), once it is through.

Its session is kept by the broker, as that of `limpet ingest`: what comes while it is away, or while
the broker starts anew, waits for it there.
"""

import asyncio
import json
import ssl
import time
from collections.abc import Callable
from typing import Any

from limpet.fleet.load.connection import Address, Connection, Hello
from limpet.fleet.load.figures import Figures
from limpet.identity.operators import Operator
from limpet.shared import seen_readings
from limpet.shared.firmware import topics
from limpet.shared.problem import Problem

_BUFFER = 1 << 16
_AGAIN_S = 0.5
_LIMIT_S = 60.0
# Longer than a node's: its own pings are the first thing that a busy loop is late with.
_KEEPALIVE_S = 120


class Consumer:
    """One connection as an operator, that comes back by itself until `stop`."""

    def __init__(self, address: Address, identity: Operator, org: str, figures: Figures) -> None:
        self._address = address
        self._identity = identity
        self._filter = f"{org}/+/+/+/+/{topics.TELEMETRY}/#"
        self._figures = figures
        self._loop = asyncio.get_running_loop()
        self._link: Connection | None = None
        self._clean = False
        self._changed = asyncio.Event()
        self._ready = False
        self._fault = ""
        self._stopped = False
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def up(self) -> bool:
        """Whether it is connected and has subscribed."""
        return self._ready and self._link is not None and self._link.up

    async def start(self) -> None:
        """Listen, with a session that has nothing of before. Raises Problem."""
        await self.forget()
        self._stopped = False
        await self._reach(lambda: self._ready)

    async def forget(self) -> None:
        """Have the broker forget the session, and do not listen any more. Raises Problem."""
        self.stop()
        self._stopped, self._clean = False, True
        await self._reach(lambda: self._link is not None and self._link.up)
        self.stop()
        self._clean = False

    def look(self) -> None:
        """Keep the connection alive. Called each second or so."""
        link, now = self._link, time.monotonic()
        if link and link.up and now - min(link.heard, link.spoke) > _KEEPALIVE_S / 4:
            link.ping()

    def stop(self) -> None:
        """Disconnect; what the broker has of the session stays."""
        self._stopped, self._ready = True, False
        if self._link:
            self._link.leave()
        self._link = None

    async def _reach(self, reached: Callable[[], bool]) -> None:
        """Connect, and wait. Raises Problem with what keeps it from that."""
        self._fault = ""
        self._connect()
        try:
            async with asyncio.timeout(_LIMIT_S):
                while not reached():
                    self._changed.clear()
                    if self._fault:
                        self.stop()
                        where = "{}:{}".format(*self._address.at[:2])
                        raise Problem(
                            f"No connection to {where} as {self._identity.name}: {self._fault}.",
                            "docs/reference/causes.md says what that is.",
                        )
                    await self._changed.wait()
        except TimeoutError:
            self.stop()
            raise Problem("The broker does not answer.", "Is it an MQTT broker?") from None

    def _connect(self) -> None:
        if not self._stopped:
            task = self._loop.create_task(self._open())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _open(self) -> None:
        one = self._identity
        hello = Hello(one.name, _KEEPALIVE_S, clean=self._clean)
        self._link = link = Connection(self, hello, _BUFFER)
        await link.open(self._address, self._context, _LIMIT_S, asyncio.Semaphore())

    def _context(self) -> ssl.SSLContext:
        one = self._identity
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_verify_locations(one.ca)
        context.load_cert_chain(one.cert, one.key)
        return context

    # What the connection calls.

    def on_up(self, connection: Connection, session_present: bool) -> None:
        """Subscribe, again as well: it costs nothing where the session is there."""
        if not self._clean:
            connection.subscribe(1, self._filter)
        self._changed.set()

    def on_down(self, connection: Connection, cause: str) -> None:
        """Come back soon: it is the only one."""
        if connection is not self._link:
            return
        self._link = None
        if self._ready:
            self._loop.call_later(_AGAIN_S, self._connect)
        elif not self._fault:
            self._fault = cause
            self._changed.set()

    def on_subscribed(self, granted: bool) -> None:
        """From now on nothing is missed."""
        if granted:
            self._ready = True
        else:
            self._fault = f"it refuses the subscription to {self._filter}"
        self._changed.set()

    def on_acknowledged(self, packet_id: int) -> None:
        """It publishes nothing."""

    def on_message(self, topic: str, payload: bytes) -> None:
        """Count what has come."""
        figures = self._figures
        device = figures.devices.get(topic.partition(f"/{topics.TELEMETRY}")[0])
        if device is None:
            return
        now = time.monotonic()
        for boot, seq in keys(payload):
            before = device.delivered(boot, seq)
            if before is None:
                figures.foreign += 1
            elif before:
                figures.doubled += 1
            else:
                figures.delivered += 1
                sent_at = device.sent_at.pop((boot, seq), None)
                if sent_at is not None:
                    figures.consumed.add(now - sent_at)


def keys(payload: bytes) -> list[tuple[int, int]]:
    """Return (boot, seq) of the Readings in a payload of telemetry; what is none has none."""
    try:
        said: Any = json.loads(payload)
    except (ValueError, RecursionError):
        return []
    if not isinstance(said, dict):
        return []
    found = ((each.boot, each.seq) for each in seen_readings.readings(said))
    return [(boot, seq) for boot, seq in found if isinstance(boot, int) and isinstance(seq, int)]
