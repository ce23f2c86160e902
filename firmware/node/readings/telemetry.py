"""Readings as JSON: the payload of `telemetry`. That of batches is made in batches.py.

Nothing is rounded, averaged or left out. Values are tenths from the sensor to the wire; no float is
made, and no str, which costs more than bytes do (see reading.py).
"""

from node.shared import topics
from node.shared.message import Message
from node.shared.reading import UNKNOWN, tenths, unpack_from


class Telemetry:
    """Makes the Message of one packed Reading, or of several."""

    def __init__(self, base, qos, boot, clock):
        """`clock.unix()` is Unix time in seconds, or None while it is not known, and
        `clock.given_up` whether that is no longer waited for.
        """
        self._topic = base + "/" + topics.TELEMETRY
        self._qos = qos
        self._boot = boot
        self._clock = clock

    def message_at(self, buffer, offset, now):
        """Message of the Reading packed at `offset`; None while its time may still become known."""
        reading = unpack_from(buffer, offset)
        ts = self.time_of(reading, now)
        if ts is None:
            return None
        return self.message(reading, ts, b"", tenths(reading.temperature), tenths(reading.humidity))

    def batch_at(self, buffer, count, now):
        """(n, Message) of the first n of `count` packed Readings, see batches.py; None while the
        first one's time may still become known.
        """
        from node.readings import batches

        return batches.batch_at(self, buffer, count, now)

    def time_of(self, reading, now):
        """Unix seconds; UNKNOWN for a Reading of an earlier boot whose clock was never set, and
        when that is given up for this boot too; None while one of this boot may still be stamped,
        from how long ago it was taken.
        """
        if reading.ts is not None:
            return reading.ts
        if reading.boot != self._boot:
            return UNKNOWN
        unix = self._clock.unix()
        if unix is None:
            return UNKNOWN if self._clock.given_up else None
        return unix - (now // 1000 - reading.up)

    def message(self, reading, ts, dt, temperature, humidity):
        """Message of `reading` at `ts`; dt, temperature, humidity: bytes, for a batch of lists."""
        stamp = b'null,"up":%d' % reading.up if ts is UNKNOWN else b"%d" % ts
        payload = b'{"v":1,"boot":%d,"seq":%d,"ts":%s,%s"temperature":%s,"humidity":%s}' % (
            reading.boot,
            reading.seq,
            stamp,
            dt,
            temperature,
            humidity,
        )
        return Message(self._topic, payload, self._qos, False)
