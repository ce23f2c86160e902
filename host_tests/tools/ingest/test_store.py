"""The stores: each Reading once, what is missing known, and what a store is asked."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from limpet.ingest import postgres_tables, spans
from limpet.ingest import store as stores
from limpet.ingest.intake import Event, Reading, Rejected
from limpet.ingest.places import Place, opened, place
from limpet.ingest.reader import Bucket, Gap
from limpet.ingest.store import Batch, Outcome, Store
from limpet.shared.problem import Problem
from support.ingesting import read
from support.postgres import Postgres

T0 = 1_790_000_000


@pytest.fixture(params=["sqlite", "postgresql", "timescaledb"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a store is to be, of each kind."""
    if request.param == "sqlite":
        return str(tmp_path / "store" / "limpet.db")
    kind = "timescale" if request.param == "timescaledb" else "postgres"
    server: Postgres = request.getfixturevalue(f"{kind}_server")
    found = server.database("store")
    return found.replace("postgresql:", f"{request.param}:")


@pytest.fixture
def file(tmp_path: Path) -> str:
    """Where a store of SQLite is to be."""
    return str(tmp_path / "store" / "limpet.db")


@pytest.fixture
def postgres(postgres_server: Postgres) -> str:
    """Where a store of PostgreSQL is to be."""
    return postgres_server.database("other")


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """Make an empty store."""
    made = opened(place(url, None))
    yield made
    made.close()


def taken(seq: int, ts: int | None = -1, boot: int = 1, device: str = "node-1") -> Reading:
    """Return a Reading at a time of its own."""
    then = T0 + boot * 100_000 + seq * 10 if ts == -1 else ts
    values: dict[str, float | None] = {"temperature": seq / 4, "humidity": None}
    return Reading(device, boot, seq, then, 5 if then is None else None, values)


def put(store: Store, *readings: Reading, **more: Any) -> Outcome:
    """Write them in one batch."""
    return store.write(Batch(T0, list(readings), bases={"node-1": "a/b/c/d/node-1"}, **more))


def seqs(url: str, device: str = "node-1") -> list[float]:
    """Return what is stored of a device's temperature, by time: its seqs, by `taken`."""
    with read(url) as reader:
        rows = list(reader.values(device, ["temperature", "humidity"], 0, 1 << 32))
    assert all(row[2] is None for row in rows)
    return [row[1] * 4 for row in rows]


def test_each_once(store: Store, url: str) -> None:
    """Within a batch, and in a later one."""
    made = put(store, taken(0), taken(1), taken(1), taken(2))
    assert (made.new, made.duplicates) == (3, 1)
    made = put(store, taken(2), taken(3))
    assert (made.new, made.duplicates) == (1, 1)
    assert seqs(url) == [0, 1, 2, 3]


def test_any_order(store: Store, url: str) -> None:
    """As after an outage: newer ones first, in batches that overlap."""
    chance = random.Random(1)
    wanted = [taken(i, boot=boot) for boot in (1, 2) for i in range(200)]
    todo = wanted * 2
    chance.shuffle(todo)
    new = 0
    while todo:
        size = chance.randint(1, 30)
        new += put(store, *todo[:size]).new
        del todo[:size]
    assert new == len(wanted)
    assert len(seqs(url)) == len(wanted)
    with read(url) as reader:
        assert not reader.gaps()
        [device] = reader.devices()
    assert (device.readings, device.boots, device.missing) == (400, 2, 0)


def test_gaps_are_opened_and_filled(store: Store, url: str) -> None:
    """What is missing is what lies between two that are there, in one boot."""
    assert not put(store, taken(0), taken(1)).opened
    assert put(store, taken(5), taken(6)).opened == [("node-1", 1, 2, 4)]
    put(store, taken(3, boot=2))  # what lay before it was taken before we listened
    made = put(store, taken(3))
    assert made.filled == {("node-1", 1): 1}
    assert not made.opened
    with read(url) as reader:
        times = [T0 + 100_000 + seq * 10 for seq in (1, 3, 3, 5)]
        assert reader.gaps() == [
            Gap("node-1", 1, 2, 2, *times[:2]),
            Gap("node-1", 1, 4, 4, *times[2:]),
        ]
        assert [each.missing for each in reader.devices()] == [2]
    assert put(store, taken(2), taken(4)).filled == {("node-1", 1): 2}
    with read(url) as reader:
        assert not reader.gaps("node-1")


