"""PUBLISH packets, cut out of what a broker sends. Pure.

All but a few of the packets that `limpet ingest` gets are PUBLISH, and paho takes most of its time
for each: for an object with a lock, and with MQTT 5 for properties that nobody asks for. Everything
else stays paho's.
"""

from __future__ import annotations

from typing import NamedTuple

_PUBLISH = 3
_PUBACK = b"\x40\x02"


class Publish(NamedTuple):
    """A PUBLISH as it came. mid: 0 where it is QoS 0, which is acknowledged to nobody. retained:
    whether it was said before we asked.
    """

    topic: bytes
    payload: bytes
    mid: int
    retained: bool = False


class Packets:
    """What has come of one connection. others: the packets that are no PUBLISH, as bytes, for their
    reader to take away.
    """

    def __init__(self, version_5: bool) -> None:
        self.others = bytearray()
        self._version_5 = version_5
        self._parts: list[bytes] = []
        self._size = 0
        self._needed = 2

    def feed(self, data: bytes) -> list[Publish]:
        """Return the PUBLISHes that are whole now. Raises ValueError for what is no MQTT."""
        self._parts.append(data)
        self._size += len(data)
        if self._size < self._needed:
            return []
        whole = b"".join(self._parts)
        found: list[Publish] = []
        at, end = 0, len(whole)
        self._needed = 2
        while at + 2 <= end:
            size, body = whole[at + 1], at + 2
            if size > 127:
                try:
                    size, body = _number(whole, at + 1)
                except IndexError:
                    self._needed = end - at + 1
                    break
            stop = body + size
            if stop > end:
                self._needed = stop - at
                break
            if whole[at] >> 4 == _PUBLISH:
                found.append(self._publish(whole, whole[at], body, stop))
            else:
                self.others += whole[at:stop]
            at = stop
        self._parts = [whole[at:]]
        self._size = end - at
        return found

    def _publish(self, whole: bytes, head: int, at: int, stop: int) -> Publish:
        qos, mid = head >> 1 & 3, 0
        try:
            topic = at + 2 + (whole[at] << 8 | whole[at + 1])
            behind = topic
            if qos:
                mid = whole[topic] << 8 | whole[topic + 1]
                behind += 2
            if self._version_5:
                size, behind = _number(whole, behind)
                behind += size
        except IndexError:
            behind = stop + 1
        # We have never asked for QoS 2.
        if behind > stop or qos > 1 or (qos and not mid):
            raise ValueError("a PUBLISH that is none")
        return Publish(whole[at + 2 : topic], whole[behind:stop], mid, bool(head & 1))


def _number(data: bytes, at: int) -> tuple[int, int]:
    """Return a variable byte integer and where it ends. Raises IndexError for half of one, and
    ValueError for none.
    """
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
        shift += 7
        if shift > 21:
            raise ValueError("a length of more than four bytes")


def acknowledged(mids: list[int]) -> bytes:
    """Return the PUBACKs for these; with MQTT 5 the short form, which means success."""
    return b"".join(_PUBACK + mid.to_bytes(2, "big") for mid in mids)
