"""`limpet export`: the Readings of a store as CSV or Parquet, as a stream: memory stays the same
however many there are.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from limpet.export.rows import pieces, written
from limpet.export.whole_file import whole_file
from limpet.identity import fleet_folder
from limpet.identity.fleet_folder import FleetOption
from limpet.ingest.places import place
from limpet.ingest.reader import reader
from limpet.shared import ending
from limpet.shared.plain import plural
from limpet.shared.problem import Problem

EVER = (0, 1 << 32)
_TYPES = {"device": "VARCHAR", "time": "TIMESTAMP", "ts": "BIGINT", "boot": "BIGINT"}
_TYPES |= {"seq": "BIGINT"}


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
        rows = pieces(source, devices, fields, *window)
        if out is None:
            written(rows, sys.stdout.write, ending.lost)
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
        return written(rows, file.write, lambda: False)


def _to_parquet(rows: Iterator[tuple[str, int]], fields: Sequence[str], path: Path) -> int:
    """DuckDB makes it of a file of CSV beside it, which goes with the folder it is in."""
    import duckdb

    types = _TYPES | dict.fromkeys(fields, "DOUBLE")
    columns = ", ".join(f"{_text(name)}: {_text(kind)}" for name, kind in types.items())
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".limpet-") as folder:
        source = Path(folder) / "readings.csv"
        count = _to_file(rows, source)
        # Nothing is fetched: what it needs is built in.
        settings = {
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "memory_limit": "512MB",
            "threads": str(min(os.cpu_count() or 1, 4)),
            "temp_directory": folder,
        }
        with duckdb.connect(config=settings) as db:  # type: ignore[arg-type]
            db.execute("SET enable_progress_bar = false")
            db.execute(
                f"COPY (SELECT * FROM read_csv({_text(str(source))}, header = true,"  # noqa: S608
                f" auto_detect = false, delim = ',', quote = '\"', columns = {{{columns}}}))"
                f" TO {_text(str(path))} (FORMAT parquet, COMPRESSION zstd)"
            )
    return count


def _text(value: str) -> str:
    quoted = value.replace("'", "''")
    return f"'{quoted}'"


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