def test_without_a_time_and_then_with_one(store: Store, url: str) -> None:
    """It is the same Reading, and gets its time."""
    assert put(store, taken(0, None)).new == 1
    assert put(store, taken(0, None)).duplicates == 1
    assert seqs(url) == []
    made = put(store, taken(0), taken(1))
    assert (made.new, made.dated, made.duplicates) == (1, 1, 0)
    assert seqs(url) == [0, 1]
    assert put(store, taken(0), taken(0, None)).duplicates == 2


def test_a_device_that_counts_anew(store: Store, url: str) -> None:
    """Its flash was erased: what has an old name and another time is stored, and told."""
    put(store, taken(0), taken(1))
    made = put(store, taken(0, T0 + 999_999), taken(1, T0 + 999_999 + 10))
    assert (made.new, made.duplicates, dict(made.recounted)) == (2, 0, {"node-1": 2})
    made = put(store, taken(1, T0 + 999_999 + 10))
    assert (made.new, made.duplicates) == (0, 1)
    assert seqs(url) == [0, 1, 0, 1]


def test_new_fields(store: Store, url: str) -> None:
    """A field is a column as soon as it is said; older Readings have none of it."""
    put(store, taken(0))
    more: dict[str, float | None] = {"select": 7.5, "outdoor_temperature": -3}
    put(store, taken(1)._replace(values=more), taken(2))
    with read(url) as reader:
        names = ["humidity", "outdoor_temperature", "select", "temperature"]
        assert sorted(reader.fields()) == names
        assert sorted(reader.fields("node-1")) == [name for name in names if name != "humidity"]
        rows = list(reader.values("node-1", ["select", "temperature"], 0, 1 << 32))
    assert [row[1:] for row in rows] == [(None, 0), (7.5, None), (None, 0.5)]


def test_fields_are_bounded(store: Store, url: str) -> None:
    """A device that makes up names fills no table; the fields that are known go on."""
    put(store, taken(0))
    for number in range(10):
        names = [f"made_up_{number}_{i}" for i in range(30)]
        values: dict[str, float | None] = dict.fromkeys(names, 1.0)
        made = put(store, taken(number + 1)._replace(values=values | {"temperature": 1}))
    assert made.too_many_fields
    with read(url) as reader:
        assert len(reader.fields()) == stores.MAX_COLUMNS
        rows = list(reader.values("node-1", ["temperature"], 0, 1 << 32))
    assert len(rows) == 11


def test_downsampled(store: Store, url: str) -> None:
    """Least, mean and most of each stretch; one without any value is left out."""
    put(store, *(taken(i) for i in (0, 1, 2, 3, 20, 21)))
    begin = T0 + 100_000
    with read(url) as reader:
        found = reader.downsampled("node-1", "temperature", begin, begin + 240, 12)
        assert found == [
            Bucket(begin, 0, 0.125, 0.25, 2),
            Bucket(begin + 20, 0.5, 0.625, 0.75, 2),
            Bucket(begin + 200, 5, 5.125, 5.25, 2),
        ]
        assert reader.downsampled("node-1", "humidity", begin, begin + 240, 12) == []
        with pytest.raises(Problem, match="no field 'x'"):
            reader.downsampled("node-1", "x", 0, 1, 1)
        with pytest.raises(Problem, match=r"nothing of 'node-9'\.") as problem:
            reader.downsampled("node-9", "temperature", 0, 1, 1)
    assert problem.value.remedy == "There is: node-1."


def test_events(store: Store, url: str) -> None:
    """The last status is that of the greatest boot and session, whenever it came."""
    online, offline = '{"status":"online"}', '{"status":"offline"}'
    for key, payload in (
        ("7 10 online", online),
        ("7 10 offline", offline),
        ("7 9 offline", "late"),
        ("6 99 online", "old"),
        ("7 10 online", "again"),  # it is retained
    ):
        put(store, events=[Event("node-1", "status", key, T0, payload)])
    put(store, events=[Event("node-1", "alert", "70 a raised", 70, "\u0000 {}")][:0])
    with read(url) as reader:
        status = reader.status("node-1")
        assert status is not None
        assert status.payload == offline
        assert len(list(reader.events("status"))) == 4
        assert list(reader.events("alert", "node-1")) == []


