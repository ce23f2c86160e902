"""A TCP relay between node and broker, which can be a network that fails: what comes is kept,
whoever connects is refused, or hears nothing at all.

It knows bytes and connections only, and passes on what comes as it was. It listens on loopback. The
tests' proxies are made of it; what they do besides they say in `_pieces`, `_passed` and `_write`.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

from limpet.operating.levers.held import Held
from limpet.operating.levers.looped import Looped

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

LOOPBACK = "127.0.0.1"
_CHUNK = 16384
# At a time; a node has one, and one more that it has given up and that is still to end.
_MOST = 100
# Connections that fill a queue for none: Linux takes one more than it is told.
_FILLERS = 4


class Connection:
    """One connection through a relay: the node's end and, once it is there, the broker's. A way is
    "up", or "down" to the node.
    """

    def __init__(self, near: asyncio.StreamWriter) -> None:
        self.writers = [near]
        # asyncio holds tasks weakly: those that nothing will wake would go.
        self.tasks: list[asyncio.Task[None]] = []

    def close(self) -> None:
        """Close both ends behind what they were given."""
        for writer in self.writers:
            writer.close()

    def abort(self) -> None:
        """Close both ends now."""
        for writer in self.writers:
            writer.transport.abort()


class Relay(Looped):
    """A way to the server on `target_port` of loopback. `with Relay(port) as relay:` opens it, on
    `port`, which stays the same.

    What is said holds for the connections that there are and for those to come.
    """

    def __init__(self, target_port: int) -> None:
        super().__init__("relay")
        self.port = 0
        self.target_port = target_port
        self.accepted = 0
        self._held = Held()
        self._socket: socket.socket | None = None
        self._listening = False
        self._fillers: list[socket.socket] = []
        self._passing = asyncio.Event()
        self._connections: set[Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()

    def hold(self) -> None:
        """Keep what comes, and pass nothing on, until `release()`. Whoever connects is let in, and
        waits for the first answer.
        """
        self._do(self._passing.clear)

    def release(self) -> None:
        """Pass on what was held, and what follows."""
        self._do(self._passing.set)

    def listen(self) -> None:
        """Let in whoever connects."""
        self._do(self._listen)

    def refuse(self) -> None:
        """Nobody listens any more; what is connected is cut."""
        self._do(self._close_listener)
        self.cut()

    def deafen(self) -> None:
        """Whoever connects hears nothing: neither yes nor no, as behind a cable that is pulled."""
        self._do(self._deafen)

    def cut(self) -> None:
        """Close every connection now, at both ends."""
        self._each(Connection.abort)
        self._do(self._stop_opening)

    def __enter__(self) -> Self:
        self._start_loop()
        self.listen()
        self.release()
        return self

    def __exit__(self, *_: object) -> None:
        self.refuse()
        self._run(self._finish())
        self._held.release()
        self._end_loop()

    # -- what a proxy of the tests does in its own way ---------------------------------------------

    def _connection(self, near: asyncio.StreamWriter) -> Connection:
        """What is to be known of a new connection."""
        return Connection(near)

    async def _opened(self, near: socket.socket) -> Streams:
        return await asyncio.open_connection(sock=near)

    async def _reach(self) -> Streams:
        return await asyncio.open_connection(LOOPBACK, self.target_port)

    async def _pieces(
        self, connection: Connection, way: str, reader: asyncio.StreamReader
    ) -> AsyncIterator[bytes]:
        """What comes, in the pieces in which it is passed on."""
        while data := await reader.read(_CHUNK):
            yield data
        yield b""  # the end has to come through as well

    async def _passed(self, connection: Connection, data: bytes) -> bytes:
        """What of it is to be passed on, once it may."""
        await self._passing.wait()
        return data

    async def _write(self, writer: asyncio.StreamWriter, way: str, data: bytes) -> None:
        writer.write(data)
        await writer.drain()

    # -- how ---------------------------------------------------------------------------------------

    def _each(self, what: Callable[[Any], None]) -> None:
        def everything() -> None:
            for each in self._connections:
                what(each)

        self._do(everything)

    # The listening socket is our own, and no asyncio.Server's: that one drops its queue when it
    # stops, and loses whom it is just accepting.

    def _listen(self) -> None:
        if self._listening:
            return
        listener = self._bound()
        self._let_fillers_go()
        with contextlib.suppress(OSError):
            while True:  # who came before the queue was full
                listener.accept()[0].close()
        listener.listen(_MOST)
        self._loop.add_reader(listener, self._accept)
        self._listening = True

    def _deafen(self) -> None:
        self._stop_accepting()
        listener = self._bound()
        # TCP answers nobody for whom the queue has no room; Linux, macOS and BSD drop the SYN.
        listener.listen(0)
        while len(self._fillers) < _FILLERS:
            filler = socket.socket()
            self._fillers.append(filler)
            filler.setblocking(False)
            filler.connect_ex((LOOPBACK, self.port))

    def _bound(self) -> socket.socket:
        if self._socket is None:
            self._held.release()
            self._socket = socket.create_server((LOOPBACK, self.port))
            self._socket.setblocking(False)
            self.port = self._socket.getsockname()[1]
        return self._socket

    def _let_fillers_go(self) -> None:
        while self._fillers:
            self._fillers.pop().close()

    def _stop_accepting(self) -> None:
        if self._listening:
            assert self._socket
            self._loop.remove_reader(self._socket)
            self._listening = False

    def _close_listener(self) -> None:
        self._stop_accepting()
        self._let_fillers_go()
        if self._socket:
            self._socket.close()
            self._socket = None
            self._held.hold(self.port)

    async def _finish(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for each in self._connections:  # whose task had not begun
            each.abort()

    def _stop_opening(self) -> None:
        for task in self._opening:
            task.cancel()

    def _accept(self) -> None:
        assert self._socket
        try:
            near, _ = self._socket.accept()
        except OSError:
            return  # is gone again
        if max(len(self._connections), len(self._opening)) >= _MOST:
            near.close()
            return
        self.accepted += 1
        near.setblocking(False)
        task = asyncio.ensure_future(self._open(near), loop=self._loop)
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)
        # Also of one that was cancelled before it began.
        task.add_done_callback(lambda task: near.close() if task.cancelled() else None)

    async def _open(self, near: socket.socket) -> None:
        """TLS may take its time over it, and fail."""
        try:
            reader, writer = await self._opened(near)
        except OSError:
            near.close()
            return
        connection = self._connection(writer)
        self._connections.add(connection)
        connection.tasks = [asyncio.ensure_future(self._carry(connection, reader))]

    async def _carry(self, connection: Connection, reader: asyncio.StreamReader) -> None:
        try:
            await self._join(connection, reader)
        except (OSError, asyncio.CancelledError):
            pass  # one end is gone, or the relay ends: so is the other, below
        finally:
            self._connections.discard(connection)
            connection.close()

    async def _join(self, connection: Connection, from_node: asyncio.StreamReader) -> None:
        """Both ways, until one of them has ended."""
        from_broker, to_broker = await self._reach()
        connection.writers.append(to_broker)
        ways = [
            asyncio.ensure_future(self._pass(connection, "up", from_node)),
            asyncio.ensure_future(self._pass(connection, "down", from_broker)),
        ]
        connection.tasks += ways
        _, others = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in others:
            way.cancel()
        # Of both, or asyncio complains of the second.
        for end in await asyncio.gather(*ways, return_exceptions=True):
            if isinstance(end, Exception):
                raise end

    async def _pass(self, connection: Connection, way: str, reader: asyncio.StreamReader) -> None:
        async for piece in self._pieces(connection, way, reader):
            data = await self._passed(connection, piece)
            if data:
                await self._write(connection.writers[way == "up"], way, data)
