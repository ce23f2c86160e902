"""Readings as JSON: the payload of `telemetry`.

What it will not do: round, average or leave anything out. Values are tenths from the sensor to the
wire; no float is made."""

from node import topics
from node.message import Message
from node.reading import tenths, unpack_from


class Telemetry:
    """Makes the Message of a packed Reading."""

    def __init__(self, base, qos, boot, unix):
        """`unix()` is Unix time in seconds, or None while the clock is not set."""
        self._topic = base + "/" + topics.TELEMETRY
        self._qos = qos
        self._boot = boot
        self._unix = unix

    def message_at(self, buffer, offset, now):
        """Message of the Reading packed at `offset`; None while its time may still become known.

        A Reading of this boot that was taken before the clock was set is stamped now, from how long
        ago it was taken."""
        reading = unpack_from(buffer, offset)
        ts = reading.ts
        if ts is None and reading.boot == self._boot:
            unix = self._unix()
            if unix is None:
                return None
            ts = unix - (now // 1000 - reading.up)
        stamp = "%d" % ts if ts is not None else 'null,"up":%d' % reading.up
        payload = '{"v":1,"boot":%d,"seq":%d,"ts":%s,"temperature":%s,"humidity":%s}' % (
            reading.boot,
            reading.seq,
            stamp,
            tenths(reading.temperature),
            tenths(reading.humidity),
        )
        return Message(self._topic, payload.encode(), self._qos, False)
