"""The loop of `limpet ingest`, with a broker and a store that are played."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial

import pytest
from limpet.ingest.consumer import Message
from limpet.ingest.counts import Counts
from limpet.ingest.store import AwayError, Batch, Outcome
from limpet.ingest.worker import LOOK_S, Registry, Worker
from support.brokers.running import base
from support.ingesting import reading

DAY_S = 86400


class Broker:
    """Has some Messages, and is told which are stored."""

    up = True
    leaving = False
    bytes = 0

    def __init__(self, *ts: int) -> None:
        said = [json.dumps(reading(1, seq, ts=each)).encode() for seq, each in enumerate(ts)]
        self.arrived = [Message(f"{base()}/telemetry", each, 1, 1) for each in said]
        self.told = 0

    def step(self, timeout_s: float, *, reading: bool = True) -> None:
        """Nothing more comes."""

    def take(self) -> list[Message]:
        """Give what has arrived."""
        taken, self.arrived = self.arrived, []
        return taken

    def acknowledge(self, messages: list[Message]) -> None:
        """Count them."""
        self.told += len(messages)

    def close(self, *, for_good: bool = False) -> None:
        """Leave."""


class Kept:
    """A store that notes what it is to forget."""

    def __init__(self) -> None:
        self.forgotten: list[int] = []

    def write(self, batch: Batch) -> Outcome:
        """Take all of it."""
        return Outcome(new=len(batch.readings))

    def forget_before(self, ts: int) -> int:
        """Note it."""
        self.forgotten.append(ts)
        return 0

    def close(self) -> None:
        """Let go of it."""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Play the clocks: what time it is, and what has passed, which each look moves on."""
    now = [1_790_000_000.0, 0.0]

    def passed() -> float:
        now[1] += LOOK_S / 4
        return now[1]

    monkeypatch.setattr(time, "time", lambda: now[0])
    monkeypatch.setattr(time, "monotonic", passed)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    return now


def run(broker: Broker, store: Callable[[], Kept], keep_s: int | None = None) -> list[str]:
    """Work until it is idle; return what was said."""
    said: list[str] = []
    registry = Registry(None, said.append)
    worker = Worker(broker, store, registry, said.append, Counts(said.append), keep_s=keep_s)  # type: ignore[arg-type]
    assert worker.run(10 * LOOK_S)
    return said


def test_a_clock_that_jumps_drops_nothing(clock: list[float]) -> None:
    """This machine's is years ahead, or a node's is: the earlier one counts; and without a Reading
    nothing is dropped.
    """
    now = int(clock[0])
    for ours, newest in ((now + 3650 * DAY_S, now), (now, now + 3650 * DAY_S)):
        clock[0], store = ours, Kept()
        run(Broker(newest - 5, newest), partial(_same, store), 30 * DAY_S)
        assert set(store.forgotten) == {now - 30 * DAY_S}
    silent = Kept()
    run(Broker(), partial(_same, silent), 30 * DAY_S)
    assert silent.forgotten == []


def _same(store: Kept) -> Kept:
    return store


def test_a_store_that_is_away_at_first(clock: list[float]) -> None:
    """It is tried again without a Message that would need it, and idle is only who could store."""
    tries, broker = [0], Broker()

    def opened() -> Kept:
        tries[0] += 1
        if tries[0] < 4:
            raise AwayError("the disk is full")
        return Kept()

    said = run(broker, opened)
    assert tries[0] == 4
    assert said == [
        "the store is away: the disk is full; nothing is acknowledged until it is back",
        "the store is back",
    ]
