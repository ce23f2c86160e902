"""Readings, packed and as text: the payload of `telemetry`, and a line of the log. That of batches
is made in batches.py.

Nothing is rounded, averaged or left out. Values are whole numbers from the sensor to the wire; no
float is made, and no str, which costs more than bytes do: MicroPython looks each new one up among
all names that it knows.
"""

import struct

from node.shared import topics
from node.shared.reading import UNKNOWN


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
        self.topic = base + "/" + topics.TELEMETRY
        self.backlog = base + "/" + topics.BACKLOG
        self.qos = qos
        self.boot = boot
        self.clock = clock
        self.fields, self.format = layout
        self.size = struct.calcsize(self.format)
        # Text is made in one go, of forms that stay while the same fields are null. Little is
        # allocated for it, as this is done for each Reading.
        self._forms = (0,)
        self._args = [b""] * (4 + 3 * len(self.fields))

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
        return struct.unpack_from(self.format, buffer, offset)[3]

    def words(self, reading):
        """The Reading as a line of the log has it (str)."""
        args = self._args
        args[0] = args[2] = args[3] = b""
        args[1] = reading.seq
        return self._text(2, reading.values, 0).decode()

    def timed(self, buffer, offset):
        """Whether the time of the Reading packed there is known, or will never be."""
        boot, _, ts = struct.unpack_from("<III", buffer, offset)
        return ts or boot != self.boot or self.clock.unix() is not None or self.clock.given_up

    def write(self, packet, buffer, offset, now):
        """Append the payload of the Reading packed at `offset`, which is `timed`, to `packet`."""
        numbers = struct.unpack_from(self.format, buffer, offset)
        ts = self.time_of(numbers, now)
        args = self._args
        args[0], args[1], args[2], args[3] = numbers[0], numbers[1], b"", ts
        if ts is UNKNOWN:
            args[2], args[3] = b'null,"up":', numbers[3]
        packet += self._text(1, numbers, 4)

    def time_of(self, numbers, now):
        """Unix seconds; UNKNOWN for a Reading of an earlier boot whose clock was never set, and
        while this boot's is not; else one of this boot is stamped from how long ago it was taken.
        numbers: boot, seq, ts or 0, up, ... of the Reading.
        """
        if numbers[2]:
            return numbers[2]
        unix = self.clock.unix() if numbers[0] == self.boot else None
        return UNKNOWN if unix is None else unix - (now // 1000 - numbers[3])

    def _text(self, form, numbers, index):
        """One of the forms, filled in with `numbers` from `index` on (bytes)."""
        args = self._args
        shape, at = 1, 4
        for _, unit, null in self.fields:
            number = numbers[index]
            args[at] = args[at + 2] = b""
            shape *= 2
            if number is None or number == null:
                args[at + 1] = UNKNOWN
                shape += 1
            else:
                if number < 0:
                    args[at] = b"-"
                    number = -number
                args[at + 1] = number // unit
                if unit > 1:
                    args[at + 2] = number % unit
            index += 1
            at += 3
        if shape != self._forms[0]:
            from node.readings.layouts import forms

            self._forms = forms(self.fields, shape)
        return self._forms[form] % tuple(args)