def test_rejected_are_bounded(store: Store, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest are kept, all are counted."""
    monkeypatch.setattr(stores, "MAX_REJECTED", 5)
    for i in range(4):
        wrong = [Rejected("t", "not-json", 3, bytes([0, 255, i]), "node-1")] * 3
        put(store, rejected=wrong)
    with read(url) as reader:
        assert reader.tally() == [("not-json", "node-1", 12, T0)]
        assert reader._source.all("SELECT count(*) FROM rejected") == [(5,)]


def test_what_is_old_is_dropped(store: Store, url: str) -> None:
    """Readings and events; what was there stays known, so that nothing comes back. TimescaleDB
    drops whole chunks, of a week each, and counts those.
    """
    by_week = url.startswith("timescaledb:")
    step_s = 7 * 86400 if by_week else 10
    put(store, *(taken(i, T0 + i * step_s) for i in range(10)))
    until = T0 + 5 * step_s
    assert store.forget_before(until) == 5
    assert store.forget_before(until) == 0
    assert seqs(url) == [5, 6, 7, 8, 9]


def test_a_batch_that_fails_leaves_nothing(
    store: Store, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it or nothing, what it has added to the tables too; the next one is stored."""

    def fails(*_: object) -> None:
        raise ZeroDivisionError

    wanted = Batch(T0, [taken(0)], rejected=[Rejected("t", "not-json", 1, b"x")])
    with monkeypatch.context() as patched:
        patched.setattr(store, "_put_rejected", fails)
        with pytest.raises(ZeroDivisionError):
            store.write(wanted)
    with read(url) as reader:
        assert reader.devices() == []
        assert reader.fields() == []
    assert store.write(wanted).new == 1
    assert seqs(url) == [0]


def test_two_writers(url: str) -> None:
    """Workers that share the Readings: what one has stored, the other one knows."""
    first, second = (opened(place(url, None)) for _ in range(2))
    for i in range(0, 20, 2):
        assert put(first, taken(i)).new == 1
        assert put(second, taken(i)).duplicates == 1
        extra: dict[str, float | None] = {f"field_{i}": 1.0}
        assert put(second, taken(i + 1)._replace(values=extra)).new == 1
    with read(url) as reader:
        assert not reader.gaps()
        assert len(reader.fields()) == 12
    first.close()
    second.close()


def test_two_writers_by_turns(url: str) -> None:
    """Of a device that has much to say each worker gets every second Reading: thousands of holes,
    which the other one fills, and none of which is taken for a device that counts anew.
    """
    first, second = (opened(place(url, None)) for _ in range(2))
    made = put(first, *(taken(i) for i in range(0, 4000, 2)))
    assert (made.new, len(made.opened), made.given_up) == (2000, 1999, 0)
    made = put(second, *(taken(i) for i in range(1, 6000, 2)))
    assert (made.new, made.recounted) == (3000, {})
    assert made.filled == {("node-1", 1): 1999}
    made = put(first, *(taken(i) for i in range(4000, 6000, 2)))
    assert (made.new, made.opened) == (1000, [])
    with read(url) as reader:
        assert not reader.gaps()
    first.close()
    second.close()


def test_what_was_given_up_and_comes_after_all(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a worker that was away for a while: it is new, at its own time, and no device counts anew;
    what comes once more is known. At another time it is the device that does.
    """
    monkeypatch.setattr(spans, "MAX_SPANS", 10)
    store = opened(place(url, None))
    made = put(store, *(taken(i) for i in range(0, 200, 2)))
    assert made.given_up == 90
    late = [taken(i) for i in range(1, 199, 2)]
    made = put(store, *late, *late)
    assert (made.new, made.duplicates, made.recounted) == (99, 99, {})
    assert put(store, taken(7, T0 + 900_000)).recounted == {"node-1": 1}
    store.close()


# SQLite alone.


def test_another_version_meanwhile(file: str) -> None:
    """As by a later Limpet, while this one writes: it leaves the store alone from then on."""
    store = opened(place(file, None))
    put(store, taken(0))
    with sqlite3.connect(file) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(Problem, match="a store of a later Limpet: version 99"):
        put(store, taken(1))
    with sqlite3.connect(file) as db:
        assert db.execute("SELECT count(*) FROM reading").fetchone() == (1,)
    db.close()
    store.close()


def test_files_are_the_owner_s_alone(file: str) -> None:
    """Modes are there from the start, of the write-ahead log as well."""
    store = opened(place(file, None))
    put(store, taken(0))
    folder = Path(file).parent
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


@pytest.mark.parametrize(
    ("statement", "cause"),
    [
        ("PRAGMA user_version=99", "a store of a later Limpet: version 99"),
        ("PRAGMA application_id=5", "a database, and no store of Limpet"),
        ("DROP TABLE span", "a database, and no store of Limpet"),
    ],
)
def test_another_schema_is_refused(file: str, statement: str, cause: str) -> None:
    """By who writes and by who reads; nothing is changed."""
    opened(place(file, None)).close()
    with sqlite3.connect(file) as db:
        db.execute(statement)
    db.close()
    before = Path(file).read_bytes()
    with pytest.raises(Problem, match=cause):
        opened(place(file, None))
    with pytest.raises(Problem, match=cause):
        read(file)
    assert Path(file).read_bytes() == before


def test_other_files_are_refused(file: str) -> None:
    """Somebody else's database, and what is no database at all."""
    Path(file).parent.mkdir()
    with sqlite3.connect(file) as db:
        db.execute("CREATE TABLE mine(x)")
    db.close()
    with pytest.raises(Problem, match="no store of Limpet"):
        opened(place(file, None))
    Path(file).write_text("Dear diary, " * 1000)
    with pytest.raises(Problem, match="is no database"):
        opened(place(file, None))
    assert Path(file).read_text().startswith("Dear diary")
    # What no waiting makes a file: a folder, and something in what is none.
    for never in (Path(file).parent, Path(file) / "limpet.db"):
        with pytest.raises(Problem, match=r"(Is|Not) a directory"):
            opened(place(str(never), None))


def test_a_file_that_is_removed(file: str) -> None:
    """What would be written to it is gone with the process: it is noticed, and made anew."""
    store = opened(place(file, None))
    put(store, taken(0))
    Path(file).unlink()
    with pytest.raises(stores.AwayError, match="gone"):
        put(store, taken(1))
    assert put(store, taken(1)).new == 1
    assert seqs(file) == [1]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("x/y.db", ("sqlite", "x/y.db", "x/y.db")),
        ("sqlite:///a/b.db", ("sqlite", "/a/b.db", "/a/b.db")),
        ("postgresql://h/d", ("postgresql", "postgresql://h/d", "postgresql://h/d")),
        (
            "timescaledb://me@h:5/d?sslmode=verify-full",
            (
                "timescaledb",
                "postgresql://me@h:5/d?sslmode=verify-full",
                "timescaledb://me@h:5/d",
            ),
        ),
    ],
)
def test_places(given: str, wanted: tuple[str, str, str]) -> None:
    """What a URL means."""
    assert place(given, None) == wanted


