"""Values of a while ago: from the store and from memory, with gaps and with what came late."""

from __future__ import annotations

import csv
import io
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from limpet.identity.provisioning import Setup
from limpet.ingest.intake import Reading
from limpet.ingest.places import Place, opened, place
from limpet.ingest.store import Batch
from limpet.page.asked import LOOPBACK
from limpet.page.history import History
from limpet.page.serving import application, downloads, guard, server
from limpet.page.serving.guard import Access
from limpet.page.serving.login import Login, set_password
from support.page_here import hear, page_here, reading, said
from support.postgres import Postgres

T0 = 1_790_000_000
HISTORY = "/api/nodes/node-1/history"


@pytest.fixture
def store(tmp_path: Path) -> Place:
    """Make a store with an hour of a Reading each 10 s, of which two minutes are missing."""
    return filled(str(tmp_path / "limpet.db"))


def filled(url: str) -> Place:
    """Put that into a store."""
    where = place(url, None)
    made = opened(where)
    all_of = [
        Reading("node-1", 1, i, T0 + 10 * i, None, {"temperature": i / 10, "humidity": 50.0})
        for i in range(360)
        if not 100 <= i < 112
    ]
    made.write(Batch(T0, all_of))
    made.close()
    return where


def test_store(setup: Setup, store: Place) -> None:
    """Points are few; the gap is empty, and told with what it lacks."""
    with page_here(setup, store=store) as (_, visitor):
        asked = f"{HISTORY}?field=temperature&from={T0}&to={T0 + 3600}&points=100"
        found = visitor.get(asked).json()
        assert (found["source"], found["step"], found["since"]) == ("store", 36, T0)
        temperature = found["fields"]["temperature"]
        assert len(temperature["ts"]) <= 100
        assert temperature["min"][0] == 0.0
        assert temperature["max"][-1] == 35.9
        empty = [i for i, each in enumerate(temperature["mean"]) if each is None]
        assert len(empty) == 1
        assert T0 + 990 < temperature["ts"][empty[0]] < T0 + 1120
        assert found["gaps"] == [[T0 + 990, T0 + 1120, 12]]
        every = visitor.get(f"{HISTORY}?from={T0}&to={T0 + 3600}").json()["fields"]
        assert sorted(every) == ["humidity", "temperature"]
        # All that there is begins with the first: before it there are no points to be spent.
        all_of = visitor.get(f"{HISTORY}?field=temperature&from=0&to={T0 + 3600}").json()
        assert (all_of["from"], all_of["step"]) == (T0, 5)


@pytest.mark.long
def test_postgresql(setup: Setup, postgres_server: Postgres) -> None:
    """It says the same; and while it is away memory does."""
    store = filled(postgres_server.database("page"))
    test_store(setup, store)
    now = int(time.time())
    with page_here(setup, store=store) as (page, visitor):
        assert _download(visitor, "csv").count(b"\n") == 1 + 348
        hear(page, said("telemetry", reading(900, now, temperature=99.0)))
        postgres_server.stop()
        try:
            found = visitor.get(f"{HISTORY}?field=temperature&from={T0}").json()
            assert (found["source"], found["fields"]["temperature"]["max"]) == ("memory", [99.0])
            assert found["note"]
            answer = visitor.get("/api/nodes/node-1/download?format=csv")
            assert answer.status == 503
            assert answer.json()["error"]
        finally:
            postgres_server.start()


def test_what_the_store_has_not_yet(setup: Setup, store: Place) -> None:
    """What the page has heard since goes on behind it."""
    now = int(time.time())
    with page_here(setup, store=store) as (page, visitor):
        hear(page, said("telemetry", reading(900, now, temperature=99.0)))
        found = visitor.get(f"{HISTORY}?field=temperature&from={T0}").json()
        assert (found["source"], found["fields"]["temperature"]["max"][-1]) == ("store", 99.0)
        rows = list(csv.reader(io.StringIO(_download(visitor, "csv").decode())))
    assert rows[0] == ["device", "time", "ts", "boot", "seq", "temperature", "humidity"]
    assert len(rows) == 1 + 348 + 1
    assert rows[1][2:] == [str(T0), "1", "0", "0.0", "50.0"]
    assert rows[-1][2:] == [str(now), "1", "900", "99.0", ""]


def _download(visitor: Any, form: str) -> bytes:
    answer = visitor.get(f"/api/nodes/node-1/download?format={form}&from={T0}")
    assert answer.status == 200
    assert answer.headers["content-disposition"].endswith(f'.{form}"')
    return bytes(answer.body)


def test_parquet(setup: Setup, store: Place, tmp_path: Path) -> None:
    """A file of Parquet with the same rows; nothing of it is left on the disk."""
    duckdb = pytest.importorskip("duckdb")
    with page_here(setup, store=store) as (_, visitor):
        path = tmp_path / "got.parquet"
        path.write_bytes(_download(visitor, "parquet"))
    found = duckdb.sql(f"SELECT count(*), max(temperature) FROM '{path}'").fetchall()  # noqa: S608
    assert found == [(348, 35.9)]


