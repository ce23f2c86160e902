"""What `reader.py` asks, asked of PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg

from limpet.ingest import postgres_tables, source
from limpet.shared.problem import Problem


class PostgresSource(source.Source):
    """The store that a URL of libpq's names; name: the same without a password."""

    time = "to_timestamp(?)"

    def __init__(self, url: str, name: str) -> None:
        self._name = name
        self._cursors = 0
        try:
            self._db = postgres_tables.connected(url, name)
            there = postgres_tables.made(self._db, name)
        except psycopg.Error as error:
            raise self._problem(error) from None
        if not there:
            raise Problem(f"There is no store in {name}.", "Start `limpet ingest` first.")
        # Rows are fetched by a cursor of the server's, which lives in a transaction.
        self._db.autocommit = False
        self._db.read_only = True

    def _problem(self, error: psycopg.Error) -> Problem:
        said = str(error).strip().splitlines() or [type(error).__name__]
        return Problem(f"{self._name} cannot be read: {said[0].rstrip('.')}.", "See to it.")

    def seconds(self, column: str) -> str:
        """Return the SQL for the Unix seconds in a column with a time."""
        return f"extract(epoch FROM {column})::bigint"

    def columns(self) -> list[str]:
        """Return the names of the fields."""
        return postgres_tables.columns(self._db)

    def each(self, ask: str, given: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Yield the rows, PIECE of them in memory at a time."""
        self._cursors += 1
        try:
            with self._db.cursor(f"rows_{self._cursors}") as cursor:
                cursor.itersize = source.PIECE
                cursor.execute(ask.replace("?", "%s"), given)
                yield from cursor
        except psycopg.Error as error:
            raise self._problem(error) from None

    def close(self) -> None:
        """Let go of the connection."""
        self._db.close()
