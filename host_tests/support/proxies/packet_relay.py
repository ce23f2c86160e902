"""Packets between node and broker: ends TLS on both sides, and shows each packet to whoever asks.

It passes on what comes unless a Word, which a packet proxy has armed, says otherwise. It will NOT
answer in the broker's stead, keep sessions, or know what a payload means.
"""

from __future__ import annotations

import asyncio
import ssl
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Self

from cryptography.hazmat.primitives.serialization import load_der_private_key
from cryptography.x509 import load_der_x509_certificate
from limpet.identity.authority import Identity
from support.brokers.running import RunningBroker
from support.brokers.scripted_broker import Packet, parse, split
from support.looped import Looped

_LOOPBACK = "127.0.0.1"
_CHUNK = 16384
_CLOSE_S = 0.02


class Word:
    """What is to happen to the next packet that fits. `happened` tells that it did."""

    def __init__(self, fits: Callable[[str, Packet], bool], act: Act) -> None:
        self.fits = fits
        self.act = act
        self.happened = threading.Event()


class Relay(Looped):
    """A way to `broker` for the device `device_id`. `with Relay(...) as relay:` opens it.

    The node is shown a server certificate of the set-up's own CA and has to show its own; the
    broker is shown the device's. `watch(way, packet)` is called, from the proxy's thread, for each
    packet: way is "up", "down", or "delivered" for a PUBLISH whose PUBACK the broker has sent.
    `speed` is the node's: seconds are seconds of its clock.
    """

    def __init__(
        self,
        broker: RunningBroker,
        device_id: str = "node-1",
        speed: float = 1.0,
        watch: Callable[[str, Packet], None] = lambda way, packet: None,
    ) -> None:
        super().__init__("packets")
        self.port = 0
        self.watch = watch
        self._broker = broker
        self._speed = speed
        self._server: asyncio.Server | None = None
        self._words: list[Word] = []
        self._swallows = False
        self._longest: int | None = None  # bytes of a packet from the node that comes through,
        self._closes = (
            False  # and whether a longer one ends the connection or is lost with the rest
        )
        self._conversations: set[Conversation] = set()
        ca = broker.setup.layout.ca_certificate
        device = _of_flash(broker.setup.layout.device(device_id))
        self._as_server = _context(
            ssl.PROTOCOL_TLS_SERVER, broker.authority.server([_LOOPBACK]), ca
        )
        self._as_client = _context(ssl.PROTOCOL_TLS_CLIENT, device, ca)

    def __enter__(self) -> Self:
        self._start_loop()
        self._run(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._finish())
        self._end_loop()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(
            self._accept, _LOOPBACK, self.port, ssl=self._as_server
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _finish(self) -> None:
        if self._server:
            self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = Conversation(writer)
        talk.lost = self._swallows
        self._conversations.add(talk)
        try:
            from_broker, to_broker = await asyncio.open_connection(
                _LOOPBACK, self._broker.port, ssl=self._as_client, server_hostname=_LOOPBACK
            )
            talk.writers.append(to_broker)
            await self._join(talk, reader, from_broker)
        except (OSError, Ended, asyncio.CancelledError):
            pass  # one end is gone, or the proxy ends: so is the other, below
        finally:
            self._conversations.discard(talk)
            talk.close()

    async def _join(
        self,
        talk: Conversation,
        from_node: asyncio.StreamReader,
        from_broker: asyncio.StreamReader,
    ) -> None:
        """Both ways, until one of them has ended."""
        ways = [
            asyncio.ensure_future(self._pass(talk, "up", from_node)),
            asyncio.ensure_future(self._pass(talk, "down", from_broker)),
        ]
        talk.tasks = [asyncio.current_task(), *ways]
        done, others = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in others:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)  # else asyncio complains of the second
        for way in done:
            way.result()

    async def _pass(self, talk: Conversation, way: str, reader: asyncio.StreamReader) -> None:
        writer = talk.writers[way == "up"]
        async for raw, packet in _packets(reader):
            if way == "up" and self._longest is not None and len(raw) > self._longest:
                if self._closes:
                    raise Ended
                talk.lost = True
            if talk.lost:
                await asyncio.Event().wait()
            talk.remember(way, packet)
            self.watch(way, packet)
            if way == "down" and packet.name == "PUBACK" and packet.packet_id in talk.published:
                self.watch("delivered", talk.published.pop(packet.packet_id))
            if await self._may_pass(talk, way, raw, packet):
                writer.write(raw)
                await writer.drain()

    async def _may_pass(self, talk: Conversation, way: str, raw: bytes, packet: Packet) -> bool:
        for word in self._words:
            if word.fits(way, packet):
                self._words.remove(word)
                try:
                    return await word.act(talk, raw, packet)
                finally:
                    word.happened.set()
        return True


class Ended(Exception):
    """Raised by an act to close the connection."""


class Conversation:
    """The node's end and, once it is there, the broker's."""

    def __init__(self, near: asyncio.StreamWriter) -> None:
        self.writers = [near]
        self.lost = False
        # asyncio holds tasks weakly: those of a black hole, which nothing will wake, would go.
        self.tasks: list[asyncio.Task[Any] | None] = []
        self.published: dict[int | None, Packet] = {}  # by packet id: what the broker owes a PUBACK

    def remember(self, way: str, packet: Packet) -> None:
        """Note what the broker owes a PUBACK."""
        if way == "up" and packet.name == "PUBLISH" and packet.qos:
            self.published[packet.packet_id] = packet

    def tell(self, data: bytes) -> None:
        """Say `data` to the node."""
        if not self.writers[0].is_closing():
            self.writers[0].write(data)

    def close(self) -> None:
        """Close both ends, as brokers do: TLS's goodbye, and TCP's right behind it."""
        loop = asyncio.get_running_loop()
        for writer in self.writers:
            writer.close()
            # Else asyncio keeps TCP open until the other side has said goodbye too, up to 30 s.
            loop.call_later(_CLOSE_S, writer.transport.abort)


# Does something to a packet; returns whether it is to be passed on as well. May raise Ended.
Act = Callable[[Conversation, bytes, Packet], Awaitable[bool]]


async def _packets(reader: asyncio.StreamReader) -> AsyncIterator[tuple[bytes, Packet]]:
    """Every packet as its bytes and as what it says."""
    buffer = b""
    while data := await reader.read(_CHUNK):
        buffer += data
        while found := split(buffer):
            head, body, rest = found
            raw, buffer = buffer[: len(buffer) - len(rest)], rest
            yield raw, parse(0, head, body)


def _of_flash(folder: Path) -> Identity:
    """Return the identity on a device's flash."""
    key = load_der_private_key((folder / "key.der").read_bytes(), None)
    certificate = load_der_x509_certificate((folder / "cert.der").read_bytes())
    return Identity(key, certificate)  # type: ignore[arg-type]


def _context(side: int, identity: Identity, ca: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(side)
    context.load_verify_locations(ca)
    context.verify_mode = ssl.CERT_REQUIRED
    # The ssl module reads keys from files alone.
    with tempfile.NamedTemporaryFile() as file:
        file.write(identity.key_pem() + identity.pem())
        file.flush()
        context.load_cert_chain(file.name)
    return context
