"""`limpet ingest` against mosquitto: nothing is lost and nothing doubled, whatever happens."""

from __future__ import annotations

import json
import random
import resource
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import pytest
from limpet.brokers.embedded.broker import LOOPBACK, EmbeddedBroker
from limpet.identity import consumers
from limpet.identity.provisioning import Setup
from limpet.ingest.asked import Address, Wanted
from limpet.ingest.consumer import Consumer
from limpet.shared.problem import Problem
from limpet.shared.seen_readings import readings
from support.brokers.mqtt_client import Client
from support.brokers.running import base
from support.ingesting import (
    NAME,
    Queueing,
    drained,
    ingest,
    queueing,
    read,
    reading,
    rows,
    say,
    stored,
    words,
)
from support.nodes import FAST, StartNode
from support.postgres import Postgres
from support.tool import Tool, limpet

Names = set[tuple[str, int, int]]
BACKLOG = "telemetry/backlog"
DEVICES = ("node-1", "node-2", "node-3", "node-33")
SECOND = "ingest-2"


@pytest.fixture
def mosquitto(setup: Setup) -> Iterator[Queueing]:
    """Run one that queues for who is away."""
    with queueing(setup, DEVICES, [SECOND]) as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Where the store is to be."""
    return tmp_path / "limpet.db"


def published(client: Client) -> Names:
    """Return which Readings an operator has seen."""
    return {
        (message.topic.split("/")[4], each.boot, each.seq)
        for message in client.messages
        if "/telemetry" in message.topic
        for each in readings(message.json())
    }


@pytest.mark.long
def test_killed_at_any_moment(mosquitto: Queueing, store: Path, node: StartNode) -> None:
    """kill -9, twenty times, while two nodes and a busy device publish: what the broker has taken
    is in the store in the end, once.
    """
    chance = random.Random(12)
    seen = mosquitto.operator()
    drained(mosquitto, store)  # from here on the broker queues for it
    nodes = [node(mosquitto, name, config=FAST) for name in ("node-1", "node-2")]
    for each in nodes:
        each.until("up")
    done = Event()
    busy = Thread(target=_busy, args=(device(mosquitto, "node-3"), done))
    busy.start()
    try:
        for _ in range(20):
            with Tool(*words(mosquitto, store)) as tool:
                if chance.random() < 0.8:
                    tool.wait_for("connected to")
                time.sleep(chance.random() / 2)
                tool.process.kill()
                assert tool.end() == -signal.SIGKILL
    finally:
        done.set()
        busy.join()
    for each in nodes:
        each.stop()
    figures = drained(mosquitto, store)
    wanted = published(seen)
    assert {device for device, _, _ in wanted} == {"node-1", "node-2", "node-3"}
    assert stored(store) == wanted
    assert not figures["rejected"]
    with read(store) as reader:
        assert not reader.gaps()


def device(broker: Queueing, name: str) -> Client:
    """Return a connected device."""
    return broker.client(name).connect()


def _busy(client: Client, done: Event) -> None:
    seq = 0
    while not done.wait(0.001):
        payload = reading(3, seq)
        if seq % 5 == 4:  # some of it in batches
            payload |= {"dt": 1, "temperature": [1.0, 2.0, 3.0]}
        client.publish(f"{base('node-3')}/{BACKLOG if 'dt' in payload else 'telemetry'}", payload)
        seq += 3 if "dt" in payload else 1


def test_what_is_wrong_is_named_and_counted(mosquitto: Queueing, store: Path) -> None:
    """Garbage, 256 KB, a device nobody knows, a seq that jumps back, 1e308; what is good beside it
    is stored.
    """
    client, other = device(mosquitto, "node-1"), device(mosquitto, "node-33")
    with ingest(mosquitto, store) as tool:
        with mosquitto.setup.layout.edited() as registry:
            kept = registry.devices.pop("node-33")
        say(client, reading(1, 5))
        say(client, b"\x00\xffgarbage")
        say(client, b"[" * 262144)
        say(client, b"")
        say(client, reading(1, 6, temperature=1e308, humidity=40.5))
        say(client, reading(1, 2))
        say(client, reading(1, 2))
        say(client, reading(1, 5, ts=1_799_999_999))
        other.publish(f"{base('node-33')}/telemetry", reading(1, 0))
        say(client, reading(2, 0))
        for word in ("not-json", "too-long", "bad-value", "recounted", "unknown-device"):
            tool.wait_for(f" {word} (")
        with mosquitto.setup.layout.edited() as registry:
            registry.devices["node-33"] = kept
        other.publish(f"{base('node-33')}/telemetry", reading(1, 1))
        tool.interrupt()
        assert tool.end() == 0
    found = rows(store, "SELECT device, boot, seq, temperature FROM readings ORDER BY ts")
    assert [row[:3] for row in found if row[0] == "node-1"] == [
        ("node-1", 1, 2),
        ("node-1", 1, 5),
        ("node-1", 1, 6),
        ("node-1", 2, 0),
        ("node-1", 1, 5),
    ]
    assert dict(rows(store, "SELECT reason, n FROM tally")) == {
        "not-json": 1,
        "too-long": 1,
        "bad-value": 1,
        "unknown-device": 1,
    }
    report = limpet("ingest", "--report", "--store", store)
    assert report.returncode == 0, report.stderr
    assert "missing   2 of node-1, boot 1, seq 3 to 4: between" in report.stdout
    assert "rejected  1 too-long of node-1, the last" in report.stdout
    asked = json.loads(limpet("ingest", "--report", "--json", "--store", store).stdout)
    assert [(each["first"], each["last"]) for each in asked["gaps"]] == [(3, 4)]
    assert asked["devices"][0]["readings"] == 4


def test_a_full_disk(mosquitto: Queueing, store: Path) -> None:
    """Nothing is acknowledged while the store takes nothing; when it does, all is there."""
    client = device(mosquitto, "node-1")
    with ingest(mosquitto, store) as tool:
        say(client, reading(1, 0))
        tool.wait_for(lambda _: _count(store) == 1)
        pid = tool.process.pid
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        for seq in range(1, 50):
            say(client, reading(1, seq))
        tool.wait_for("the store is away: ")
        assert _count(store) == 1
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        tool.wait_for("the store is back")
        tool.wait_for(lambda _: _count(store) == 50)
        tool.interrupt()
        assert tool.end() == 0
    assert drained(mosquitto, store)["readings"] == 0


def _count(store: Path) -> int:
    count: int = rows(store, "SELECT count(*) FROM reading")[0][0]
    return count


def test_a_store_that_is_locked(mosquitto: Queueing, store: Path) -> None:
    """As by somebody's sqlite3 in the middle of a transaction: the broker queues meanwhile."""
    client = device(mosquitto, "node-1")
    with ingest(mosquitto, store) as tool:
        other = sqlite3.connect(store, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        for seq in range(20):
            say(client, reading(1, seq))
        tool.wait_for("the store is away: another process has it locked")
        other.execute("ROLLBACK")
        other.close()
        tool.wait_for(lambda _: _count(store) == 20)


@pytest.mark.long
def test_a_database_that_goes_away(mosquitto: Queueing, postgres_server: Postgres) -> None:
    """PostgreSQL is killed while Readings come: they are stored once it is back."""
    store = postgres_server.database("ingest")
    client = device(mosquitto, "node-1")
    with ingest(mosquitto, store) as tool:
        say(client, reading(1, 0))
        tool.wait_for(lambda _: _kept(store) == 1)
        postgres_server.stop()
        try:
            for seq in range(1, 50):
                say(client, reading(1, seq))
            tool.wait_for("the store is away: ")
        finally:
            postgres_server.start()
        tool.wait_for("the store is back")
        tool.wait_for(lambda _: _kept(store) == 50)
        tool.interrupt()
        assert tool.end() == 0
    assert drained(mosquitto, store)["messages"] == 0


def _kept(store: str) -> int:
    with read(store) as reader:
        return sum(each.readings for each in reader.devices())


def test_a_broker_that_goes_away(mosquitto: Queueing, store: Path) -> None:
    """What it has taken comes after it is back, in the session that it has kept."""
    client = device(mosquitto, "node-1")
    with ingest(mosquitto, store) as tool:
        say(client, reading(1, 0))
        tool.wait_for(lambda _: _count(store) == 1)
        mosquitto.restart()
        tool.wait_for("no connection to")
        tool.wait_for("connected again to")
        client = mosquitto.client("node-1").connect()
        say(client, reading(1, 1))
        tool.wait_for(lambda _: _count(store) == 2)
        told = tool.text.count("no connection")
        tool.interrupt()
        assert tool.end() == 0
        # It leaves with a goodbye, and does not take that for a loss.
        assert tool.text.count("no connection") == told
    mosquitto.stop()
    assert any("Received DISCONNECT from ingest" in line for line in mosquitto.log)


def test_two_share_the_readings(mosquitto: Queueing, store: Path) -> None:
    """Each Message goes to one of them, and together they miss none; statuses go to both."""
    client = device(mosquitto, "node-1")
    with (
        ingest(mosquitto, store, "--share", "--json") as first,
        ingest(mosquitto, store, "--share", "--json", "--as", SECOND) as second,
    ):
        for seq in range(40):
            say(client, reading(1, seq))
        say(client, {"v": 1, "status": "online", "boot": 1, "session": 1}, "status")
        first.wait_for(lambda _: _count(store) == 40)
        for tool in (first, second):
            tool.interrupt()
            assert tool.end() == 0
    figures = [json.loads(tool.text.splitlines()[-1]) for tool in (first, second)]
    assert sum(each["readings"] for each in figures) == 40
    assert all(each["readings"] for each in figures)
    with read(store) as reader:
        assert not reader.gaps()
    # Alone again, it takes all of them.
    say(client, reading(1, 40))
    assert _count(store) + drained(mosquitto, store)["readings"] == 41


def test_the_embedded_broker(setup: Setup, store: Path) -> None:
    """It knows MQTT 3.1.1 alone, which is what is spoken then."""
    consumers.add(setup, NAME, "read")
    with EmbeddedBroker(setup.layout.root) as broker:
        at = ("--fleet", setup.layout.root, "--broker", LOOPBACK, "--port", str(broker.port))
        with Tool("ingest", *at, "--store", store) as tool:
            tool.wait_for("MQTT 3.1.1")
            ca = setup.layout.ca_certificate
            name = "node-1"
            client = Client((LOOPBACK, broker.port), name, setup.authority.client(name), ca)
            client.connect()
            for seq in range(30):
                say(client, reading(1, seq))
            client.close()
            tool.wait_for(lambda _: _count(store) == 30)
        shared = limpet("ingest", *at, "--store", store, "--share")
    assert shared.returncode == 1
    assert "it speaks no MQTT 5" in shared.stderr


def test_what_cannot_begin(mosquitto: Queueing, store: Path, tmp_path: Path) -> None:
    """Each with its cause and what to do."""
    with ingest(mosquitto, store):
        second = limpet(*words(mosquitto, store))
        assert second.stderr.startswith("limpet: Another program runs as ingest.")
    unknown = limpet(*words(mosquitto, store, "--as", "nobody"))
    assert "limpet operator add nobody --read" in unknown.stderr
    diary = tmp_path / "diary.db"
    diary.write_text("Dear diary" * 1000)
    other = limpet(*words(mosquitto, diary))
    assert "is no database" in other.stderr
    named = limpet(*words(mosquitto, tmp_path / "x.db", "--server-name", "other.example"))
    assert "its certificate is refused" in named.stderr
    secret = limpet("ingest", "--report", "--store", "postgresql://me:sesame@h/d")
    assert "sesame" not in secret.stdout + secret.stderr
    for done in (second, unknown, other, named, secret):
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 2


def test_brokers_are_tried_in_turn() -> None:
    """The next one at once; after the last a pause, and from the first again: so too when a
    connection was lost.
    """
    said: list[str] = []
    brokers = (("127.0.0.1", 1), ("127.0.0.2", 2))
    consumer = Consumer(
        Address(brokers, None, "x", Path(), Path(), Path()), Wanted(()), said.append
    )

    def fails(was_up: bool = False, fatal: bool = False) -> tuple[str, bool]:
        consumer.up = was_up
        consumer._fail("refused", fatal)
        return consumer.address.host, consumer._next_try > time.monotonic()

    assert fails() == ("127.0.0.2", False)
    assert said == ["no connection to 127.0.0.1:1: refused; trying again"]
    assert fails() == ("127.0.0.1", True)
    assert fails(fatal=True) == ("127.0.0.2", False)
    consumer._client = None
    consumer._next_try = time.monotonic() + 60
    consumer.step(0)  # what a person has to mend at one does not end it while there is another
    assert fails(was_up=True) == ("127.0.0.1", True)
    assert fails() == ("127.0.0.2", False)
    fails(fatal=True)
    with pytest.raises(Problem, match=r"No connection to 127\.0\.0\.2:2"):
        consumer.step(0)
