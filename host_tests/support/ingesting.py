"""`limpet ingest` for tests: as a process against a real broker, and what its store holds then."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from limpet.identity import consumers
from limpet.identity.provisioning import Setup
from limpet.ingest.places import place
from limpet.ingest.reader import Reader, reader
from limpet.shared.firmware import topics
from support.brokers.mosquitto import Mosquitto
from support.brokers.mqtt_client import Client
from support.brokers.running import RunningBroker, base, fields
from support.tool import LIMPET, TIMEOUT_S, Tool

NAME = "ingest"
# Queues what a test has to say while nobody takes it, and lets a packet through that is too long.
QUEUES = "max_queued_messages 100000\nmax_inflight_messages 1000\nmax_packet_size 1000000\n"


class Queueing(Mosquitto):
    """mosquitto that queues as much as a test says."""

    more = QUEUES

    def start(self) -> None:
        """Start, with somebody in its rules who may ingest."""
        consumers.add(self.setup, NAME, "read")
        super().start()


@contextlib.contextmanager
def queueing(setup: Setup, devices: Iterable[str], more: Iterable[str]) -> Iterator[Queueing]:
    """Run one. Who is to be let in, devices and more who may ingest, is in its rules from the
    start: read again while ingest is away, mosquitto drops what it would have to queue for it.
    """
    for name in devices:
        setup.device(fields(name))
    for name in (NAME, *more):
        consumers.add(setup, name, "read")
    running = Queueing(setup)
    running.start()
    try:
        yield running
    finally:
        running.close()


def words(broker: RunningBroker, store: Path | str, *more: str) -> list[str]:
    """Return the arguments of `limpet` that ingest from `broker` into `store`."""
    fleet = str(broker.setup.layout.root)
    at = ["--broker", broker.host, "--port", str(broker.port)]
    return ["ingest", "--fleet", fleet, *at, "--store", str(store), *more]


def ingest(broker: RunningBroker, store: Path | str, *more: str) -> Tool:
    """Start it, and wait until it is connected."""
    tool = Tool(*words(broker, store, *more))
    tool.wait_for("connected to")
    return tool


def drained(broker: RunningBroker, store: Path | str, *more: str) -> dict[str, Any]:
    """Let it take what the broker has queued; return its figures."""
    line = [str(LIMPET), *words(broker, store, "--idle", "2", "--json", *more)]
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=2 * TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise AssertionError(f"it does not end: {error.stderr!r} {error.stdout!r}") from None
    assert done.returncode == 0, done.stderr
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def read(store: Path | str) -> Reader:
    """Return a Reader of the store."""
    return reader(place(str(store), None))


def rows(store: Path, ask: str) -> list[tuple[Any, ...]]:
    """Return what a SQLite store answers."""
    db = sqlite3.connect(store)
    try:
        return db.execute(ask).fetchall()
    finally:
        db.close()


def stored(store: Path) -> set[tuple[str, int, int]]:
    """Return which Readings are in a SQLite store; each can be there once only."""
    found = rows(store, "SELECT device, boot, seq FROM readings")
    assert len(set(found)) == len(found)
    return set(found)


def reading(boot: int, seq: int, /, **more: Any) -> dict[str, Any]:
    """Return a Reading as a Message, at a time of its own."""
    ts = 1_790_000_000 + boot * 100_000 + seq * 10
    return {"v": 1, "boot": boot, "seq": seq, "ts": ts, "temperature": 20 + seq / 100} | more


def say(client: Client, payload: bytes | dict[str, Any], suffix: str = topics.TELEMETRY) -> None:
    """Publish, as the device that `client` is."""
    client.publish(f"{base()}/{suffix}", payload)
