"""A proxy between node and broker that ends TLS on both sides, and does in words what a broker may.

It knows packets: what is said to it happens to the next one that fits, once. It will NOT answer in
the broker's stead unless told to, keep sessions, or know what a payload means.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

from brokers import RunningBroker
from cryptography.hazmat.primitives.serialization import load_der_private_key
from cryptography.x509 import load_der_x509_certificate
from limpet.authority import Identity
from scripted_broker import Packet, connack, length, parse, publish, split, suback

_LOOPBACK = "127.0.0.1"
_CHUNK = 16384
# No packet begins like this: type 0 is forbidden (MQTT 3.1.1, table 2.1).
GARBAGE = b"\0\xff\x80 limpets do not talk"
_CLOSE_S = 0.02
# Longer than all that a broker says while the node waits for one PUBACK.
_CLAIMED = 200_000


class Word:
    """What is to happen to the next packet that fits. `happened` tells that it did."""

    def __init__(self, fits: Callable[[str, Packet], bool], act: Act) -> None:
        self.fits = fits
        self.act = act
        self.happened = threading.Event()


class PacketProxy:
    """A way to `broker` for the device `device_id`. `with PacketProxy(...) as proxy:` opens it.

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
        self.port = 0
        self.watch = watch
        self._broker = broker
        self._speed = speed
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="packets", daemon=True)
        self._server: asyncio.Server | None = None
        self._words: list[Word] = []
        self._swallows = False
        self._conversations: set[_Conversation] = set()
        ca = broker.setup.layout.ca_certificate
        device = _of_flash(broker.setup.layout.device(device_id))
        self._as_server = _context(
            ssl.PROTOCOL_TLS_SERVER, broker.authority.server([_LOOPBACK]), ca
        )
        self._as_client = _context(ssl.PROTOCOL_TLS_CLIENT, device, ca)

    # -- words, each for the next packet that fits -------------------------------------------------

    def drop_puback(self) -> Word:
        """The node never hears of the next PUBACK."""
        return self._arm(_down("PUBACK"), _drop)

    def double_puback(self) -> Word:
        """The next PUBACK comes twice."""

        async def act(talk: _Conversation, raw: bytes, packet: Packet) -> bool:
            talk.tell(raw + raw)
            return False

        return self._arm(_down("PUBACK"), act)

    def delay_puback(self, seconds: float) -> Word:
        """The next PUBACK comes so much later; what follows overtakes it."""

        async def act(talk: _Conversation, raw: bytes, packet: Packet) -> bool:
            self._loop.call_later(seconds / self._speed, talk.tell, raw)
            return False

        return self._arm(_down("PUBACK"), act)

    def reorder_pubacks(self, count: int = 2, within_s: float = 8.0) -> Word:
        """The next `count` PUBACKs of one connection come last first, or as many as there are
        `within_s` after the first.
        """
        held: list[bytes] = []
        word = Word(_down("PUBACK"), _drop)

        def release(talk: _Conversation) -> None:
            self._disarm(word)
            talk.tell(b"".join(reversed(held)))
            held.clear()

        async def act(talk: _Conversation, raw: bytes, packet: Packet) -> bool:
            held.append(raw)
            if len(held) < count:
                self._words.insert(0, word)  # the next one as well
            if len(held) == 1:
                self._loop.call_later(within_s / self._speed, release, talk)
            if len(held) == count:
                release(talk)
            return False

        word.act = act
        self._do(lambda: self._words.append(word))
        return word

    def stray_puback(self, packet_id: int = 65000) -> Word:
        """Ahead of the next packet, a PUBACK for something that was never sent."""
        return self._say_ahead(struct.pack(">BBH", 0x40, 2, packet_id))

    def truncate_connack(self, size: int = 2) -> Word:
        """Of the next CONNACK `size` bytes come, and then the end."""

        async def act(talk: _Conversation, raw: bytes, packet: Packet) -> bool:
            talk.tell(raw[:size])
            raise _Ended

        return self._arm(_down("CONNACK"), act)

    def refuse_connect(self, code: int) -> Word:
        """The next CONNECT is answered with a return code, 1 to 5 (MQTT 3.1.1 section 3.2.2.3)."""
        return self._arm(_up("CONNECT"), _answer(lambda packet: connack(code), ends=True))

    def refuse_subscribe(self) -> Word:
        """The next SUBSCRIBE is answered with 0x80, and the broker does not hear of it."""
        return self._arm(_up("SUBSCRIBE"), _answer(lambda packet: suback(packet, 0x80)))

    def close_on_subscribe(self) -> Word:
        """The next SUBSCRIBE ends the connection."""
        return self._arm(_up("SUBSCRIBE"), _answer(lambda packet: b"", ends=True))

    def garbage(self, data: bytes = GARBAGE) -> Word:
        """Ahead of the next packet comes what is none."""
        return self._say_ahead(data)

    def lie_about_length(self, claimed: int = _CLAIMED) -> Word:
        """Ahead of the next packet begins a PUBLISH that claims the bytes of all that follows."""
        return self._say_ahead(b"\x30" + length(claimed) + b"\0\x01x")

    def publish_unasked(self, topic: str, payload: bytes, qos: int = 1) -> Word:
        """Ahead of the next packet comes a PUBLISH on a topic that nobody has subscribed to."""
        return self._say_ahead(publish(topic, payload, qos, 64999))

    # -- words for all connections that there are --------------------------------------------------

    def black_hole(self) -> None:
        """What is or gets connected is lost for good: TLS lives, but no packet comes through."""

        def everything() -> None:
            self._swallows = True
            for each in self._conversations:
                each.lost = True

        self._do(everything)

    def close(self) -> None:
        """Close every connection now, with TLS's own goodbye, at both ends."""

        def everything() -> None:
            for each in self._conversations:
                each.close()

        self._do(everything)

    def let_through(self) -> None:
        """New connections are passed on again; what was swallowed stays lost."""
        self._do(lambda: setattr(self, "_swallows", False))

    def restore(self) -> None:
        """As `let_through`; and what was said and has not happened will not."""
        self.let_through()
        self._do(self._words.clear)

    # -- how ---------------------------------------------------------------------------------------

    def __enter__(self) -> PacketProxy:
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._finish())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _arm(self, fits: Callable[[str, Packet], bool], act: Act) -> Word:
        word = Word(fits, act)
        self._do(lambda: self._words.append(word))
        return word

    def _disarm(self, word: Word) -> None:
        if word in self._words:
            self._words.remove(word)

    def _say_ahead(self, data: bytes) -> Word:
        """Once the node is let in: before, a CONNACK is all that it takes."""

        async def act(talk: _Conversation, raw: bytes, packet: Packet) -> bool:
            talk.tell(data)
            return True

        return self._arm(lambda way, packet: way == "down" and packet.name != "CONNACK", act)

    def _run(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(10)

    def _do(self, what: Callable[[], object]) -> None:
        """Carry `what` out in the proxy's thread, and come back when it is done."""

        async def once() -> None:
            what()

        self._run(once())

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
        talk = _Conversation(writer)
        talk.lost = self._swallows
        self._conversations.add(talk)
        try:
            from_broker, to_broker = await asyncio.open_connection(
                _LOOPBACK, self._broker.port, ssl=self._as_client, server_hostname=_LOOPBACK
            )
            talk.writers.append(to_broker)
            await self._join(talk, reader, from_broker)
        except (OSError, _Ended, asyncio.CancelledError):
            pass  # one end is gone, or the proxy ends: so is the other, below
        finally:
            self._conversations.discard(talk)
            talk.close()

    async def _join(
        self,
        talk: _Conversation,
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

    async def _pass(self, talk: _Conversation, way: str, reader: asyncio.StreamReader) -> None:
        writer = talk.writers[way == "up"]
        async for raw, packet in _packets(reader):
            if talk.lost:
                await asyncio.Event().wait()
            talk.remember(way, packet)
            self.watch(way, packet)
            if way == "down" and packet.name == "PUBACK" and packet.packet_id in talk.published:
                self.watch("delivered", talk.published.pop(packet.packet_id))
            if await self._may_pass(talk, way, raw, packet):
                writer.write(raw)
                await writer.drain()

    async def _may_pass(self, talk: _Conversation, way: str, raw: bytes, packet: Packet) -> bool:
        for word in self._words:
            if word.fits(way, packet):
                self._words.remove(word)
                try:
                    return await word.act(talk, raw, packet)
                finally:
                    word.happened.set()
        return True


class _Ended(Exception):
    """Raised by an act to close the connection."""


class _Conversation:
    """The node's end and, once it is there, the broker's."""

    def __init__(self, near: asyncio.StreamWriter) -> None:
        self.writers = [near]
        self.lost = False
        # asyncio holds tasks weakly: those of a black hole, which nothing will wake, would go.
        self.tasks: list[asyncio.Task[Any] | None] = []
        self.published: dict[int | None, Packet] = {}  # by packet id: what the broker owes a PUBACK

    def remember(self, way: str, packet: Packet) -> None:
        if way == "up" and packet.name == "PUBLISH" and packet.qos:
            self.published[packet.packet_id] = packet

    def tell(self, data: bytes) -> None:
        """Say `data` to the node."""
        if not self.writers[0].is_closing():
            self.writers[0].write(data)

    def close(self) -> None:
        loop = asyncio.get_running_loop()
        for writer in self.writers:
            writer.close()
            # Else asyncio keeps TCP open until the other side has said goodbye too, up to 30 s.
            loop.call_later(_CLOSE_S, writer.transport.abort)


# Does something to a packet; returns whether it is to be passed on as well. May raise _Ended.
Act = Callable[[_Conversation, bytes, Packet], Awaitable[bool]]


def _up(name: str) -> Callable[[str, Packet], bool]:
    return lambda way, packet: way == "up" and packet.name == name


def _down(name: str) -> Callable[[str, Packet], bool]:
    return lambda way, packet: way == "down" and packet.name == name


async def _drop(talk: _Conversation, raw: bytes, packet: Packet) -> bool:
    return False


def _answer(answer: Callable[[Packet], bytes], ends: bool = False) -> Act:
    async def act(talk: _Conversation, raw: bytes, packet: Packet) -> bool:
        talk.tell(answer(packet))
        if ends:
            raise _Ended
        return False

    return act


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