def test_a_store_that_does_not_answer(
    setup: Setup, store: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits for it is told so; nobody else waits, and it has two threads, not all."""
    monkeypatch.setattr(application, "LOOK_S", 0.5)
    ended, asked = threading.Event(), [0]

    def hang(*given: Any) -> None:
        asked[0] += 1
        ended.wait(60)

    monkeypatch.setattr(History, "answer", hang)
    set_password(tmp_path, "a horse, a battery")
    access = Access(LOOPBACK, Login(tmp_path / "password"))
    with page_here(setup, store=store, access=access) as (_, visitor):
        try:
            for _ in range(2):
                answer = visitor.post("/login", {"password": "a horse, a battery"})
                assert answer.status == 204
                visitor.cookie = answer.headers["set-cookie"].partition(";")[0]
                told = [visitor.get(HISTORY) for _ in range(8)]
                assert {each.status for each in told} == {503}
                assert "too long" in told[0].json()["error"]
        finally:
            ended.set()
    assert asked[0] == 2


def test_a_download_that_nobody_takes(
    setup: Setup, store: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever leaves, or takes nothing, makes room for others."""
    monkeypatch.setattr(guard, "ANSWER_S", 1.0)
    monkeypatch.setattr(server, "ASK_S", 1.0)
    read, piece = [0], "x" * 100_000

    def endless(history: Any, asked: Any, fields: Any = None) -> Any:
        for _ in range(100_000):
            read[0] += 1
            yield piece, 1

    monkeypatch.setattr(downloads, "_pieces", endless)
    with page_here(setup, store=store) as (_, visitor):
        asked = f"GET /api/nodes/node-1/download HTTP/1.1\r\nhost: 127.0.0.1:{visitor.port}\r\n\r\n"
        address = (visitor.host, visitor.port)
        with socket.create_connection(address, timeout=60) as stalled:
            stalled.sendall(asked.encode())
            with socket.create_connection(address, timeout=60) as left:
                left.sendall(asked.encode())
                left.recv(10_000)
            deadline, before = time.monotonic() + 60, -1
            while read[0] != before:  # nobody reads any more
                assert time.monotonic() < deadline
                before = read[0]
                time.sleep(1.0)
            monkeypatch.setattr(downloads, "_pieces", lambda *given: (each for each in [("ts", 1)]))
            while visitor.get("/api/nodes/node-1/download").status != 200:
                assert time.monotonic() < deadline
                time.sleep(0.2)


def test_memory(setup: Setup) -> None:
    """Without a store it is what was heard, with stretches that came late and what is missing."""
    now = int(time.time())
    with page_here(setup) as (page, visitor):
        first = [said("telemetry", reading(i, now - 300 + 10 * i)) for i in range(5)]
        last = [said("telemetry", reading(i, now - 300 + 10 * i)) for i in range(20, 30)]
        hear(page, said("health", {"ts": now, "up": 100, "interval_s": 10}), *first, *last)
        found = visitor.get(f"{HISTORY}?field=temperature").json()
        assert (found["source"], found["step"], found["since"]) == ("memory", 0, now - 300)
        assert found["fields"]["temperature"]["mean"] == [20.5] * 5 + [None] + [20.5] * 10
        assert found["gaps"] == [[now - 260, now - 100, 15]]
        seqs = range(5, 20)
        batch = {"boot": 1, "seq": 5, "ts": now - 250, "dt": 10, "temperature": [*seqs]}
        hear(page, said("telemetry/backlog", batch))
        found = visitor.get(f"{HISTORY}?field=temperature").json()
        assert found["fields"]["temperature"]["mean"] == [20.5] * 5 + [*seqs] + [20.5] * 10
        assert found["gaps"] == []
        # What came before it, a while after it was measured, was late as well.
        ((begin, end),) = found["late"]
        assert begin == now - 300
        assert now - 110 <= end < now - 10


def test_few_points(setup: Setup) -> None:
    """Least, mean and most of a stretch; never more points than were asked for."""
    now = int(time.time())
    with page_here(setup) as (page, visitor):
        values = [20.0] * 300
        values[150] = 85.0
        batch = {"boot": 1, "seq": 0, "ts": now - 600, "dt": 2, "temperature": values}
        hear(page, said("telemetry/backlog", batch))
        asked = f"{HISTORY}?field=temperature&from={now - 600}&to={now}&points=20"
        temperature = visitor.get(asked).json()["fields"]["temperature"]
        assert len(temperature["ts"]) == 20
        assert max(temperature["max"]) == 85.0
        assert max(temperature["mean"]) < 30
        assert min(temperature["min"]) == 20.0


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ("?from=5&to=4", 400),
        ("?from=-1", 400),
        ("?from=nan", 400),
        ("?to=1e400", 400),
        ("?field=<script>", 400),
        ("?" + "&".join(f"field=f{i}" for i in range(40)), 400),
        ("?points=1000000000", 200),
        ("?field=nothing_known", 200),
    ],
)
def test_what_is_no_question(setup: Setup, asked: str, status: int) -> None:
    """It is refused with a word, or answered within bounds."""
    with page_here(setup) as (_, visitor):
        answer = visitor.get(HISTORY + asked)
        assert answer.status == status
        assert set(answer.json()) >= ({"error"} if status == 400 else {"fields"})
        assert visitor.get("/api/nodes/nobody/history").status == 404
