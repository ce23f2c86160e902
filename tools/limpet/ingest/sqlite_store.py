"""The store as one SQLite file: in WAL mode, each commit on the disk before it returns.

Several processes may read it while one writes; several may write, one after another.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from limpet.ingest import store
from limpet.ingest.intake import Rejected
from limpet.ingest.spans import Span, Spans
from limpet.ingest.store import AwayError, Undated, UnstorableError
from limpet.shared import private
from limpet.shared.problem import Problem

# "LMPT", in the file's header: what tells our files from others.
APPLICATION = 0x4C4D5054
BUSY_S = 5.0
# At least as many are dropped in one transaction as arrive meanwhile.
FORGOTTEN = 5000
OWN_COLUMNS = ("device", "ts", "boot", "seq")

_TABLES = """
CREATE TABLE device(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, base TEXT NOT NULL);
CREATE TABLE reading(
    device INTEGER NOT NULL, ts INTEGER NOT NULL, boot INTEGER NOT NULL, seq INTEGER NOT NULL,
    PRIMARY KEY(device, ts, boot, seq)) WITHOUT ROWID;
CREATE TABLE undated(
    device INTEGER NOT NULL, boot INTEGER NOT NULL, seq INTEGER NOT NULL, up INTEGER NOT NULL,
    arrived INTEGER NOT NULL, fields TEXT NOT NULL, PRIMARY KEY(device, boot, seq)) WITHOUT ROWID;
CREATE TABLE span(
    device INTEGER NOT NULL, boot INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    first_ts INTEGER, last_ts INTEGER, PRIMARY KEY(device, boot, first)) WITHOUT ROWID;
CREATE TABLE event(
    device INTEGER NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL, at INTEGER NOT NULL,
    payload TEXT NOT NULL, PRIMARY KEY(device, kind, key)) WITHOUT ROWID;
CREATE INDEX event_at ON event(device, kind, at);
CREATE TABLE rejected(
    id INTEGER PRIMARY KEY AUTOINCREMENT, arrived INTEGER NOT NULL, topic TEXT NOT NULL,
    reason TEXT NOT NULL, size INTEGER NOT NULL, payload BLOB NOT NULL);
CREATE TABLE tally(
    reason TEXT NOT NULL, device TEXT NOT NULL, n INTEGER NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY(reason, device)) WITHOUT ROWID;
