"""`limpet ingest --workers N`: several processes share the Readings, and one watches them."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread

import paho.mqtt.client as mqtt
import pytest
from limpet.identity import consumers
from limpet.identity.authority import load
from limpet.identity.provisioning import Setup
from limpet.ingest.asked import Address, Wanted
from limpet.ingest.consumer import Consumer
from limpet.ingest.counts import GRACE_S, Counts
from limpet.ingest.intake import Reading
from limpet.ingest.reader import Gap
from limpet.ingest.store import Batch, Outcome
from limpet.shared.problem import Problem
from paho.mqtt.client import CallbackAPIVersion, MQTTv5
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from support.brokers.alone import Alone
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
from support.tool import TIMEOUT_S, Tool, gone, limpet

MORE = ("ingest-2", "ingest-3")


@pytest.fixture
def mosquitto(setup: Setup) -> Iterator[Queueing]:
    """Run one that queues for three workers that are away."""
    with queueing(setup, ["node-1"], MORE) as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Where the store is to be."""
    return tmp_path / "limpet.db"


def started(broker: Queueing, store: Path, workers: int, *more: str) -> Tool:
    """Start them, and wait until all are connected."""
    tool = ingest(broker, store, "--workers", str(workers), *more)
    for name in (NAME, *MORE)[:workers]:
        tool.wait_for(f"{name}: connected to")
    return tool


def children(pid: int) -> dict[str, int]:
    """Return the workers of a process, by name: each has the key of its identity open."""
    found = {}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        for opened in Path(f"/proc/{child}/fd").iterdir():
            if (path := Path(os.readlink(opened))).suffix == ".key":
                found[path.stem] = int(child)
    return found


def until(true: Callable[[], bool]) -> None:
    """Wait until it is."""
    deadline = time.monotonic() + TIMEOUT_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.long
def test_killed_at_any_moment(mosquitto: Queueing, store: Path) -> None:
    """kill -9 of a worker, twice, and of who watches them, while a device publishes: nothing is
    lost or doubled, who died works again, and no process remains.
    """
    drained(mosquitto, store, "--workers", "2")  # from here on the broker queues for them
    client = mosquitto.client("node-1").connect()
    done = Event()
    said: list[int] = []

    def busy() -> None:
        while not done.wait(0.002):
            say(client, reading(1, len(said)))
            said.append(len(said))

    busy_one = Thread(target=busy)
    busy_one.start()
    try:
        with started(mosquitto, store, 2) as tool:
            for name in (NAME, MORE[0]):
                os.kill(children(tool.process.pid)[name], signal.SIGKILL)
                tool.wait_for(f"{name} has ended (SIGKILL); started again in ")
                tool.wait_for(_twice(f" {name}: connected"))
            workers = children(tool.process.pid).values()
            assert len(workers) == 2
            tool.process.kill()
            assert tool.end() == -signal.SIGKILL
            until(lambda: all(map(gone, workers)))
    finally:
        done.set()
        busy_one.join()
    drained(mosquitto, store, "--workers", "2")
    assert stored(store) == {("node-1", 1, seq) for seq in said}
    with read(store) as reader:
        assert not reader.gaps()


def _twice(words: str) -> Callable[[str], bool]:
    return lambda text: text.count(words) == 2


def test_one_count_and_one_end(mosquitto: Queueing, store: Path) -> None:
    """What all have stored is one figure; Ctrl-C, which a terminal says to each of them, ends all
    after what came is stored.
    """
    client = mosquitto.client("node-1").connect()
    with started(mosquitto, store, 3, "--json") as tool:
        for seq in range(60):
            say(client, reading(1, seq))
        say(client, b"garbage")
        say(client, {"v": 1, "status": "online", "boot": 1, "session": 1}, "status")
        tool.wait_for("node-1: not-json (")
        tool.wait_for(lambda _: _count(store, "reading") == 60 and _count(store, "event"))
        second = limpet(*words(mosquitto, store, "--workers", "2"))
        assert "Another program runs as ingest" in second.stderr
        assert second.returncode == 1
        workers = children(tool.process.pid).values()
        os.killpg(tool.process.pid, signal.SIGINT)
        assert tool.end() == 0
    assert len(workers) == 3
    assert all(map(gone, workers))
    figures = json.loads(tool.text.splitlines()[-1])
    # A status is one worker's: else each of them would store it.
    assert (figures["messages"], figures["readings"], figures["events"]) == (62, 60, 1)
    assert figures["rejected"] == {"not-json": 1}
    assert figures["missing"] == 0
    assert tool.text.count("not-json (") == 1


