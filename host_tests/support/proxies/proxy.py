"""A TCP proxy between node and broker that is told in words what the network does.

What `limpet run` has for its levers, and more. It knows bytes and connections only, and passes on
what comes as it was. Who wants that says in `_pieces` what the pieces are; see packet_proxy.py.
"""

from __future__ import annotations

import asyncio
import random

from limpet.operating.levers import relay
from limpet.operating.levers.relay import LOOPBACK
from support.proxies.connection import Connection

__all__ = ["LOOPBACK", "Proxy"]


class Proxy(relay.Relay):
    """A way to the server on `target_port` of loopback. `with Proxy(port) as proxy:` opens it.

    What is said holds for the connections that there are and for those to come, until `restore()`.
    `speed` is the node's: seconds are seconds of its clock.
    """

    def __init__(self, target_port: int, speed: float = 1.0) -> None:
        super().__init__(target_port)
        self._speed = speed
        self._swallows = False
        self._pause_s = 0.0  # after each byte towards the node
        self._late_s = 0.0  # before each piece, either way,
        self._jitter_s = 0.0  # and up to so much on top
        self._left: int | None = None  # bytes that still come through, both ways together

    def drip(self, bytes_per_second: float) -> None:
        """Pass on towards the node one byte at a time, `bytes_per_second` of its clock."""
        pause_s = 1 / bytes_per_second / self._speed
        self._do(lambda: setattr(self, "_pause_s", pause_s))

    def delay(self, seconds: float, jitter: float = 0.0) -> None:
        """Keep each piece, either way, for `seconds` of the node's clock and up to `jitter` on top.

        Pieces stay in order, so the next one waits behind it.
        """

        def everything() -> None:
            self._late_s, self._jitter_s = seconds / self._speed, jitter / self._speed

        self._do(everything)

    def close_after(self, count: int) -> None:
        """Pass on `count` more bytes, both ways together; then close what carries the next one."""
        self._do(lambda: setattr(self, "_left", count))

    def reset(self) -> None:
        """As `cut`, but with a TCP reset (RST), which overtakes what was sent before it."""
        self._each(Connection.reset)

    def close(self) -> None:
        """Close every connection, at both ends, behind what was said; with TLS's own goodbye."""
        self._each(Connection.close)

    def black_hole(self) -> None:
        """What is or gets connected is lost for good: nothing comes through, nothing is closed."""

        def lose(each: Connection) -> None:
            each.lost = True

        self._do(lambda: setattr(self, "_swallows", True))
        self._each(lose)

    def restore(self) -> None:
        """Let everything through at full speed; what a black hole has swallowed stays lost."""

        def everything() -> None:
            self._swallows = False
            self._pause_s = self._late_s = self._jitter_s = 0.0
            self._left = None

        self._do(everything)
        self.release()
        self.listen()

    def _connection(self, near: asyncio.StreamWriter) -> Connection:
        return Connection(near, tls=False, lost=self._swallows)

    async def _write(self, writer: asyncio.StreamWriter, way: str, data: bytes) -> None:
        while data:
            pause_s = self._pause_s if way == "down" else 0.0
            size = 1 if pause_s else len(data)
            await super()._write(writer, way, data[:size])
            data = data[size:]
            await asyncio.sleep(pause_s)

    async def _passed(self, connection: relay.Connection, data: bytes) -> bytes:
        """What of it is to be passed on, once it may; never comes back when it is lost."""
        data = await super()._passed(connection, data)
        assert isinstance(connection, Connection)
        if connection.lost:
            # Half-open: neither what was sent nor the end of it gets to the other side.
            await asyncio.Event().wait()
        if self._late_s or self._jitter_s:
            # What chance brings about differs from run to run; what is asked for does not.
            await asyncio.sleep(self._late_s + random.random() * self._jitter_s)
        if self._left is None:
            return data
        if len(data) >= self._left:
            data = data[: self._left]
            self._left = None
            self._loop.call_soon(connection.close)  # which still writes what it was given
        else:
            self._left -= len(data)
        return data
