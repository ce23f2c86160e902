"""Batches of Readings as JSON, on their way from flash. Imported when there is a backlog, and let
go of with it: most of the time there is none.
"""

from node.shared.reading import SIZE, UNKNOWN, tenths, unpack_from


def batch_at(telemetry, buffer, count, now):
    """(n, Message) of the first n of `count` packed Readings: those of one boot, without a gap in
    seq. None while the first one's time may still become known.
    """
    first = unpack_from(buffer, 0)
    start = telemetry.time_of(first, now)
    if start is None:
        return None
    temperatures, humidities, times = [], [], []
    for index in range(count):
        reading = unpack_from(buffer, index * SIZE)
        ts = telemetry.time_of(reading, now)
        if reading.boot != first.boot or reading.seq != first.seq + index or ts is None:
            break
        if (ts is UNKNOWN) != (start is UNKNOWN):
            break
        temperatures.append(tenths(reading.temperature))
        humidities.append(tenths(reading.humidity))
        times.append(reading.up - first.up if ts is UNKNOWN else ts - start)
    if len(times) == 1:
        return 1, telemetry.message(first, start, b"", temperatures[0], humidities[0])
    dt = b'"dt":%s,' % _spacing(times)
    lists = [_list(each) for each in (temperatures, humidities)]
    return len(times), telemetry.message(first, start, dt, *lists)


def _spacing(times):
    """Reading i is at the first one's time + i * this number, or + this list's i-th."""
    step = times[1]
    if all(each == index * step for index, each in enumerate(times)):
        return b"%d" % step
    return _list([b"%d" % each for each in times])


def _list(texts):
    return b"[" + b",".join(texts) + b"]"
