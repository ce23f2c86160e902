"""Readings as text: a header, then a row for each. For `limpet export` and the page's download."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from limpet.ingest.reader import Reader

FRAME = ("device", "time", "ts", "boot", "seq")
# Rows that are written at once: a system call for each would cost more than the query.
PIECE = 2000


def stored(
    reader: Reader, devices: Sequence[str], fields: Sequence[str], since: int, until: int
) -> Iterator[tuple[Any, ...]]:
    """Yield (device, ts, boot, seq, *values) of a store's Readings, device by device, by time."""
    for device in devices:
        for row in reader.readings(device, fields, since, until):
            yield device, *row


def pieces(rows: Iterable[tuple[Any, ...]], fields: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Yield CSV with a header, as texts of some thousand rows, each with how many these are. rows:
    as `stored` has them.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*FRAME, *fields])
    count = 0
    for device, ts, *rest in rows:
        when = datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        writer.writerow([device, when, ts, *rest])
        count += 1
        if count == PIECE:
            yield text.getvalue(), count
            text.seek(0)
            text.truncate()
            count = 0
    yield text.getvalue(), count
