"""The store in PostgreSQL, or in TimescaleDB as a hypertable: in the schema `limpet` of a database.

Several may write: an advisory lock lets one at a time into a transaction, as a boot's spans are
read and written there. What libpq reads for itself, ~/.pgpass and PGPASSWORD, it reads here too.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import psycopg
from psycopg import errors

from limpet.ingest import postgres_tables as tables
from limpet.ingest import store
from limpet.ingest.intake import Rejected
from limpet.ingest.spans import Span, Spans
from limpet.ingest.store import AwayError, Undated, UnstorableError
from limpet.shared.problem import Problem

# "LMPT": the lock of who writes.
LOCK = 0x4C4D5054
# So few Readings are put in one by one, instead of by COPY to a temporary table.
FEW = 20


class PostgresStore(store.Store):
    """The store that a URL of libpq's names; its tables are made if there are none. name: the URL
    without a password.
    """

    def __init__(self, url: str, name: str, *, timescale: bool = False) -> None:
        self.name = name
        self._url = url
        self._timescale = timescale
        self._db: psycopg.Connection[Any] | None = None
        # The columns of the temporary table, and those it has if the transaction succeeds.
        self._incoming: set[str] | None = None
        self._made: set[str] | None = None
        with self._told():
            self._open()

    def _open(self) -> None:
        self._db = db = tables.connected(self._url, self.name)
        db.execute("SET synchronous_commit = on")
        self._incoming = self._made = None
        try:
            with db.transaction():
                db.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
                if not tables.made(db, self.name):
                    tables.make(db, self.name, timescale=self._timescale)
        except errors.InsufficientPrivilege as error:
            raise Problem(
                f"{self.name}: {tables.first_line(error)}.",
                "Let that user create a schema: GRANT CREATE ON DATABASE ... TO ...",
            ) from None
        self._devices = dict(db.execute("SELECT name, id FROM device").fetchall())
        self._columns = set(tables.columns(db))

    def close(self) -> None:
        """Let go of the connection."""
        if self._db:
            with contextlib.suppress(psycopg.Error):
                self._db.close()
        self._db = None

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what psycopg says into AwayError or UnstorableError."""
        try:
            yield
        except (errors.DataError, errors.IntegrityError) as error:
            raise UnstorableError(tables.first_line(error)) from None
        except errors.DiskFull:
            self.close()
            raise AwayError("the disk is full") from None
        except psycopg.Error as error:
            self.close()
            raise AwayError(tables.first_line(error)) from None

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._told():
            if not self._db or self._db.closed:
                self._open()
            db = self._here
            self._made = self._incoming
            with db.transaction():
                db.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
                tables.check_version(db, self.name)
                self._columns = set(tables.columns(db))
                yield
            # Only now: a transaction that fails takes its temporary table back.
            self._incoming = self._made

    @property
    def _here(self) -> psycopg.Connection[Any]:
        assert self._db
        return self._db

    def _put_devices(self, named: Sequence[tuple[str, str]]) -> dict[str, int]:
        names = [name for name, _ in named]
        self._here.execute(
            "INSERT INTO device(name, base) SELECT * FROM unnest(%s::text[], %s::text[])"
            " ON CONFLICT DO NOTHING",
            (names, [base for _, base in named]),
        )
        ask = "SELECT name, id FROM device WHERE name = ANY(%s)"
        return dict(self._here.execute(ask, (names,)).fetchall())

    def _put_columns(self, names: Sequence[str]) -> None:
        for name in names:  # letters, digits and _: intake.py
            self._here.execute(f'ALTER TABLE reading ADD COLUMN "{name}" double precision')
        tables.view(self._here)

    def _spans(self, of: Iterable[tuple[int, int]]) -> dict[tuple[int, int], list[Span]]:
        wanted = list(of)
        rows = self._here.execute(
            "SELECT s.device, s.boot, s.first, s.last, s.first_ts, s.last_ts FROM span s"
            " JOIN unnest(%s::integer[], %s::bigint[]) AS k(device, boot)"
            " ON s.device = k.device AND s.boot = k.boot",
            ([device for device, _ in wanted], [boot for _, boot in wanted]),
        )
        found: dict[tuple[int, int], list[Span]] = {}
        for device, boot, *span in rows:
            found.setdefault((device, boot), []).append(Span(*span))
        return found

    def _put_spans(self, all_of: Iterable[tuple[int, int, Spans]]) -> None:
        dropped: list[tuple[Any, ...]] = []
        written: list[tuple[Any, ...]] = []
        for device, boot, spans in all_of:
            old, new = spans.changes()
            dropped += [(device, boot, first) for first in old]
            written += [(device, boot, *span) for span in new]
        # Of several workers each may split a boot into as many spans as its batch has Messages.
        self._at_once(
            "DELETE FROM span USING unnest(%s::integer[], %s::bigint[], %s::bigint[])"
            " AS gone(device, boot, first) WHERE span.device = gone.device"
            " AND span.boot = gone.boot AND span.first = gone.first",
            dropped,
        )
        self._at_once(
            "INSERT INTO span SELECT * FROM unnest(%s::integer[], %s::bigint[], %s::bigint[],"
            " %s::bigint[], %s::bigint[], %s::bigint[]) ON CONFLICT(device, boot, first)"
            " DO UPDATE SET last = excluded.last, first_ts = excluded.first_ts,"
            " last_ts = excluded.last_ts",
            written,
        )

    def _at_once(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Execute it once for all rows, each column of which is an array to it."""
        if rows:
            self._here.execute(statement, [list(column) for column in zip(*rows, strict=True)])

    def _many(self, statement: str, rows: Sequence[Sequence[Any]]) -> int:
        if not rows:
            return 0
        with self._here.cursor() as cursor:
            cursor.executemany(statement, rows)
            return cursor.rowcount

    def _put_readings(self, rows: dict[tuple[str, ...], list[tuple[Any, ...]]]) -> int:
        if sum(map(len, rows.values())) > FEW:
            return self._copied(rows)
        stored = 0
        for names, values in rows.items():
            all_of = ", ".join([*tables.OWN_COLUMNS, *(f'"{name}"' for name in names)])
            marks = "%s, to_timestamp(%s)" + ", %s" * (2 + len(names))
            # The names are columns that are there.
            insert = f"INSERT INTO reading({all_of}) VALUES({marks}) ON CONFLICT DO NOTHING"
            stored += self._many(insert, values)
        return stored

    def _copied(self, rows: dict[tuple[str, ...], list[tuple[Any, ...]]]) -> int:
        db = self._here
        fields = sorted({name for names in rows for name in names})
        if self._incoming is None or not self._incoming.issuperset(fields):
            made = set(self._columns) | set(fields)
            columns = "".join(f', "{name}" double precision' for name in sorted(made))
            db.execute("DROP TABLE IF EXISTS pg_temp.incoming")
            db.execute(
                "CREATE TEMPORARY TABLE incoming(device integer, ts bigint, boot bigint,"
                f" seq bigint{columns}) ON COMMIT DELETE ROWS"
            )
            self._made = made
        for names, values in rows.items():
            all_of = ", ".join([*tables.OWN_COLUMNS, *(f'"{name}"' for name in names)])
            with (
                db.cursor() as cursor,
                cursor.copy(f"COPY incoming({all_of}) FROM STDIN") as copy,
            ):
                for row in values:
                    copy.write_row(row)
        named = "".join(f', "{name}"' for name in fields)
        insert = (
            f"INSERT INTO reading(device, ts, boot, seq{named})"  # noqa: S608 - names of columns
            f" SELECT device, to_timestamp(ts), boot, seq{named} FROM incoming"
            " ON CONFLICT DO NOTHING"
        )
        return db.execute(insert).rowcount

    def _put_undated(self, rows: Sequence[Undated]) -> None:
        written = [(*row[:-1], json.dumps(row.values)) for row in rows]
        self._many(
            "INSERT INTO undated VALUES(%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING", written
        )

    def _undated(self, of: Iterable[tuple[int, int]]) -> set[tuple[int, int, int]]:
        devices, boots = zip(*of, strict=True)
        ask = (
            "SELECT u.device, u.boot, u.seq FROM undated u"
            " JOIN unnest(%s::integer[], %s::bigint[]) AS k(device, boot)"
            " ON u.device = k.device AND u.boot = k.boot"
        )
        return set(self._here.execute(ask, (list(devices), list(boots))).fetchall())

    def _drop_undated(self, device: int, boot: int, seq: int) -> bool:
        delete = "DELETE FROM undated WHERE device = %s AND boot = %s AND seq = %s"
        return self._here.execute(delete, (device, boot, seq)).rowcount > 0

    def _put_events(self, rows: Sequence[tuple[Any, ...]]) -> None:
        self._many(
            "INSERT INTO event VALUES(%s, %s, %s, %s, %s)"
            " ON CONFLICT(device, kind, key) DO UPDATE SET payload = excluded.payload",
            rows,
        )

    def _put_rejected(self, now: int, rejected: Sequence[Rejected]) -> None:
        self._many(
            "INSERT INTO rejected(arrived, topic, reason, size, payload)"
            " VALUES(%s, %s, %s, %s, %s)",
            [(now, each.topic.replace("\0", "?"), *each[1:4]) for each in rejected],
        )
        self._here.execute(
            "DELETE FROM rejected WHERE id <= (SELECT max(id) FROM rejected) - %s",
            (store.MAX_REJECTED,),
        )
        self._many(
            "INSERT INTO tally VALUES(%s, %s, %s, %s) ON CONFLICT(reason, device)"
            " DO UPDATE SET n = tally.n + excluded.n, last = excluded.last",
            [(*each, now) for each in store.tally(rejected)],
        )

    def forget_before(self, ts: int) -> int:
        """Drop Readings and events from before `ts`; of TimescaleDB whole chunks."""
        with self._transaction():
            self._here.execute("DELETE FROM event WHERE at < %s", (ts,))
            if self._timescale:
                dropped = "SELECT drop_chunks('limpet.reading', older_than => to_timestamp(%s))"
                return len(self._here.execute(dropped, (ts,)).fetchall())
            delete = "DELETE FROM reading WHERE ts < to_timestamp(%s)"
            return self._here.execute(delete, (ts,)).rowcount
