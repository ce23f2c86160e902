"""Readings, packed and as text: the payload of `telemetry`, and a line of the log. That of batches
is made in batches.py.

Nothing is rounded, averaged or left out. Values are whole numbers from the sensor to the wire; no
float is made, and as little as can be is asked of the heap, as this is done for each Reading: text
is appended to the packet or printed piece by piece. What takes more than one block of it, four
words, MicroPython searches for through all that was used since the last collection: so no tuple of
all numbers, and no text of the whole. Nor a number above 2**30, which is an object of two blocks.
"""

import struct

from micropython import const
from node.shared.reading import UNKNOWN

# Where things lie in a packed Reading, whose numbers begin with their lowest byte.
_SEQ = const(4)
_TS = const(8)
_TS_HIGH = const(11)  # 0 before 1970-07: there is no time then
_UP = const(12)
_VALUES = const(16)
_SHORT = const(-0x8000)  # what stands for None in a field of 16 bits
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
        self._says = self._print  # once: each time it would be another object

    def pack_into(self, buffer, offset, reading):
        """Write the Reading's `size` bytes; a `ts` that is None becomes 0."""
        struct.pack_into("<II", buffer, offset, reading.boot, reading.seq)
        struct.pack_into("<II", buffer, offset + _TS, reading.ts or 0, reading.up)
        at = len(self.fields)
        offset += self.size
        while at:  # from the last one on
            at -= 1
            number, null = reading.values[at], self.fields[at][2]
            if number is None:
                number = null
            size = 2 if null == _SHORT else 4
            offset -= size
            struct.pack_into("<h" if size == 2 else "<i", buffer, offset, number)

    def taken_s(self, buffer, offset):
        """`up` alone of the Reading that is packed there."""
        return _word(buffer, offset + _UP)

    def words(self, reading):
        """What prints the Reading when it is called, as the end of a line of the log."""
        self._reading = reading
        return self._says

    def _print(self):
        values = self._reading.values
        print("seq=", self._reading.seq, sep="", end=" ")
        at, end = len(values), " "
        for name, unit, _ in self.fields:
            number = values[-at]
            at -= 1
            if not at:
                end = "\n"
            if number is None:
                print(name, "=null", sep="", end=end)
                continue
            sign, point, rest = "=", "", ""
            if number < 0:
                sign, number = "=-", -number
            whole = number // unit
            if unit > 1:
                rest = number % unit
                point = "."
                while unit > 10:
                    unit //= 10
                    if rest < unit:
                        point += "0"
            print(name, sign, whole, point, rest, sep="", end=end)

    def timed(self, buffer, offset):
        """Whether the time of the Reading packed there is known, or will never be."""
        if buffer[offset + _TS_HIGH]:  # of any time since 1970-07
            return True
        boot = _word(buffer, offset)
        return boot != self.boot or self.clock.unix() is not None or self.clock.given_up

    def write(self, packet, buffer, offset, now):
        """Append the payload of the Reading packed at `offset`, which is `timed`, to `packet`."""
        boot, seq = struct.unpack_from("<II", buffer, offset)
        packet += self._begin if boot == self.boot else _BEGIN % boot
        if buffer[offset + _TS_HIGH]:
            # Its last four places apart, as all of it is beyond 2**30.
            high = buffer[offset + _TS + 2] | buffer[offset + _TS_HIGH] << 8
            rest = (high % 10000 << 16) + (buffer[offset + _TS] | buffer[offset + _TS + 1] << 8)
            high = (high // 10000 << 16) + rest // 10000
            packet += b'%d,"ts":%d%04d' % (seq, high, rest % 10000)
        else:
            up = self.taken_s(buffer, offset)
            ts = self.time_of((boot, 0, 0, up), now)
            packet += b"%d" % seq
            packet += b',"ts":null,"up":%d' % up if ts is UNKNOWN else b',"ts":%d' % ts
        offset += _VALUES
        at = 0
        for _, unit, null in self.fields:
            packet += self._labels[at]
            at += 1  # noqa: SIM113
            if null == _SHORT:
                number = buffer[offset] | buffer[offset + 1] << 8
                if number > 0x7FFF:
                    number -= 0x10000
                offset += 2
            else:
                number = struct.unpack_from("<i", buffer, offset)[0]
                offset += 4
            if number == null:
                packet += UNKNOWN
            else:
                _append(packet, number, unit)
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


def _word(buffer, at):
    return buffer[at] | buffer[at + 1] << 8 | buffer[at + 2] << 16 | buffer[at + 3] << 24


def _append(packet, number, unit):
    """Append number / unit, with all of its places."""
    if number < 0:
        packet.append(_MINUS)
        number = -number
    point = unit if unit > 1 else 0
    place = unit
    while place * 10 <= number:
        place *= 10
    while place:
        packet.append(_ZERO + number // place % 10)
        if place == point:
            packet.append(_POINT)
        place //= 10
