"""MQTT 3.1.1 packets, as bytes and as what they say: what a server says, and what a client does."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

NAMES = {
    1: "CONNECT",
    2: "CONNACK",
    3: "PUBLISH",
    4: "PUBACK",
    5: "PUBREC",
    6: "PUBREL",
    7: "PUBCOMP",
    8: "SUBSCRIBE",
    9: "SUBACK",
    10: "UNSUBSCRIBE",
    11: "UNSUBACK",
    12: "PINGREQ",
    13: "PINGRESP",
    14: "DISCONNECT",
}


@dataclass(frozen=True)
class Packet:
    """One packet from a client, the `connection`-th there was.

    What its kind of packet does not have is empty. connect: the fields of a
    CONNECT, with None for those that its flags leave out.
    """

    connection: int
    name: str
    dup: bool = False
    qos: int = 0
    retain: bool = False
    packet_id: int | None = None
    topic: str = ""
    payload: bytes = b""
    connect: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        marks = "d" * self.dup + "r" * self.retain
        return " ".join(filter(None, [self.name, str(self.packet_id or ""), self.topic, marks]))


def connack(code: int = 0, present: bool = False) -> bytes:
    """Return a CONNACK, MQTT 3.1.1 section 3.2."""
    return bytes((0x20, 2, present, code))


def suback(packet: Packet, code: int) -> bytes:
    """Return the SUBACK to `packet`: the QoS granted, or 0x80."""
    return struct.pack(">BBHB", 0x90, 3, packet.packet_id, code)


def unsuback(packet: Packet) -> bytes:
    """Return the UNSUBACK to `packet`."""
    return struct.pack(">BBH", 0xB0, 2, packet.packet_id)


def puback(packet: Packet) -> bytes:
    """Return the PUBACK to `packet`."""
    return struct.pack(">BBH", 0x40, 2, packet.packet_id)


def publish(topic: str, payload: bytes, qos: int = 0, packet_id: int = 0, flags: int = 0) -> bytes:
    """Return a PUBLISH; `flags` is what else is in its first byte: 1 retained, 8 DUP."""
    name = topic.encode()
    body = struct.pack(">H", len(name)) + name
    if qos:
        body += struct.pack(">H", packet_id)
    return bytes((0x30 | qos << 1 | flags,)) + length(len(body) + len(payload)) + body + payload


def length(size: int) -> bytes:
    """Return a remaining length, MQTT 3.1.1 section 2.2.3."""
    out = bytearray()
    while size > 127:
        out.append(size & 127 | 128)
        size >>= 7
    out.append(size)
    return bytes(out)


def split(buffer: bytes) -> tuple[int, bytes, bytes] | None:
    """Return first byte, body and what follows of the first packet; None if it is not whole."""
    size = shift = 0
    for at in range(1, min(len(buffer), 5)):
        size |= (buffer[at] & 127) << shift
        shift += 7
        if buffer[at] < 128:
            end = at + 1 + size
            return (buffer[0], buffer[at + 1 : end], buffer[end:]) if len(buffer) >= end else None
    return None


def parse(connection: int, head: int, body: bytes) -> Packet:
    """Return the packet with the first byte `head`."""
    name = NAMES.get(head >> 4, f"RESERVED-{head >> 4}")
    if name == "CONNECT":
        return Packet(connection, name, connect=_connect(body))
    if name == "PUBLISH":
        topic, rest = _string(body)
        qos = head >> 1 & 3
        packet_id = struct.unpack_from(">H", rest)[0] if qos else None
        payload = rest[2:] if qos else rest
        flags = bool(head & 8), qos, bool(head & 1)
        return Packet(connection, name, *flags, packet_id, topic.decode(), payload)
    packet_id = struct.unpack_from(">H", body)[0] if len(body) >= 2 else None
    if name == "UNSUBSCRIBE":
        return Packet(connection, name, packet_id=packet_id, topic=_string(body[2:])[0].decode())
    if name == "SUBSCRIBE":
        topic, rest = _string(body[2:])
        return Packet(connection, name, qos=rest[0], packet_id=packet_id, topic=topic.decode())
    return Packet(connection, name, packet_id=packet_id)


def _connect(body: bytes) -> dict[str, Any]:
    protocol, rest = _string(body)
    level, flags, keepalive = struct.unpack_from(">BBH", rest)
    client_id, rest = _string(rest[4:])
    said: dict[str, Any] = {
        "protocol": (protocol, level),
        "client_id": client_id.decode(),
        "clean_session": bool(flags & 2),
        "keepalive": keepalive,
        "will_qos": flags >> 3 & 3,
        "will_retain": bool(flags & 0x20),
    }
    for name, flag in (("will_topic", 4), ("will", 4), ("username", 0x80), ("password", 0x40)):
        said[name] = None
        if flags & flag:
            said[name], rest = _string(rest)
    return said | {"rest": rest}


def _string(body: bytes) -> tuple[bytes, bytes]:
    (size,) = struct.unpack_from(">H", body)
    return body[2 : 2 + size], body[2 + size :]
