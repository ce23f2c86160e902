"""Readings as JSON: the payload of `telemetry`.

What it will not do: round, average or leave anything out. Values are tenths from the sensor to the
wire; no float is made, and no str, which costs more than bytes do (see reading.py).
"""

from node import topics
from node.message import Message
from node.reading import SIZE, tenths, unpack_from

UNKNOWN = b"null"


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
        ts = self._time(reading, now)
        if ts is None:
            return None
        return self._message(
            reading, ts, b"", tenths(reading.temperature), tenths(reading.humidity)
        )

    def batch_at(self, buffer, count, now):
        """(n, Message) of the first n of `count` packed Readings: those of one boot, without a gap
        in seq. None while the first one's time may still become known.
        """
        first = unpack_from(buffer, 0)
        start = self._time(first, now)
        if start is None:
            return None
        temperatures, humidities, times = [], [], []
        for index in range(count):
            reading = unpack_from(buffer, index * SIZE)
            ts = self._time(reading, now)
            if reading.boot != first.boot or reading.seq != first.seq + index or ts is None:
                break
            if (ts is UNKNOWN) != (start is UNKNOWN):
                break
            temperatures.append(tenths(reading.temperature))
            humidities.append(tenths(reading.humidity))
            times.append(reading.up - first.up if ts is UNKNOWN else ts - start)
        if len(times) == 1:
            return 1, self._message(first, start, b"", temperatures[0], humidities[0])
        dt = b'"dt":%s,' % _spacing(times)
        lists = [_list(each) for each in (temperatures, humidities)]
        return len(times), self._message(first, start, dt, *lists)

    def _time(self, reading, now):
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

    def _message(self, reading, ts, dt, temperature, humidity):
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


def _spacing(times):
    """Reading i is at the first one's time + i * this number, or + this list's i-th."""
    step = times[1]
    if all(each == index * step for index, each in enumerate(times)):
        return b"%d" % step
    return _list([b"%d" % each for each in times])


def _list(texts):
    return b"[" + b",".join(texts) + b"]"
