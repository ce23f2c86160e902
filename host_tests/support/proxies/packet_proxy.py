"""A proxy that ends TLS on both sides, and does in words what a broker may.

It knows packets: they are its pieces, and what is said to it by a Word happens to the next one that
fits, once. It passes on what comes unless told otherwise. It never answers in the broker's stead.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable

from limpet.operating.levers import relay
from support import schemas
from support.brokers.codec import Packet, connack, length, publish, suback
from support.brokers.running import RunningBroker
from support.proxies.connection import Connection, Ended
from support.proxies.packets import Act, Word, context, identity, packets
from support.proxies.proxy import LOOPBACK, Proxy

# No packet begins like this: type 0 is forbidden (MQTT 3.1.1, table 2.1).
GARBAGE = b"\0\xff\x80 limpets do not talk"
# Longer than all that a broker says while the node waits for one PUBACK.
_CLAIMED = 200_000


class PacketProxy(Proxy):
    """A way to `broker` for the device `device_id`. `with PacketProxy(broker) as proxy:` opens it.

    The node is shown a server certificate of the set-up's own CA and has to show its own; the
    broker is shown the device's. `watch(way, packet)` is called, from the proxy's thread, for each
    packet: way is "up", "down", or "delivered" for a PUBLISH whose PUBACK the broker has sent.
    """

    def __init__(
        self,
        broker: RunningBroker,
        device_id: str = "node-1",
        speed: float = 1.0,
        watch: Callable[[str, Packet], None] = lambda way, packet: None,
    ) -> None:
        super().__init__(broker.port, speed)
        self.watch = watch
        self._words: list[Word] = []
        self._longest: int | None = None  # bytes of a packet from the node that comes through,
        self._closes = False  # and whether a longer one ends the connection, or all is lost
        layout = broker.setup.layout
        server = broker.authority.server([LOOPBACK])
        self._near_tls = context(ssl.PROTOCOL_TLS_SERVER, server, layout.ca_certificate)
        device = identity(layout.device(device_id))
        self._far_tls = context(ssl.PROTOCOL_TLS_CLIENT, device, layout.ca_certificate)

    # -- words, each for the next packet that fits -------------------------------------------------

    def drop_puback(self) -> Word:
        """The node never hears of the next PUBACK."""
        return self._arm(_down("PUBACK"), _drop)

    def double_puback(self) -> Word:
        """The next PUBACK comes twice."""

        async def act(talk: Connection, raw: bytes, packet: Packet) -> bool:
            talk.tell(raw + raw)
            return False

        return self._arm(_down("PUBACK"), act)

    def delay_puback(self, seconds: float) -> Word:
        """The next PUBACK comes so much later; what follows overtakes it."""

        async def act(talk: Connection, raw: bytes, packet: Packet) -> bool:
            self._loop.call_later(seconds / self._speed, talk.tell, raw)
            return False

        return self._arm(_down("PUBACK"), act)

    def reorder_pubacks(self, count: int = 2, within_s: float = 8.0) -> Word:
        """The next `count` PUBACKs of one connection come last first, or as many as there are
        `within_s` after the first.
        """
        held: list[bytes] = []
        word = Word(_down("PUBACK"), _drop)

        def release(talk: Connection) -> None:
            self._disarm(word)
            talk.tell(b"".join(reversed(held)))
            held.clear()

        async def act(talk: Connection, raw: bytes, packet: Packet) -> bool:
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

        async def act(talk: Connection, raw: bytes, packet: Packet) -> bool:
            talk.tell(raw[:size])
            raise Ended

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

    def limit(self, longest: int, closes: bool) -> None:
        """A packet of the node's with more than `longest` bytes ends the connection, as at a broker
        with a limit; or, with closes=False, is lost with all that follows, as where a way swallows
        long segments.
        """

        def everything() -> None:
            self._longest, self._closes = longest, closes

        self._do(everything)

    def let_through(self) -> None:
        """As `restore`; but what was said of a packet will still happen."""
        super().restore()
        self._do(lambda: setattr(self, "_longest", None))

    def restore(self) -> None:
        """Let everything through; what was said and has not happened will not."""
        self.let_through()
        self._do(self._words.clear)

    # -- how ---------------------------------------------------------------------------------------

    def _connection(self, near: asyncio.StreamWriter) -> Connection:
        return Connection(near, tls=True, lost=self._swallows)

    async def _opened(self, near: socket.socket) -> relay.Streams:
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await self._loop.connect_accepted_socket(
            lambda: protocol, near, ssl=self._near_tls
        )
        return reader, asyncio.StreamWriter(transport, protocol, reader, self._loop)

    async def _reach(self) -> relay.Streams:
        return await asyncio.open_connection(
            LOOPBACK, self.target_port, ssl=self._far_tls, server_hostname=LOOPBACK
        )

    def _arm(self, fits: Callable[[str, Packet], bool], act: Act) -> Word:
        word = Word(fits, act)
        self._do(lambda: self._words.append(word))
        return word

    def _disarm(self, word: Word) -> None:
        if word in self._words:
            self._words.remove(word)

    def _say_ahead(self, data: bytes) -> Word:
        """Once the node is let in: before, a CONNACK is all that it takes."""

        async def act(talk: Connection, raw: bytes, packet: Packet) -> bool:
            talk.tell(data)
            return True

        return self._arm(lambda way, packet: way == "down" and packet.name != "CONNACK", act)

    async def _pieces(
        self, connection: relay.Connection, way: str, reader: asyncio.StreamReader
    ) -> AsyncIterator[bytes]:
        """Each packet that is to be passed on. The end comes through even where packets do not."""
        assert isinstance(connection, Connection)
        async for raw, packet in packets(reader):
            if way == "up" and self._longest is not None and len(raw) > self._longest:
                if self._closes:
                    raise Ended
                connection.lost = True
            if connection.lost:
                await asyncio.Event().wait()
            self._show(connection, way, packet)
            if await self._may_pass(connection, way, raw, packet):
                yield raw

    def _show(self, connection: Connection, way: str, packet: Packet) -> None:
        if way == "up" and packet.name == "PUBLISH":
            schemas.note(packet.topic, packet.payload)
        if way == "up" and packet.name == "PUBLISH" and packet.qos:
            connection.published[packet.packet_id] = packet
        self.watch(way, packet)
        if way == "down" and packet.name == "PUBACK" and packet.packet_id in connection.published:
            self.watch("delivered", connection.published.pop(packet.packet_id))

    async def _may_pass(self, talk: Connection, way: str, raw: bytes, packet: Packet) -> bool:
        for word in self._words:
            if word.fits(way, packet):
                self._words.remove(word)
                try:
                    return await word.act(talk, raw, packet)
                finally:
                    word.happened.set()
        return True


def _up(name: str) -> Callable[[str, Packet], bool]:
    return lambda way, packet: way == "up" and packet.name == name


def _down(name: str) -> Callable[[str, Packet], bool]:
    return lambda way, packet: way == "down" and packet.name == name


async def _drop(talk: Connection, raw: bytes, packet: Packet) -> bool:
    return False


def _answer(answer: Callable[[Packet], bytes], ends: bool = False) -> Act:
    async def act(talk: Connection, raw: bytes, packet: Packet) -> bool:
        talk.tell(answer(packet))
        if ends:
            raise Ended
        return False

    return act
