"""PUBLISHes cut out of a stream, however that is cut itself."""

from __future__ import annotations

import random

import pytest
from limpet.ingest.packets import Packets, Publish, acknowledged


def packet(kind: int, body: bytes) -> bytes:
    """Return an MQTT packet."""
    size, length = len(body), bytearray()
    while True:
        size, digit = size >> 7, size & 127
        length.append(digit | (128 if size else 0))
        if not size:
            return bytes([kind]) + length + body


def publish(topic: bytes, payload: bytes, mid: int = 0, properties: bytes | None = None) -> bytes:
    """Return a PUBLISH of QoS 1, or of QoS 0 where `mid` is 0; with MQTT 5's properties, if any."""
    body = len(topic).to_bytes(2, "big") + topic
    body += mid.to_bytes(2, "big") if mid else b""
    if properties is not None:
        body += packet(0, properties)[1:]
    return packet(0x32 if mid else 0x30, body + payload)


# CONNACK, SUBACK, PINGRESP, and one whose length takes two bytes.
OTHERS = [
    packet(0x20, b"\x00\x00\x00"),
    packet(0x90, b"\x00\x01\x00\x01\x01"),
    packet(0xD0, b""),
    packet(0x90, bytes(300)),
]


@pytest.mark.parametrize("version_5", [False, True])
def test_any_cut(version_5: bool) -> None:
    """Byte by byte, in pieces and at once: the same PUBLISHes, and the others in order."""
    chance = random.Random(5)
    properties = [b"", b"\x02\x00\x00\x00\x0a", b"\x26\x00\x01a\x00\x01" + b"b" * 200]
    stream, wanted, others = b"", [], b""
    for number in range(40):
        topic, payload = b"a/%d" % number, bytes(chance.choice((0, 1, 100, 200, 20_000)))
        mid = chance.choice((0, 1, 256, 65535))
        own = chance.choice(properties) if version_5 else None
        stream += publish(topic, payload, mid, own)
        wanted.append(Publish(topic, payload, mid))
        if number % 4 == 0:
            other = chance.choice(OTHERS)
            stream, others = stream + other, others + other
    for most in (1, 3, 1000, 16384, len(stream)):
        packets = Packets(version_5)
        found: list[Publish] = []
        at = 0
        while at < len(stream):
            size = chance.randint(1, most)
            found += packets.feed(stream[at : at + size])
            at += size
        assert found == wanted
        assert packets.others == others


@pytest.mark.parametrize(
    "broken",
    [
        b"\x30\xff\xff\xff\xff\x01",  # a length of five bytes
        packet(0x30, b"\x00\x09topic"),  # a topic that is longer than all of it
        packet(0x30, b"\x00"),
        packet(0x32, b"\x00\x01t\x00"),  # half an id
        packet(0x32, b"\x00\x01t\x00\x00x"),  # an id that is none
        packet(0x34, b"\x00\x01t\x00\x01\x00x"),  # QoS 2
        packet(0x30, b"\x00\x01t\x05x"),  # properties beyond the end
        packet(0x30, b"\x00\x01t\xff\xff\xff\xff\x01"),
    ],
)
def test_what_is_no_publish(broken: bytes) -> None:
    """It is an error by name, with more behind it too, and nothing is read beyond its end."""
    for stream in (broken, publish(b"t", b"x", 1, b"") + broken + bytes(1000)):
        with pytest.raises(ValueError, match=r"a PUBLISH that is none|more than four bytes"):
            Packets(version_5=True).feed(stream)


def test_a_large_one_costs_no_square() -> None:
    """64 MB in pieces of a TLS record: each byte is copied a few times, not four thousand times."""
    whole = publish(b"t", bytes(1 << 26), 7)
    packets = Packets(version_5=False)
    joined = 0
    for at in range(0, len(whole), 16384):
        for each in packets.feed(whole[at : at + 16384]):
            joined += len(each.payload)
    assert joined == 1 << 26


def test_acknowledged() -> None:
    """A PUBACK for each, in the order of their coming."""
    assert acknowledged([1, 0x1234]) == b"\x40\x02\x00\x01\x40\x02\x12\x34"
    assert acknowledged([]) == b""
