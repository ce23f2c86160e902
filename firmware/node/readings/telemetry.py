"""Readings, packed and as text: the payload of `telemetry`, and a line of the log. That of batches
is made in batches.py.

Nothing is rounded, averaged or left out. Values are whole numbers from the sensor to the wire; no
float is made, and as little as can be is asked of the heap, as this is done for each Reading: text
is appended to the packet or printed piece by piece. By `%` it would take a tuple and a str, each of
more than one block, for which MicroPython searches through all that was used since the last
collection.
"""

import struct

from micropython import const
from node.shared.reading import UNKNOWN

_TS = const(8)  # where it lies in a packed Reading
_UP = const(12)
_BEGIN = b'{"v":1,"boot":%d,"seq":'
_MINUS = const(45)  # in ASCII
_POINT = const(46)
_ZERO = const(48)


class Telemetry:
    """The Readings of one layout: 16 bytes of boot, seq, ts and up, and a number per field, which
    has one value that stands for None.

    `fields`  of each its name (str), 10**decimals, and the number that stands for None
    `format`  what `struct` unpacks a Reading by, into boot, seq, ts or 0, up, and the numbers
    `size`    bytes of a packed Reading
    `topic`, `qos`  of a Message of a live one
    `backlog`       the topic that batches have, where they are heard there
    """

    def __init__(self, base, qos, boot, clock, layout):
        """`clock.unix()` is Unix time in seconds, or None while it is not known, and
        `clock.given_up` whether that is no longer waited for. layout: see layouts.py.
        """
        from node.shared import topics

        self.topic = base + "/" + topics.TELEMETRY
        self.backlog = base + "/" + topics.BACKLOG
        self.qos = qos
        self.boot = boot
        self.clock = clock
        self.fields, self.format = layout
        self.size = struct.calcsize(self.format)
        self._labels = [b',"%s":' % name.encode() for name, _, _ in self.fields]
        self._begin = _BEGIN % boot
        self._reading = None  # what is to be printed

    def pack_into(self, buffer, offset, reading):
        """Write the Reading's `size` bytes; a `ts` that is None becomes 0."""
        boot, seq, ts, up, values = reading
        if None in values:
            values = list(values)
            for index, field in enumerate(self.fields):
                if values[index] is None:
                    values[index] = field[2]
        struct.pack_into(self.format, buffer, offset, boot, seq, ts or 0, up, *values)

    def taken_s(self, buffer, offset):
        """`up` alone of the Reading that is packed there."""
        return struct.unpack_from("<I", buffer, offset + _UP)[0]

    def words(self, reading):
        """What prints the Reading when it is called, as the end of a line of the log."""
        self._reading = reading
        return self._print

    def _print(self):
        values = self._reading.values
        print("seq=", self._reading.seq, sep="", end="")
        at = 0
        for name, unit, _ in self.fields:
            number = values[at]
            at += 1
            if number is None:
                print(" ", name, "=null", sep="", end="")
                continue
            sign = point = rest = ""
            if number < 0:
                sign, number = "-", -number
            whole = number // unit
            if unit > 1:
                rest = number % unit
                point = "."
                while unit > 10:
                    unit //= 10
                    if rest < unit:
                        point += "0"
            print(" ", name, "=", sign, whole, point, rest, sep="", end="")
        print()

    def timed(self, buffer, offset):
        """Whether the time of the Reading packed there is known, or will never be."""
        if struct.unpack_from("<I", buffer, offset + _TS)[0]:
            return True
        boot = struct.unpack_from("<I", buffer, offset)[0]
        return boot != self.boot or self.clock.unix() is not None or self.clock.given_up

    def write(self, packet, buffer, offset, now):
        """Append the payload of the Reading packed at `offset`, which is `timed`, to `packet`."""
        numbers = struct.unpack_from(self.format, buffer, offset)
        packet += self._begin if numbers[0] == self.boot else _BEGIN % numbers[0]
        _append(packet, numbers[1], 1)
        ts = self.time_of(numbers, now)
        if ts is UNKNOWN:
            packet += b',"ts":null,"up":'
            ts = numbers[3]
        else:
            packet += b',"ts":'
        packet += b"%d" % ts
        at = 4
        for _, unit, null in self.fields:
            packet += self._labels[at - 4]
            if numbers[at] == null:
                packet += UNKNOWN
            else:
                _append(packet, numbers[at], unit)
            at += 1
        packet += b"}"

    def time_of(self, numbers, now):
        """Unix seconds; UNKNOWN for a Reading of an earlier boot whose clock was never set, and
        while this boot's is not; else one of this boot is stamped from how long ago it was taken.
        numbers: boot, seq, ts or 0, up, ... of the Reading.
        """
        if numbers[2]:
            return numbers[2]
        unix = self.clock.unix() if numbers[0] == self.boot else None
        return UNKNOWN if unix is None else unix - (now // 1000 - numbers[3])


def _append(packet, number, unit):
    """Append number / unit, with all of its places."""
    if number < 0:
        packet.append(_MINUS)
        number = -number
    place = unit
    while place * 10 <= number:
        place *= 10
    while place:
        packet.append(_ZERO + number // place % 10)
        if place == unit > 1:
            packet.append(_POINT)
        place //= 10
