"""Targets that read what a broker sends: its packets, and the client with all that is behind it."""

import struct

from support.fuzz.common import BASE, CPYTHON, JSON_TOKENS, MQTT_TOKENS
from support.fuzz.payloads import Command, Status


class Packets:
    """lib/mqtt_packets.py: a stream of MQTT packets, in pieces of several sizes."""

    heap, per_byte, kept = 1024, 80, 2048
    size_max = 1500
    samples = (
        b"\x20\x02\x01\x00\x90\x03\x00\x01\x01\x40\x02\x00\x07\xd0\x00\x62\x02\x00\x08",
        b"\x30\x0b\x00\x05topic0123\x32\x0d\x00\x05topic\x00\x090123\x34\x0d\x00\x05topic\x00\x0a0123",
        b"\x31\x85\x01\x00\x03a/b" + b"x" * 128 + b"\x3d\x07\x00\x02\xc3\xa4\x00\x01!",
        b"\x30\xff\xff\xff\xff\x01\x00\x01a" + bytes(130),
    )
    tokens = MQTT_TOKENS

    def __init__(self) -> None:
        from mqtt_packets import Reader

        self._reader = Reader(128, 100)
        self._piece = b""

    def feed(self, data: bytes) -> None:
        """Read all packets of the stream."""
        self._reader.clear()
        # Each read costs memoryviews of this target's own: not where heap is measured.
        pieces = (len(data) or 1, 1, 7)[len(data) % 3] if CPYTHON else 256
        for at in range(0, len(data), pieces):
            if not self._take(data[at : at + pieces]):
                return

    def _take(self, piece: bytes) -> bool:
        reader = self._reader
        while piece:
            if not len(reader.space):
                raise AssertionError("no space")
            count = min(len(reader.space), len(piece))
            reader.space[:count] = piece[:count]
            piece = piece[count:]
            first = reader.packet(count)
            while first is not None:
                if not first or not self._check(first):
                    return False
                first = reader.packet() if reader.left else None
        return True

    def _check(self, first: int) -> bool:
        reader = self._reader
        if not 0 <= reader.body <= reader.after <= len(reader.buffer):
            raise AssertionError("packet outside the buffer")
        if first & 0xF0 == 0x30:
            found = reader.publish(first)
            if found is None:
                return False
            topic, packet_id, payload, whole = found
            if not 0 <= packet_id <= 65535 or bool(first & 6) != bool(packet_id):
                raise AssertionError("publish")
            rest = reader.after - reader.body - 2 - reader.number - (2 if packet_id else 0)
            if payload is None or len(payload) != min(rest, 100):
                raise AssertionError("beyond its packet")
            if len(topic.encode()) != (reader.number if reader.number <= 100 else 0):
                raise AssertionError("half a topic")
            if whole != (rest <= 100 and reader.number <= 100 and not reader._skip):
                raise AssertionError("whole")
        return True


class Wire:
    """A transport whose peer has said `data` already, in pieces, and then says no more."""

    addresses = ()
    cause = None

    def __init__(self) -> None:
        self.said = 0
        self._data = b""
        self._at = 0

    def load(self, data: bytes) -> None:
        """Let the next connection read `data`."""
        self._data = data
        self._at = self.said = 0

    def resolve(self, host: str, port: int) -> None:
        """There is nobody to ask."""

    def open(self) -> None:
        """There is nothing to open."""

    def opened(self) -> bool:
        """At once."""
        return True

    def proven(self) -> None:
        """Nothing changes."""

    def write(self, packet: bytes) -> "int | None":
        """Take everything, but not always at once."""
        self.said += 1
        return None if self.said % 5 == 0 else len(packet)

    def readinto(self, space: memoryview) -> "int | None":
        """Give the next piece, or nothing."""
        count = min(len(space), len(self._data) - self._at, 1 + self._at % 61)
        space[:count] = self._data[self._at : self._at + count]
        self._at += count
        return count or None

    def close(self) -> None:
        """Forget what was not read."""
        self._data = b""
        self.cause = None


TELEMETRY = (BASE + "/telemetry").encode()
BROKER_CAUSES = ("protocol-version", "client-id", "unavailable", "credentials", "not-authorized")
OWN_CAUSES = ("protocol", "connack-timeout", "puback-timeout", "suback-timeout", "ping-timeout")


class Client:
    """lib/umqtt_tls.py whole, with the router and the status behind it as in main.py."""

    heap, per_byte, kept = 16384, 64, 8192
    size_max = 4000
    tokens = MQTT_TOKENS + JSON_TOKENS[:4]

    def __init__(self) -> None:
        from umqtt_tls import MQTTClient

        self._wire = Wire()
        room = {"max_packet": 512, "max_payload": 400}
        self._client = client = MQTTClient("node-1", "broker", window=4, **room)
        client._transport = self._wire  # type: ignore[assignment]
        self._command, self._status = Command(), Status()
        client.on_message = self._heard  # type: ignore[method-assign]
        client.subscribe(BASE + "/status", 1)
        client.subscribe(BASE + "/commands", 2)
        client.on_down = self._down  # type: ignore[method-assign]
        self._cause = None
        greeted = b"\x20\x02\x00\x00\x90\x03\x00\x01\x01\x90\x03\x00\x02\x01"
        self.samples = (
            greeted + b"\x40\x02\x00\x03\x40\x02\x00\x04\xd0\x00",
            greeted + publish("/commands", Command.samples[0], 1) + b"\x62\x02\x00\x09",
            greeted + publish("/status", Status.samples[0], 1) + publish("/x", b"y" * 600, 2),
            b"\x20\x02\x01\x00"
            + publish("/commands", b'{"id":"a"}', 2) * 3
            + b"\x62\x02\x00\x09" * 2,
            greeted + b"".join([b"\x34\x05\x00\x01a\x01" + bytes((n,)) for n in range(34)]),
        )

    def _heard(self, topic: str, payload: bytes, retained: bool, dup: bool) -> None:
        to = self._status if topic == BASE + "/status" else self._command
        to.heard(topic, payload, retained, dup)

    def _down(self, cause: str) -> None:
        self._cause = cause  # type: ignore[assignment]

    def feed(self, data: bytes) -> None:
        """Connect, hear `data`, wait for what will not come."""
        client = self._client
        self._wire.load(data)
        self._cause = None
        client.start(0)
        now = 0
        steps = 0
        while client.state != "down":
            wait = client.step(now)
            steps += 1
            if not 0 <= wait <= 60000 or steps > 40 + len(data):
                raise AssertionError("sleep")
            if client.state == "up":
                client.send(TELEMETRY, b"{}", 1)
            held = client._connection
            out, in_flight = (held._out, held._in_flight) if held else ((), ())
            if len(out) > 20 or len(in_flight) > 4 or len(client.received) > 32:
                raise AssertionError("unbounded")
            # What is waited for is overdue in the end: all has been read then.
            now += wait
        if self._cause not in BROKER_CAUSES + OWN_CAUSES:
            raise AssertionError(self._cause)


def publish(suffix: str, payload: bytes, qos: int) -> bytes:
    """Return a PUBLISH to the node with packet id 9."""
    topic = (BASE + suffix).encode()
    body = struct.pack(">H", len(topic)) + topic + b"\x00\x09" + payload
    size = len(body)
    head = bytes((size,)) if size < 128 else bytes((size & 127 | 128, size >> 7))
    return bytes((0x30 | qos << 1,)) + head + body
