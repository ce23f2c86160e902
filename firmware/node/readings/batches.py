"""Batches of Readings as JSON, on their way from flash. Imported when there is a backlog, and let
go of with it: most of the time there is none.
"""

import struct

from node.shared.reading import UNKNOWN


def write(packet, telemetry, buffer, count, now, own):
    """Append the payload of the first n of `count` packed Readings to a bytearray, and return n:
    those of one boot, without a gap in seq. The first one is `timed`. On the topic of batches, if
    it is their `own`, one alone is a list as well.
    """
    form, size = telemetry.format, telemetry.size
    numbers = struct.unpack_from(form, buffer, 0)
    boot, seq, _, up = numbers[:4]
    start = telemetry.time_of(numbers, now)
    times = []
    for index in range(count):
        numbers = struct.unpack_from(form, buffer, index * size)
        ts = telemetry.time_of(numbers, now)
        if numbers[0] != boot or numbers[1] != seq + index:
            break
        if (ts is UNKNOWN) != (start is UNKNOWN):
            break
        times.append(numbers[3] - up if ts is UNKNOWN else ts - start)
    if len(times) == 1 and not own:
        telemetry.write(packet, buffer, 0, now)
        return 1
    packet += b'{"v":1,"boot":%d,"seq":%d,"ts":%s,"dt":%s' % (
        boot,
        seq,
        b'null,"up":%d' % up if start is UNKNOWN else b"%d" % start,
        _spacing(times),
    )
    # One field after the other: what is held beside the payload is one list.
    for at, (name, unit, null) in enumerate(telemetry.fields):
        written = _places(unit)
        texts = []
        for index in range(len(times)):
            number = struct.unpack_from(form, buffer, index * size)[4 + at]
            texts.append(_decimal(number, written, unit, null))
        packet += b',"%s":%s' % (name.encode(), _list(texts))
    packet += b"}"
    return len(times)


def _spacing(times):
    """Reading i is at the first one's time + i * this number, or + this list's i-th."""
    step = times[1] if len(times) > 1 else 0
    if all(each == index * step for index, each in enumerate(times)):
        return b"%d" % step
    return _list([b"%d" % each for each in times])


def _decimal(number, written, unit, null):
    if number == null:
        return UNKNOWN
    if unit == 1:
        return b"%d" % number
    if number < 0:
        return b"-" + written % (-number // unit, -number % unit)
    return written % (number // unit, number % unit)


def _list(texts):
    return b"[" + b",".join(texts) + b"]"


def _places(unit):
    """The form of a number that is not negative, and of its rest, in 1/unit: b"%d.%01d" for 10."""
    return b"%%d.%%0%dd" % (len(str(unit)) - 1)
