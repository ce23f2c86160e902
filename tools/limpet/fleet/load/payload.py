"""What a light node says of its Readings, byte for byte as a node with a DHT22 says it. Pure."""

import math
from collections.abc import Sequence
from typing import NamedTuple

_DAY_S = 86_400


class Reading(NamedTuple):
    """A Reading that waits: its seq, and Unix seconds."""

    seq: int
    ts: int


def live(boot: int, reading: Reading, phase: float) -> bytes:
    """Return the payload of `telemetry`, as node/readings/telemetry.py writes it. phase: 0 to 1,
    where in the day's wave the node stands.
    """
    warm, damp = _values(reading.ts, phase)
    begin = f'{{"v":1,"boot":{boot},"seq":{reading.seq},"ts":{reading.ts}'
    return f'{begin},"temperature":{warm},"humidity":{damp}}}'.encode()


def batch(boot: int, readings: Sequence[Reading], phase: float) -> bytes:
    """Return the payload of `telemetry/backlog`, as node/readings/batches.py writes it: two or more
    Readings without a gap in seq.
    """
    first = readings[0]
    offsets = [each.ts - first.ts for each in readings]
    even = all(each == index * offsets[1] for index, each in enumerate(offsets))
    spacing = str(offsets[1]) if even else f"[{','.join(map(str, offsets))}]"
    columns = zip(*(_values(each.ts, phase) for each in readings), strict=True)
    warm, damp = (",".join(column) for column in columns)
    begin = f'{{"v":1,"boot":{boot},"seq":{first.seq},"ts":{first.ts},"dt":{spacing}'
    return f'{begin},"temperature":[{warm}],"humidity":[{damp}]}}'.encode()


def _values(ts: int, phase: float) -> tuple[str, str]:
    wave = math.sin((ts / _DAY_S + phase) * 2 * math.pi)
    return f"{21 + 4 * wave:.1f}", f"{50 - 10 * wave:.1f}"
