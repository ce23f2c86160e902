"""The store's Readings as text: a header, then a row for each, device by device, by time."""

import csv
import io
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from limpet.ingest.reader import Reader
from limpet.shared.plain import plural
from limpet.shared.progress import Line

FRAME = ("device", "time", "ts", "boot", "seq")
# Rows that are written at once: a system call for each would cost more than the query.
PIECE = 2000
# What is done sooner needs no line about it.
QUIET_S = 2.0


def pieces(
    reader: Reader, devices: Sequence[str], fields: Sequence[str], since: int, until: int
) -> Iterator[tuple[str, int]]:
    """Yield CSV with a header, as texts of some thousand rows, each with how many these are."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*FRAME, *fields])
    count = 0
    for device in devices:
        for ts, boot, seq, *values in reader.readings(device, fields, since, until):
            when = datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            writer.writerow([device, when, ts, boot, seq, *values])
            count += 1
            if count == PIECE:
                yield text.getvalue(), count
                text.seek(0)
                text.truncate()
                count = 0
    yield text.getvalue(), count


def written(
    all_of: Iterator[tuple[str, int]], write: Callable[[str], object], lost: Callable[[], bool]
) -> int:
    """Write it, and say how far it is where that takes a while; return how many Readings were
    written. lost: whether nobody wants it any more.
    """
    begun, line, count = time.monotonic(), None, 0
    for text, size in all_of:
        write(text)
        count += size
        if lost():
            break
        if line is None and time.monotonic() - begun > QUIET_S:
            line = Line("exporting")
        if line:
            line.say(plural(count, "Reading"))
    if line:
        line.end(plural(count, "Reading"))
    return count