def _count(store: Path, table: str) -> int:
    count: int = rows(store, f"SELECT count(*) FROM {table}")[0][0]  # noqa: S608 - a test's
    return count


def test_fewer_than_before(mosquitto: Queueing, store: Path) -> None:
    """What the broker has given to workers that are not started any more is stored all the same,
    and their sessions are ended: nothing is sent there for ever.
    """
    drained(mosquitto, store, "--workers", "3")
    client = mosquitto.client("node-1").connect()
    for seq in range(90):
        say(client, reading(1, seq))
    figures = drained(mosquitto, store, "--workers", "1")
    assert (figures["messages"], figures["readings"]) == (90, 90)
    with read(store) as reader:
        assert not reader.gaps()
    for name in MORE:
        assert not _session(mosquitto, name)
    say(client, reading(1, 90))
    assert drained(mosquitto, store, "--workers", "1")["readings"] == 1


def _session(broker: Queueing, name: str) -> bool:
    layout = broker.setup.layout
    identity = load(*layout.operator_pair(name))
    client = broker.client(name, identity=identity, protocol=MQTTv5, session_s=10)
    present = client.connect().session_present
    client.close()
    return present


def test_what_cannot_begin(mosquitto: Queueing, store: Path, setup: Setup) -> None:
    """One that has no identity, and one that the broker does not let in, end all of them."""
    lacking = limpet(*words(mosquitto, store, "--workers", "4"))
    assert "limpet operator add ingest-4 --read" in lacking.stderr
    assert lacking.returncode == 1
    consumers.add(setup, "ingest-4", "read")
    try:
        stranger = limpet(*words(mosquitto, store, "--workers", "4", "--server-name", "elsewhere"))
    finally:
        consumers.remove(setup, "ingest-4")
    assert "its certificate is refused" in stranger.stderr
    assert stranger.returncode == 1
    assert len(stranger.stderr.splitlines()) == 2


def test_a_broker_without_mqtt_5(setup: Setup, store: Path) -> None:
    """Such as NATS: it is named, and what to do; and all of them end."""
    for name in (NAME, MORE[0]):
        consumers.add(setup, name, "read")
    broker = Alone(setup, "nats")
    broker.start()
    try:
        done = limpet(*words(broker, store, "--workers", "2"))
        assert "it speaks no MQTT 5, which several workers need" in done.stderr
        assert "Run one, without --share and --workers" in done.stderr
        assert done.returncode == 1
    finally:
        broker.close()


def test_a_broker_without_shared_subscriptions() -> None:
    """Such as RabbitMQ, which says so in its CONNACK."""
    address = Address((("127.0.0.1", 1),), None, "x", Path(), Path(), Path())
    consumer = Consumer(address, Wanted((), ("t",)), print)
    properties = Properties(PacketTypes.CONNACK)
    properties.SharedSubscriptionAvailable = 0
    success = ReasonCode(PacketTypes.CONNACK, "Success")
    consumer._greeted(mqtt.Client(CallbackAPIVersion.VERSION2), None, None, success, properties)
    with pytest.raises(Problem, match="it has no shared subscriptions, which several") as problem:
        consumer.step(0)
    assert "Run one" in problem.value.remedy


def test_what_another_one_has_stored_is_not_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hole that others have filled since is never told, as the store knows better; one that
    remains is told once, and its end.
    """
    said: list[str] = []
    lacks = [Gap("node-1", 1, 7, 8, None, None)]
    counts = Counts(said.append, lambda: lacks)
    now = time.monotonic()
    for boot in (1, 2):
        counts.add(*_hole(boot), 1)
    assert counts.missing == 10
    monkeypatch.setattr(time, "monotonic", lambda: now + 2 * GRACE_S)
    counts.look()
    assert said == ["node-1: 2 missing, of boot 1, from seq 7 to 8 on"]
    assert counts.missing == 2
    lacks.clear()
    counts.check()
    assert said[1:] == ["node-1: all of boot 1 is there now"]
    assert counts.missing == 0


def _hole(boot: int) -> tuple[Batch, Outcome]:
    batch = Batch(0, readings=[Reading("node-1", boot, 9, 0, None, {"temperature": 1.0})])
    return batch, Outcome(new=1, opened=[("node-1", boot, 4, 8)])