def test_passwords_are_neither_taken_nor_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not on a command line; out of the variable they are, and nothing shows them."""
    for url in ("postgres://me:sesame@h/d", "postgres://h/d?user=me&password=sesame"):
        with pytest.raises(Problem, match="every process") as problem:
            place(url, None)
        assert "sesame" not in problem.value.cause + problem.value.remedy
        monkeypatch.setenv("LIMPET_STORE", url)
        found = place(None, None)
        assert "sesame" in found.url
        assert "sesame" not in found.shown
    monkeypatch.delenv("LIMPET_STORE")
    with pytest.raises(Problem, match="no store that is known"):
        place("mysql://h/d", None)
    with pytest.raises(Problem, match="names no file"):
        place("sqlite://", None)
    assert place(None, Path("f")).url == str(Path("f/store/limpet.db"))


# PostgreSQL alone.


def test_postgres_that_goes_away(postgres_server: Postgres, postgres: str) -> None:
    """What is asked of it meanwhile fails by name; when it is back, it goes on."""
    store = opened(place(postgres, None))
    put(store, *(taken(i) for i in range(100)))
    postgres_server.stop()
    try:
        for _ in range(2):
            with pytest.raises(stores.AwayError):
                put(store, *(taken(i) for i in range(90, 130)))
    finally:
        postgres_server.start()
    made = put(store, *(taken(i) for i in range(90, 130)))
    assert (made.new, made.duplicates) == (30, 10)
    assert len(seqs(postgres)) == 130
    store.close()


@pytest.mark.parametrize(
    ("statement", "cause"),
    [
        ("UPDATE limpet.store SET version = 99", "a store of a later Limpet: version 99"),
        ("DROP TABLE limpet.span", "no store of Limpet"),
        ("DROP TABLE limpet.store", "no store of Limpet"),
    ],
)
def test_another_schema_of_postgres(postgres: str, statement: str, cause: str) -> None:
    """It is refused, by who writes and by who reads."""
    with pytest.raises(Problem, match="There is no store"):
        read(postgres)
    opened(place(postgres, None)).close()
    with psycopg.connect(postgres) as db:
        db.execute(statement)
    with pytest.raises(Problem, match=cause):
        opened(place(postgres, None))
    with pytest.raises(Problem, match=cause):
        read(postgres)


# TimescaleDB alone.


@pytest.fixture
def timescale(timescale_server: Postgres) -> str:
    """Where a store of TimescaleDB is to be, as a URL of PostgreSQL's."""
    return timescale_server.database("hyper")