"""
TABLES = ("device", "reading", "undated", "span", "event", "rejected", "tally")
_EVENT = (
    "INSERT INTO event VALUES(?, ?, ?, ?, ?)"
    " ON CONFLICT(device, kind, key) DO UPDATE SET payload = excluded.payload"
)
_TALLY = (
    "INSERT INTO tally VALUES(?, ?, ?, ?) ON CONFLICT(reason, device)"
    " DO UPDATE SET n = n + excluded.n, last = excluded.last"
)


class SqliteStore(store.Store):
    """The store in the file `path`, made with mode 0600 if there is none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)
        self._db: sqlite3.Connection | None = None
        with self._told():
            self._open()

    def _open(self) -> None:
        private.folder(self.path.parent)
        # SQLite gives its other files the mode of this one.
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        self._db = db = connected(self.path, writing=True)
        # Before anything is done to it: it may be somebody else's.
        if db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            check(db, self.path)
        db.execute("PRAGMA journal_mode=wal")
        db.execute("PRAGMA synchronous=full")
        db.execute("PRAGMA journal_size_limit=67108864")
        db.execute("BEGIN IMMEDIATE")
        if not db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            for statement in _TABLES.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA application_id={APPLICATION}")
            db.execute(f"PRAGMA user_version={store.VERSION}")
            view(db)
        db.execute("COMMIT")
        self._version = db.execute("PRAGMA user_version").fetchone()[0]
        self._inode = os.stat(self.path).st_ino
        self._devices = dict(db.execute("SELECT name, id FROM device"))
        self._columns = set(columns(db))

    def close(self) -> None:
        """Let go of the file."""
        if self._db:
            self._db.close()
        self._db = None

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what SQLite and the system say into AwayError, UnstorableError or Problem."""
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
                raise Problem(
                    f"{self.path} is no database, or a damaged one: {error}.",
                    "Restore it, or move it away: a new one is made.",
                ) from None
            if code in (sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_CONSTRAINT):
                raise UnstorableError(str(error)) from None
            raise AwayError(_WHY.get(code, str(error))) from None
        except (IsADirectoryError, NotADirectoryError) as error:  # no waiting makes that a file
            raise Problem(f"{self.path}: {error.strerror}.", "Name a file in --store.") from None
        except OSError as error:
            raise AwayError(error.strerror or str(error)) from None

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._told():
            if self._db and not self._same_file():
                self.close()
                raise AwayError("its file is gone, or another one")
            if not self._db:
                self._open()
            db = self._here
            db.execute("BEGIN IMMEDIATE")
            try:
                # Another process may have added some, or made another version of it.
                if db.execute("PRAGMA user_version").fetchone()[0] != self._version:
                    check(db, self.path)
                self._columns = set(columns(db))
                yield
                db.execute("COMMIT")
            except BaseException:
                # A full disk has rolled it back already.
                with contextlib.suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
                raise

    @property
    def _here(self) -> sqlite3.Connection:
        assert self._db
        return self._db

    def _same_file(self) -> bool:
        # What is written to a file that somebody has removed is gone with its last user.
        try:
            return os.stat(self.path).st_ino == self._inode
        except FileNotFoundError:
            return False

    def _put_devices(self, named: Sequence[tuple[str, str]]) -> dict[str, int]:
        db = self._here
        db.executemany("INSERT OR IGNORE INTO device(name, base) VALUES(?, ?)", named)
        ask = "SELECT id FROM device WHERE name = ?"
        return {name: db.execute(ask, (name,)).fetchone()[0] for name, _ in named}

    def _put_columns(self, names: Sequence[str]) -> None:
        for name in names:  # letters, digits and _: intake.py
            self._here.execute(f'ALTER TABLE reading ADD COLUMN "{name}" REAL')
        view(self._here)

    def _spans(self, of: Iterable[tuple[int, int]]) -> dict[tuple[int, int], list[Span]]:
        ask = "SELECT first, last, first_ts, last_ts FROM span WHERE device = ? AND boot = ?"
        db = self._here
        return {each: [Span(*row) for row in db.execute(ask, each)] for each in of}

    def _put_spans(self, all_of: Iterable[tuple[int, int, Spans]]) -> None:
        dropped: list[tuple[int, int, int]] = []
        written: list[tuple[Any, ...]] = []
        for device, boot, spans in all_of:
            old, new = spans.changes()
            dropped += [(device, boot, first) for first in old]
            written += [(device, boot, *span) for span in new]
        db = self._here
        db.executemany("DELETE FROM span WHERE device = ? AND boot = ? AND first = ?", dropped)
        db.executemany("INSERT OR REPLACE INTO span VALUES(?, ?, ?, ?, ?, ?)", written)

    def _put_readings(self, rows: dict[tuple[str, ...], list[tuple[Any, ...]]]) -> int:
        before = self._here.total_changes
        for names, values in rows.items():
            columns = ", ".join([*OWN_COLUMNS, *(f'"{name}"' for name in names)])
            marks = ", ".join("?" * (len(OWN_COLUMNS) + len(names)))
            # The names are columns that are there.
            insert = f"INSERT OR IGNORE INTO reading({columns}) VALUES({marks})"
            self._here.executemany(insert, values)
        return self._here.total_changes - before

    def _put_undated(self, rows: Sequence[Undated]) -> None:
        written = [(*row[:-1], json.dumps(row.values)) for row in rows]
        self._here.executemany("INSERT OR IGNORE INTO undated VALUES(?, ?, ?, ?, ?, ?)", written)

    def _undated(self, of: Iterable[tuple[int, int]]) -> set[tuple[int, int, int]]:
        ask = "SELECT device, boot, seq FROM undated WHERE device = ? AND boot = ?"
        return {row for each in of for row in self._here.execute(ask, each)}

    def _drop_undated(self, device: int, boot: int, seq: int) -> bool:
        delete = "DELETE FROM undated WHERE device = ? AND boot = ? AND seq = ?"
        return self._here.execute(delete, (device, boot, seq)).rowcount > 0

    def _put_events(self, rows: Sequence[tuple[Any, ...]]) -> None:
        self._here.executemany(_EVENT, rows)

    def _put_rejected(self, now: int, rejected: Sequence[Rejected]) -> None:
        db = self._here
        db.executemany(
            "INSERT INTO rejected(arrived, topic, reason, size, payload) VALUES(?, ?, ?, ?, ?)",
            [(now, *each[:4]) for each in rejected],
        )
        db.execute(
            "DELETE FROM rejected WHERE id <= (SELECT max(id) FROM rejected) - ?",
            (store.MAX_REJECTED,),
        )
        counted = store.tally(rejected)
        db.executemany(_TALLY, [(*each, now) for each in counted])

    def forget_before(self, ts: int) -> int:
        """Drop Readings and events from before `ts`, some thousands; return how many."""
        with self._transaction():
            db, before = self._here, self._here.total_changes
            for number in self._devices.values():
                left = FORGOTTEN - (db.total_changes - before)
                # SQLite's DELETE has no LIMIT: the key's order says where the first ones end.
                ask = "SELECT ts FROM reading WHERE device = ? AND ts < ? ORDER BY ts LIMIT ?, 1"
                found = db.execute(ask, (number, ts, max(left, 1))).fetchone()
                until = found[0] if found else ts
                db.execute("DELETE FROM reading WHERE device = ? AND ts < ?", (number, until))
                db.execute("DELETE FROM event WHERE device = ? AND at < ?", (number, ts))
                if db.total_changes - before >= FORGOTTEN:
                    break
            return db.total_changes - before


_WHY = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_BUSY: "another process has it locked",
    sqlite3.SQLITE_LOCKED: "another process has it locked",
    sqlite3.SQLITE_READONLY: "it may not be written",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_IOERR: "the disk gives an error",
}


def connected(path: Path, *, writing: bool) -> sqlite3.Connection:
    """Return a connection to the file, which is there; transactions are up to the caller."""
    mode = "rw" if writing else "ro"
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None)


def check(db: sqlite3.Connection, path: Path) -> None:
    """Raise Problem unless it is a store of ours, of a version that is known here."""
    application = db.execute("PRAGMA application_id").fetchone()[0]
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if application == APPLICATION and version > store.VERSION:
        raise Problem(
            f"{path} is a store of a later Limpet: version {version}, here {store.VERSION} is "
            "known.",
            "Use that Limpet, or name another store.",
        )
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if application != APPLICATION or not tables.issuperset(TABLES):
        raise Problem(f"{path} is a database, and no store of Limpet.", "Name another file.")


def columns(db: sqlite3.Connection) -> list[str]:
    """Return the names of the fields that the store has."""
    found = [row[1] for row in db.execute("PRAGMA table_info(reading)")]
    return [name for name in found if name not in OWN_COLUMNS]


def view(db: sqlite3.Connection) -> None:
    """Make the view `readings` anew: the table with devices' names, for people's own queries."""
    fields = "".join(f', r."{name}"' for name in columns(db))
    db.execute("DROP VIEW IF EXISTS readings")
    db.execute(
        f"CREATE VIEW readings AS SELECT d.name AS device, r.ts, r.boot, r.seq{fields}"  # noqa: S608
        " FROM reading r JOIN device d ON d.id = r.device"
    )
