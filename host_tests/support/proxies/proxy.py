"""A TCP proxy between node and broker that is told in words what the network does.

It knows bytes and connections only: it will NOT read, change or reorder what it passes on.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from typing import Any

from support.looped import Looped
from support.ports import Held

_LOOPBACK = "127.0.0.1"
_CHUNK = 16384


class Proxy(Looped):
    """A way to the server on `target_port` of loopback. `with Proxy(port) as proxy:` opens it.

    What is said holds for the connections that there are and for those to come, until `restore()`.
    `speed` is the node's: seconds are seconds of its clock.
    """

    def __init__(self, target_port: int, speed: float = 1.0) -> None:
        super().__init__("proxy")
        self.port = 0
        self._held = Held()
        self.accepted = 0
        self.target_port = target_port
        self._speed = speed
        self._server: asyncio.Server | None = None
        self._passing = asyncio.Event()
        self._swallows = False
        self._pause_s = 0.0  # after each byte towards the node
        self._late_s = 0.0  # before each piece, either way,
        self._jitter_s = 0.0  # and up to so much on top
        self._left: int | None = None  # bytes that still come through, both ways together
        self._connections: set[_Connection] = set()

    def hold(self) -> None:
        """Accept, keep what comes, pass nothing on, until `release()`: a handshake stalls."""
        self._do(self._passing.clear)

    def release(self) -> None:
        """Pass on what was held, and what follows."""
        self._do(self._passing.set)

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

    def refuse(self) -> None:
        """Nobody listens any more; what is connected is cut."""
        self._run(self._close_listener())
        self.cut()

    def cut(self) -> None:
        """Close every connection now, at both ends."""

        def everything() -> None:
            for each in self._connections:
                each.abort()

        self._do(everything)

    def reset(self) -> None:
        """As `cut`, but with a TCP reset (RST), which overtakes what was sent before it."""

        def everything() -> None:
            for each in self._connections:
                each.reset()

        self._do(everything)

    def black_hole(self) -> None:
        """What is or gets connected is lost for good: nothing comes through, nothing is closed."""

        def everything() -> None:
            self._swallows = True
            for each in self._connections:
                each.lost = True

        self._do(everything)

    def restore(self) -> None:
        """Let everything through at full speed; what a black hole has swallowed stays lost."""

        def everything() -> None:
            self._swallows = False
            self._pause_s = self._late_s = self._jitter_s = 0.0
            self._left = None
            self._passing.set()

        self._do(everything)
        if self._server is None:
            self._run(self._listen())

    def __enter__(self) -> Proxy:
        self._start_loop()
        self.restore()
        return self

    def __exit__(self, *_: object) -> None:
        self.refuse()
        self._run(self._finish())
        self._held.release()
        self._end_loop()

    async def _listen(self) -> None:
        self._held.release()
        self._server = await asyncio.start_server(self._accept, _LOOPBACK, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close_listener(self) -> None:
        if self._server:
            self._server.close()
            self._server = None
            self._held.hold(self.port)

    async def _finish(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        connection = _Connection(writer)
        connection.lost = self._swallows
        self._connections.add(connection)
        try:
            await self._join(connection, reader)
        except (OSError, asyncio.CancelledError):
            pass  # one end is gone, or the proxy ends: so is the other, below
        finally:
            self._connections.discard(connection)
            connection.close()

    async def _join(self, connection: _Connection, from_node: asyncio.StreamReader) -> None:
        """Both ways, until one of them has ended."""
        from_broker, to_broker = await asyncio.open_connection(_LOOPBACK, self.target_port)
        to_node = connection.writers[0]
        connection.writers.append(to_broker)
        ways = [
            asyncio.ensure_future(self._up(connection, from_node, to_broker)),
            asyncio.ensure_future(self._down(connection, from_broker, to_node)),
        ]
        connection.tasks = [asyncio.current_task(), *ways]
        done, others = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in others:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)  # else asyncio complains of the second
        for way in done:
            way.result()

    async def _up(
        self, connection: _Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await self._passed(connection, await reader.read(_CHUNK)):
            writer.write(data)
            await writer.drain()

    async def _down(
        self, connection: _Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await self._passed(connection, await reader.read(_CHUNK)):
            while data:
                size = 1 if self._pause_s else len(data)
                writer.write(data[:size])
                data = data[size:]
                await writer.drain()
                await asyncio.sleep(self._pause_s)

    async def _passed(self, connection: _Connection, data: bytes) -> bytes:
        """What of it is to be passed on, once it may; never comes back when it is lost."""
        await self._passing.wait()
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


class _Connection:
    """The node's end and, once it is there, the broker's."""

    def __init__(self, near: asyncio.StreamWriter) -> None:
        self.writers = [near]
        self.lost = False
        # asyncio holds tasks weakly: those of a black hole, which nothing will wake, would go.
        self.tasks: list[asyncio.Task[Any] | None] = []

    def close(self) -> None:
        for writer in self.writers:
            writer.close()

    def abort(self) -> None:
        for writer in self.writers:
            writer.transport.abort()

    def reset(self) -> None:
        for writer in self.writers:
            # Without it an end that has nothing unread says FIN instead.
            linger = struct.pack("ii", 1, 0)
            if not writer.is_closing():
                end = writer.get_extra_info("socket")
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.abort()