def test_a_hypertable(timescale: str) -> None:
    """Readings are one, of a chunk a week."""
    store = opened(place(timescale.replace("postgresql:", "timescaledb:"), None))
    put(store, *(taken(i, T0 + i * 86400) for i in range(14)))
    store.close()
    with psycopg.connect(timescale) as db:
        tables = "SELECT hypertable_name, num_chunks FROM timescaledb_information.hypertables"
        [(name, chunks)] = db.execute(tables)
        ask = "SELECT column_name, time_interval FROM timescaledb_information.dimensions"
        assert list(db.execute(ask)) == [("ts", timedelta(days=7))]
    assert name == "reading"
    assert chunks in (2, 3)


@pytest.mark.parametrize("statement", [postgres_tables.COMPRESSION, postgres_tables.POLICY])
def test_what_compresses_is_understood(timescale: str, statement: str) -> None:
    """Debian's edition refuses it for its licence alone, after it has read it, and a wrong word for
    that word. Where the edition may, it is done when the store is made.
    """
    opened(place(timescale.replace("postgresql:", "timescaledb:"), None)).close()
    with psycopg.connect(timescale, autocommit=True) as db:
        [(edition,)] = db.execute("SHOW timescaledb.license")
        if edition != "apache":
            asked = "SELECT count(*) FROM timescaledb_information.jobs WHERE hypertable_name = %s"
            assert db.execute(asked, ("reading",)).fetchone() == (1,)
            return
        with pytest.raises(psycopg.errors.FeatureNotSupported, match="license"):
            db.execute(statement)
        wrong = statement.replace("segmentby", "segmentsby").replace("interval", "intervals")
        with pytest.raises(psycopg.Error) as error:
            db.execute(wrong)
        assert not isinstance(error.value, psycopg.errors.FeatureNotSupported)


def test_secrets_stay_out_of_what_postgres_says(postgres: str) -> None:
    """Neither a user nor a database that is not there, nor a URL that is none, says a password."""
    for url in (
        postgres.replace("limpet@", "nobody:sesame@"),
        postgres.replace("limpet@", "limpet:sesame@").replace("/other?", "/nothing?"),
        "postgresql://limpet:sesame@[::/x",
    ):
        where = Place("postgresql", url, "postgresql://shown/x")
        with pytest.raises((Problem, stores.AwayError)) as error:
            opened(where)
        assert "sesame" not in repr(error.value) + str(getattr(error.value, "remedy", ""))
