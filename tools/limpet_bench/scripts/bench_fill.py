# mypy: ignore-errors
"""Puts `count` Readings of an earlier boot on flash, as an outage leaves them."""

from bench_common import say, settings
from recordlog import RecordLog

try:
    from node.shared import reading
except ImportError:  # a version from before the groups
    from node import reading

if hasattr(reading, "SIZE"):  # a version from before Readings of any fields
    size, pack_into, taken = reading.SIZE, reading.pack_into, reading.Reading
    log = RecordLog("readings", size, 20000)
else:
    from device import generations
    from node.readings import layouts, telemetry

    layout = layouts.of((("temperature", 1, "h"), ("humidity", 1, "h")))
    packed = telemetry.Telemetry("", 1, 1, None, layout)
    size, pack_into = packed.size, packed.pack_into
    folder, note = generations.named(packed.fields, packed.format)
    log = RecordLog(folder, size, 20000, note=note)

    def taken(boot, seq, ts, up, *values):
        """A Reading as it is now."""
        return reading.Reading(boot, seq, ts, up, values)


count, record = settings["count"], bytearray(size)
for seq in range(count):
    ts = 1780000000 + 10 * seq
    pack_into(record, 0, taken(1, seq, ts, 10 * seq, 215 + seq % 60, 452 + seq % 30))
    log.append(record, 1)
say(count=count)
