"""A database that reader.py asks: what differs between them."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from limpet.ingest import sqlite_store
from limpet.shared.problem import Problem

# Rows that are fetched at once: memory stays the same however many there are.
PIECE = 2000


class Source:
    """A database that is asked by SQL with `?` for what is given. A base class."""

    # How a time is given, and how Unix seconds are got out of a column.
    time = "?"

    def seconds(self, column: str) -> str:
        """Return the SQL for the Unix seconds in a column with a time."""
        return column

    def columns(self) -> list[str]:
        """Return the names of the fields."""
        raise NotImplementedError

    def all(self, ask: str, given: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return all rows."""
        return list(self.each(ask, given))

    def each(self, ask: str, given: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Yield the rows, PIECE of them in memory at a time."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of it."""
        raise NotImplementedError


class SqliteSource(Source):
    """The store in the file `path`, which nobody may write by it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.exists():
            raise Problem(f"There is no store {path}.", "Start `limpet ingest` first.")
        with self._told():
            self._db = sqlite_store.connected(path, writing=False)
            sqlite_store.check(self._db, path)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise Problem(f"{self._path} cannot be read: {error}.", "See to it.") from None

    def columns(self) -> list[str]:
        """Return the names of the fields."""
        with self._told():
            return sqlite_store.columns(self._db)

    def each(self, ask: str, given: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Yield the rows, PIECE of them in memory at a time."""
        with self._told():
            cursor = self._db.execute(ask, given)
            cursor.arraysize = PIECE
            while rows := cursor.fetchmany():
                yield from rows

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()
