# mypy: ignore-errors
"""Puts `count` Readings of an earlier boot on flash, as an outage leaves them."""

from bench_common import say, settings
from recordlog import RecordLog

try:
    from node.shared import reading
except ImportError:  # a version from before the groups
    from node import reading

log = RecordLog("readings", reading.SIZE, 20000)
count, record = settings["count"], bytearray(reading.SIZE)
for seq in range(count):
    ts = 1780000000 + 10 * seq
    taken = reading.Reading(1, seq, ts, 10 * seq, 215 + seq % 60, 452 + seq % 30)
    reading.pack_into(record, 0, taken)
    log.append(record, 1)
say(count=count)
