"""A wire between client and broker that has a length, and on which TLS records can be counted.

What goes in comes out `delay_s` later, however much is on its way: a long line, not a slow one. It
loses, changes, reorders and holds back nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable

HOST = "127.0.0.1"
_HEADER = 5  # of a TLS record: type, version, length
_DATA = 23  # its type, when it carries the application's bytes


class Wire:
    """`with Wire(port, delay_s) as wire:` makes `wire.port` a way to `port` of loopback.

    records, bytes: TLS records with data in them that went up to the broker, headers included.
    host: the address on which it can be reached; OSError where this machine has none such.
    """

    def __init__(self, target: int, delay_s: float = 0.0, host: str = HOST) -> None:
        self.port = 0
        self.records = self.bytes = 0
        self._host = host
        self._target = target
        self._delay_s = delay_s
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Wire:
        self._thread.start()
        listening = asyncio.run_coroutine_threadsafe(self._listen(), self._loop)
        self.port = listening.result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def cut(self) -> None:
        """Break all connections, and let nobody in until `mend`."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)

    def mend(self) -> None:
        """Be there again, on the same port."""
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    async def _listen(self) -> int:
        self._server = await asyncio.start_server(self._accept, self._host, self.port)
        return int(self._server.sockets[0].getsockname()[1])

    async def _end(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        try:
            from_broker, to_broker = await asyncio.open_connection(HOST, self._target)
            ends.append(to_broker)
            up = asyncio.ensure_future(self._carry(reader, to_broker, _Records(self).take))
            down = asyncio.ensure_future(self._carry(from_broker, writer, None))
            _, others = await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
            for each in others:
                each.cancel()
        except (OSError, asyncio.CancelledError):
            pass  # nobody listens there just now, or the wire ends: the client is hung up on
        finally:
            for end in ends:
                end.close()

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        look: Callable[[bytes], None] | None,
    ) -> None:
        loop, due = self._loop, deque[tuple[float, bytes]]()

        def deliver() -> None:
            while due and due[0][0] <= loop.time():
                writer.write(due.popleft()[1])
            if due:
                loop.call_at(due[0][0], deliver)

        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if look:
                    look(data)
                if not self._delay_s:
                    writer.write(data)
                    continue
                due.append((loop.time() + self._delay_s, data))
                if len(due) == 1:
                    loop.call_at(due[0][0], deliver)
            # The end comes as late as what went before it.
            await asyncio.sleep(self._delay_s)
            deliver()


class _Records:
    """Counts the records in one connection's stream for its wire."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._rest = b""
        self._left = 0

    def take(self, data: bytes) -> None:
        data = self._rest + data
        while data:
            if self._left:
                passed = min(self._left, len(data))
                data, self._left = data[passed:], self._left - passed
            elif len(data) < _HEADER:
                break
            else:
                self._left = int.from_bytes(data[3:5], "big")
                if data[0] == _DATA:
                    self._wire.records += 1
                    self._wire.bytes += _HEADER + self._left
                data = data[_HEADER:]
        self._rest = data
