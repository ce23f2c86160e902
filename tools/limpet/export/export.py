"""`limpet export`: the Readings of a store as CSV or Parquet, as a stream: memory stays the same
however many there are.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from limpet.export.whole_file import whole_file
from limpet.identity import fleet_folder
from limpet.identity.fleet_folder import FleetOption
from limpet.ingest.files.parquet import parquet
from limpet.ingest.files.rows import pieces, stored
from limpet.ingest.places import place
from limpet.ingest.reader import reader
from limpet.shared import ending
from limpet.shared.plain import plural
from limpet.shared.problem import Problem
from limpet.shared.progress import Line

EVER = (0, 1 << 32)
# What is done sooner needs no line about it.
QUIET_S = 2.0


def export(
    form: Literal["csv", "parquet"],
    /,
    *,
    device: tuple[str, ...] = (),
    since: Annotated[str | None, Parameter(name="--from")] = None,
    until: Annotated[str | None, Parameter(name="--to")] = None,
    out: Path | None = None,
    store: str | None = None,
    fleet: FleetOption = None,
) -> None:
    """Write the Readings of a store as CSV or Parquet: device, time, boot, seq, and each field.

    Parameters
    ----------
    form
        csv or parquet; Parquet needs limpet[parquet] and --out.
    device
        Only of this device; may be said several times.
    since
        From this time on: 2026-11-29, 2026-11-29T12:00, both in UTC, or Unix seconds.
    until
        Up to this time, and without it.
    out
        File to write, which is replaced when the new one is whole [default: standard output].
    store
        The store, as for `limpet ingest` [default: the fleet's].
    """
    window = (_seconds(since, EVER[0], "--from"), _seconds(until, EVER[1], "--to"))
    if window[0] >= window[1]:
        raise Problem("--from is not before --to.", "Give an earlier one.")
    if form == "parquet":
        if out is None:
            raise Problem("Parquet cannot be written to a pipe.", "Name a file: --out FILE.")
        import duckdb  # noqa: F401 - who lacks it is told before the store is read
    found = fleet_folder.current(fleet)
    with reader(place(store, found.root if found else None)) as source:
        devices = device or tuple(each.name for each in source.devices())
        fields = sorted({name for each in devices for name in source.fields(each)})
        rows = pieces(stored(source, devices, fields, *window), fields)
        if out is None:
            _written(rows, sys.stdout.write, ending.lost)
        else:
            with whole_file(out) as draft:
                csv = draft if form == "csv" else None
                count = _to_file(rows, csv) if csv else _to_parquet(rows, fields, draft)
            print(f"{plural(count, 'Reading')} of {plural(len(devices), 'device')}: {out}")
        if lacking := source.undated():
            left = f"left out, without a time: {plural(lacking, 'Reading')}"
            print(f"limpet: {left}", file=sys.stderr)


def _to_file(rows: Iterator[tuple[str, int]], path: Path) -> int:
    with open(path, "w", encoding="utf-8", newline="") as file:
        return _written(rows, file.write, lambda: False)


def _to_parquet(rows: Iterator[tuple[str, int]], fields: Sequence[str], path: Path) -> int:
    """Write CSV beside it first, which goes with the folder it is in."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".limpet-") as folder:
        source = Path(folder) / "readings.csv"
        count = _to_file(rows, source)
        parquet(source, fields, path)
    return count


def _written(
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


def _seconds(text: str | None, default: int, option: str) -> int:
    """Return the Unix seconds that a time on the command line means; raises Problem."""
    if text is None:
        return default
    try:
        if text.isdecimal():
            return int(text)
        then = datetime.fromisoformat(text)
        return int((then if then.tzinfo else then.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        raise Problem(
            f"{option} {text!r} is no time.", "Such as 2026-11-29 or 2026-11-29T12:00."
        ) from None
