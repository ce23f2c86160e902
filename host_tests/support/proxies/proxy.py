"""A TCP proxy between node and broker that is told in words what the network does.

It knows bytes and connections only, and passes on what comes as it was. Who wants that says in
`_pieces` what the pieces are; see packet_proxy.py.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Self

from support.looped import Looped
from support.ports import Held
from support.proxies.connection import Connection, Ended

LOOPBACK = "127.0.0.1"
_CHUNK = 16384


class Proxy(Looped):
    """A way to the server on `target_port` of loopback. `with Proxy(port) as proxy:` opens it.

    What is said holds for the connections that there are and for those to come, until `restore()`.
    `speed` is the node's: seconds are seconds of its clock.
    """

    # Where TLS ends here, on the way to the node and to the broker.
    _near_tls: ssl.SSLContext | None = None
    _far_tls: ssl.SSLContext | None = None

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
        self._connections: set[Connection] = set()

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
        self._each(Connection.abort)

    def reset(self) -> None:
        """As `cut`, but with a TCP reset (RST), which overtakes what was sent before it."""
        self._each(Connection.reset)

    def close(self) -> None:
        """Close every connection, at both ends, behind what was said; with TLS's own goodbye."""
        self._each(Connection.close)

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

    def __enter__(self) -> Self:
        self._start_loop()
        self.restore()
        return self

    def __exit__(self, *_: object) -> None:
        self.refuse()
        self._run(self._finish())
        self._held.release()
        self._end_loop()

    def _each(self, what: Callable[[Connection], None]) -> None:
        def everything() -> None:
            for each in self._connections:
                what(each)

        self._do(everything)

    async def _listen(self) -> None:
        self._held.release()
        self._server = await asyncio.start_server(
            self._accept, LOOPBACK, self.port, ssl=self._near_tls
        )
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
        connection = Connection(writer, tls=self._near_tls is not None)
        connection.lost = self._swallows
        self._connections.add(connection)
        try:
            await self._join(connection, reader)
        except (OSError, Ended, asyncio.CancelledError):
            pass  # one end is gone, or the proxy ends: so is the other, below
        finally:
            self._connections.discard(connection)
            connection.close()

    async def _join(self, connection: Connection, from_node: asyncio.StreamReader) -> None:
        """Both ways, until one of them has ended."""
        name = LOOPBACK if self._far_tls else None
        from_broker, to_broker = await asyncio.open_connection(
            LOOPBACK, self.target_port, ssl=self._far_tls, server_hostname=name
        )
        connection.writers.append(to_broker)
        ways = [
            asyncio.ensure_future(self._pass(connection, "up", from_node)),
            asyncio.ensure_future(self._pass(connection, "down", from_broker)),
        ]
        connection.tasks = [asyncio.current_task(), *ways]
        done, others = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in others:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)  # else asyncio complains of the second
        for way in done:
            way.result()

    async def _pass(self, connection: Connection, way: str, reader: asyncio.StreamReader) -> None:
        writer = connection.writers[way == "up"]
        async for piece in self._pieces(connection, way, reader):
            data = await self._passed(connection, piece)
            while data:
                pause_s = self._pause_s if way == "down" else 0.0
                size = 1 if pause_s else len(data)
                writer.write(data[:size])
                data = data[size:]
                await writer.drain()
                await asyncio.sleep(pause_s)

    async def _pieces(
        self, connection: Connection, way: str, reader: asyncio.StreamReader
    ) -> AsyncIterator[bytes]:
        """What comes, in the pieces in which it is passed on. May raise Ended."""
        while data := await reader.read(_CHUNK):
            yield data
        yield b""  # the end has to come through as well

    async def _passed(self, connection: Connection, data: bytes) -> bytes:
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
