"""An MQTT 3.1.1 connection on asyncio's loop, by the node's own packets (lib/mqtt_packets.py).

No task and no stream for each: thousands of them are to fit into one process. It keeps no session,
and never connects again by itself; its owner does both.
"""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, cast

from limpet.shared.mechanisms import mqtt_connect, mqtt_packets

PUBLISH = 0x30
RETAIN = 0x01
QOS_1 = 0x02
DUP = 0x08
# What TCP, and each answer of the broker, may take: as the node has it (answer_ms in umqtt_tls.py).
ANSWER_S = 20
_PINGREQ = b"\xc0\0"
_DISCONNECT = b"\xe0\0"


class Address(NamedTuple):
    """Where the broker listens: family and address as `getaddrinfo` gives them, and the name that
    its certificate has to carry.
    """

    family: int
    at: tuple[Any, ...]
    server_name: str


class Hello(NamedTuple):
    """What CONNECT says. will: topic, payload, QoS, retain; login: user and password, or two None;
    clean: whether the broker is to forget the session.
    """

    client_id: str
    keepalive_s: int
    will: tuple[str, bytes, int, bool] | None = None
    login: tuple[str | None, str | None] = (None, None)
    clean: bool = False


class Owner(Protocol):
    """Who is told what happens to a connection. After `on_down` nothing more is."""

    def on_up(self, connection: "Connection", session_present: bool) -> None:
        """The broker has let us in."""

    def on_down(self, connection: "Connection", cause: str) -> None:
        """It has ended, or never came about: why, in a word of docs/reference/causes.md."""

    def on_acknowledged(self, packet_id: int) -> None:
        """PUBACK."""

    def on_subscribed(self, granted: bool) -> None:
        """SUBACK."""

    def on_message(self, topic: str, payload: bytes) -> None:
        """A Message has come; it is acknowledged when this returns."""


class Connection(asyncio.BufferedProtocol):
    """One connection; `up` while the broker has let us in.

    buffer_bytes: the longest packet that is read whole; of a longer one only the front counts.
    heard, spoke: when something last came and went, by time.monotonic: the loop's own clock stands
    still while it is busy.
    """

    def __init__(self, owner: Owner, hello: Hello, buffer_bytes: int = 512) -> None:
        self.up = False
        self.heard = self.spoke = 0.0
        self._owner = owner
        self._hello = hello
        self._reader: Any = mqtt_packets.Reader(buffer_bytes, buffer_bytes)
        self._transport: asyncio.Transport | None = None
        self._acks = bytearray()
        self._ended = False

    async def open(
        self,
        address: Address,
        context: Callable[[], ssl.SSLContext],
        limit_s: float,
        gate: asyncio.Semaphore,
    ) -> None:
        """Connect, by TCP within ANSWER_S, then TLS within so many seconds, from when `gate` has
        let it begin with that. All that goes wrong is told to the owner.
        """
        loop = asyncio.get_running_loop()
        end = socket.socket(address.family, socket.SOCK_STREAM)
        late = "tcp-timeout"
        try:
            end.setblocking(False)
            async with asyncio.timeout(ANSWER_S):
                await loop.sock_connect(end, address.at)
            late = "tls-timeout"
            async with gate, asyncio.timeout(limit_s):
                await loop.create_connection(
                    lambda: self,
                    sock=end,
                    ssl=context(),
                    server_hostname=address.server_name,
                    ssl_handshake_timeout=limit_s,
                )
        except (OSError, TimeoutError) as error:
            end.close()
            self._end(late if isinstance(error, TimeoutError) else _cause(error))
        except BaseException:
            end.close()
            raise

    def abort(self, cause: str) -> None:
        """Close without a goodbye, and tell the owner at once."""
        if self._transport:
            self._transport.abort()
        self._end(cause)

    def leave(self) -> None:
        """DISCONNECT, and close once that has gone; the owner is not told."""
        self._ended, self.up = True, False
        if self._transport and not self._transport.is_closing():
            self._transport.write(_DISCONNECT)
            self._transport.close()

    def ping(self) -> None:
        """PINGREQ."""
        self._write(_PINGREQ)

    def subscribe(self, packet_id: int, topic: str) -> None:
        """SUBSCRIBE with QoS 1."""
        self._write(mqtt_packets.subscribe(packet_id, topic, 1))

    def publish(self, topic: bytes, payload: bytes, flags: int, packet_id: int) -> None:
        """PUBLISH. flags: QOS_1, RETAIN, DUP; packet_id: 0 without QoS_1."""
        packet = bytearray()
        mqtt_packets.begin(packet, PUBLISH | flags, topic, packet_id)
        packet += payload
        mqtt_packets.finish(packet)
        self._write(packet)

    def _write(self, packet: bytes | bytearray) -> None:
        assert self._transport
        self.spoke = time.monotonic()
        self._transport.write(packet)

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TLS is there: CONNECT."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self.heard = time.monotonic()
        said = self._hello
        self._write(
            mqtt_connect.connect(
                said.client_id, said.keepalive_s, said.clean, said.will, said.login
            )
        )

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go."""
        space: memoryview = self._reader.space
        return space

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes have come."""
        self.heard = time.monotonic()
        reader = self._reader
        first = reader.packet(nbytes)
        while first is not None and not self._ended:
            if not first or not self._taken(first):
                self.abort("protocol")
                return
            first = reader.packet() if reader.left else None
        if self._acks and not self._ended:
            self._write(bytes(self._acks))
            self._acks.clear()

    def connection_lost(self, exc: Exception | None) -> None:
        """The other side, or the network, has ended it."""
        self._end(_cause(exc) if exc else "closed")

    def _taken(self, first: int) -> bool:
        """Take a packet; False if a broker may not say that."""
        reader, owner = self._reader, self._owner
        kind = first & 0xF0
        if kind == PUBLISH:
            found = reader.publish(first)
            if found is None:
                return False
            topic, packet_id, payload, _ = found
            owner.on_message(topic, payload)
            if packet_id:
                self._acks += bytes((0x40, 2, packet_id >> 8, packet_id & 255))
        elif kind == 0x40:
            owner.on_acknowledged(reader.number)
        elif kind == 0x20:
            self._greeted(reader.number)
        elif kind == 0x90:
            owner.on_subscribed(reader.buffer[reader.body + 2] < 0x80)
        return True

    def _greeted(self, number: int) -> None:
        if code := number & 0xFF:
            self.abort(REFUSALS.get(code, "protocol"))
            return
        self.up = True
        self._owner.on_up(self, bool(number >> 8))

    def _end(self, cause: str) -> None:
        if self._ended:
            return
        self._ended, self.up = True, False
        self._owner.on_down(self, cause)


# CONNACK's codes, section 3.2.2.3, by the node's words for them.
REFUSALS = {
    1: "protocol-version",
    2: "client-id",
    3: "unavailable",
    4: "credentials",
    5: "not-authorized",
}


def _cause(error: BaseException) -> str:
    """Return the node's word for an error, docs/reference/causes.md."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "certificate"
    if isinstance(error, ssl.SSLError):
        return "tls-refused" if "ALERT" in str(error.reason) else "tls-broken"
    if isinstance(error, ConnectionRefusedError):
        return "tcp-refused"
    return "closed" if isinstance(error, ConnectionError) else "tcp-unreachable"
