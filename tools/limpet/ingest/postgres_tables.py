"""The tables of the store in PostgreSQL: connecting, making them, and knowing them again."""

from __future__ import annotations

import contextlib
from typing import Any

import psycopg
from psycopg import errors

from limpet.ingest import store
from limpet.shared.problem import Problem

CONNECT_S = 10
OWN_COLUMNS = ("device", "ts", "boot", "seq")
CHUNK = "7 days"
COMPRESSION = (
    "ALTER TABLE limpet.reading SET (timescaledb.compress,"
    " timescaledb.compress_segmentby = 'device')"
)
POLICY = "SELECT add_compression_policy('limpet.reading', interval '14 days')"

_TABLES = """
CREATE TABLE store(version integer NOT NULL);
CREATE TABLE device(
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE,
    base text NOT NULL);
CREATE TABLE reading(
    device integer NOT NULL, ts timestamptz NOT NULL, boot bigint NOT NULL, seq bigint NOT NULL,
    PRIMARY KEY(device, ts, boot, seq));
CREATE TABLE undated(
    device integer NOT NULL, boot bigint NOT NULL, seq bigint NOT NULL, up bigint NOT NULL,
    arrived bigint NOT NULL, fields text NOT NULL, PRIMARY KEY(device, boot, seq));
CREATE TABLE span(
    device integer NOT NULL, boot bigint NOT NULL, first bigint NOT NULL, last bigint NOT NULL,
    first_ts bigint, last_ts bigint, PRIMARY KEY(device, boot, first));
CREATE TABLE event(
    device integer NOT NULL, kind text NOT NULL, key text NOT NULL, at bigint NOT NULL,
    payload text NOT NULL, PRIMARY KEY(device, kind, key));
CREATE INDEX event_at ON event(device, kind, at);
CREATE TABLE rejected(
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, arrived bigint NOT NULL,
    topic text NOT NULL, reason text NOT NULL, size bigint NOT NULL, payload bytea NOT NULL);
CREATE TABLE tally(
    reason text NOT NULL, device text NOT NULL, n bigint NOT NULL, last bigint NOT NULL,
    PRIMARY KEY(reason, device));
"""
TABLES = {"device", "reading", "undated", "span", "event", "rejected", "tally"}
# What a person has to put right; anything else that keeps us from connecting may go by itself.
_PERSONS = ("authentication failed", "no password supplied", "does not exist", "no pg_hba.conf")


def connected(url: str, name: str) -> psycopg.Connection[Any]:
    """Return a connection that finds our tables. Raises Problem for what a person has to put right,
    and psycopg's errors; neither quotes the URL, which may have a password.
    """
    try:
        db: psycopg.Connection[Any] = psycopg.connect(
            url,
            autocommit=True,
            connect_timeout=CONNECT_S,
            application_name="limpet",
            options="-c search_path=limpet,public",
            keepalives_idle=30,
            tcp_user_timeout=30_000,
        )
    except psycopg.ProgrammingError:
        raise Problem(
            f"{name} is no URL that PostgreSQL understands.",
            "Such as postgresql://USER@HOST/DATABASE.",
        ) from None
    except psycopg.OperationalError as error:
        if any(words in str(error) for words in _PERSONS):
            raise Problem(
                f"{name}: {first_line(error)}.",
                "See to user, password (~/.pgpass, PGPASSWORD) and database.",
            ) from None
        raise
    return db


def make(db: psycopg.Connection[Any], name: str, *, timescale: bool) -> None:
    """Make them, with `timescale` the Readings as a hypertable. Raises Problem, where there is no
    TimescaleDB, and psycopg's errors.
    """
    if timescale:
        _extension(db, name)
    db.execute("CREATE SCHEMA IF NOT EXISTS limpet")
    for statement in _TABLES.split(";"):
        if statement.strip():
            db.execute(statement)
    db.execute("INSERT INTO store VALUES(%s)", (store.VERSION,))
    view(db)
    if timescale:
        db.execute(
            "SELECT create_hypertable('limpet.reading', 'ts',"
            f" chunk_time_interval => interval '{CHUNK}')"
        )
        # The edition that Debian has knows no compression: a store without is one, too.
        with contextlib.suppress(errors.Error), db.transaction():
            db.execute(COMPRESSION)
            db.execute(POLICY)


def made(db: psycopg.Connection[Any], name: str) -> bool:
    """Whether the tables are there. Raises Problem where they are none of ours, or of a version
    that is not known here.
    """
    ask = "SELECT tablename FROM pg_tables WHERE schemaname = 'limpet'"
    tables = {row[0] for row in db.execute(ask)}
    if not tables:
        return False
    if "store" not in tables or not tables.issuperset(TABLES):
        raise Problem(
            f"{name} has a schema `limpet` that is no store of Limpet.", "Name another database."
        )
    check_version(db, name)
    return True


def check_version(db: psycopg.Connection[Any], name: str) -> None:
    """Raise Problem for a store of a version that is not known here."""
    found = db.execute("SELECT version FROM store").fetchone()
    version = found[0] if found else 0
    if version > store.VERSION:
        raise Problem(
            f"{name} is a store of a later Limpet: version {version}, here {store.VERSION} is "
            "known.",
            "Use that Limpet, or name another store.",
        )


def columns(db: psycopg.Connection[Any]) -> list[str]:
    """Return the names of the fields that the store has, in the order in which they came."""
    rows = db.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'limpet.reading'::regclass"
        " AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
    )
    return [name for (name,) in rows if name not in OWN_COLUMNS]


def view(db: psycopg.Connection[Any]) -> None:
    """Make the view `readings` anew: the table with devices' names, for people's own queries."""
    fields = "".join(f', r."{name}"' for name in columns(db))
    db.execute(
        f"CREATE OR REPLACE VIEW readings AS SELECT d.name AS device, r.ts, r.boot, r.seq{fields}"  # noqa: S608
        " FROM reading r JOIN device d ON d.id = r.device"
    )


def _extension(db: psycopg.Connection[Any], name: str) -> None:
    try:
        db.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
    except psycopg.Error as error:
        raise Problem(
            f"{name} has no TimescaleDB: {first_line(error)}.",
            "Install it, or say postgresql:// instead of timescaledb://.",
        ) from None


def first_line(error: BaseException) -> str:
    """Return the first line of what PostgreSQL says, without its end."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".:")
