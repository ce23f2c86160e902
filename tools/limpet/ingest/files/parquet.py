"""Parquet, made by DuckDB out of a file of CSV as rows.py has it. Needs limpet[parquet]."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

_TYPES = {"device": "VARCHAR", "time": "TIMESTAMP", "ts": "BIGINT", "boot": "BIGINT"}
_TYPES |= {"seq": "BIGINT"}


def parquet(source: Path, fields: Sequence[str], path: Path) -> None:
    """Write `path` out of `source`; what DuckDB needs besides goes into the folder of `source`."""
    import duckdb

    types = _TYPES | dict.fromkeys(fields, "DOUBLE")
    columns = ", ".join(f"{_text(name)}: {_text(kind)}" for name, kind in types.items())
    # Nothing is fetched: what it needs is built in.
    settings = {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "memory_limit": "512MB",
        "threads": str(min(os.cpu_count() or 1, 4)),
        "temp_directory": str(source.parent),
    }
    with duckdb.connect(config=settings) as db:  # type: ignore[arg-type]
        db.execute("SET enable_progress_bar = false")
        db.execute(
            f"COPY (SELECT * FROM read_csv({_text(str(source))}, header = true,"  # noqa: S608
            f" auto_detect = false, delim = ',', quote = '\"', columns = {{{columns}}}))"
            f" TO {_text(str(path))} (FORMAT parquet, COMPRESSION zstd)"
        )


def _text(value: str) -> str:
    quoted = value.replace("'", "''")
    return f"'{quoted}'"
