"""A whole node with a backlog, and real brokers whose rules know telemetry/backlog, or do not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from limpet.shared.firmware import topics
from support import wire_readings
from support.brokers import old_rules
from support.brokers.kinds import of_kind
from support.brokers.mqtt_client import Client, Message
from support.brokers.running import RunningBroker, base
from support.nodes import Node
from support.stored import STORED, stored

LIVE, BACKLOG = (f"{base()}/{each}" for each in (topics.TELEMETRY, topics.BACKLOG))
WAIT_S = 60


@pytest.fixture(params=["amqtt", "mosquitto"])
def either(request: pytest.FixtureRequest) -> Iterator[RunningBroker]:
    """Run a broker of each kind, whatever BROKER names."""
    running = of_kind(request.param, request.getfixturevalue("setup"))
    running.start()
    yield running
    running.close()


def of_earlier_boot(message: Message) -> list[int]:
    """The numbers of the Readings in it that were stored."""
    said = message.json()
    return [each["seq"] for each in wire_readings.expanded(said)] if said["boot"] == 1 else []


def delivered(operator: Client, more: set[int]) -> list[Message]:
    """Wait for all that was stored, but for `more`, which is there; all Messages with Readings."""
    seen = set(more)

    def complete(message: Message) -> bool:
        seen.update(of_earlier_boot(message))
        return seen == set(range(STORED))

    operator.wait_for(f"{LIVE}/#", complete, WAIT_S)
    return operator.seen(f"{LIVE}/#")


@pytest.mark.parametrize("old", [False, True], ids=["rules of now", "rules of before"])
def test_backlog_is_delivered_where_it_is_heard(
    either: RunningBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: bool
) -> None:
    """By the rules of now each batch comes on telemetry/backlog, and what is live is flat, always;
    by those of before, which acknowledge and drop that topic, all comes on telemetry. Nothing is
    missing, and nothing comes twice.
    """
    flash = stored(either.setup, tmp_path / "flash", either.port, interval_s=2)
    if old:
        old_rules.put_back(either, monkeypatch)
    operator = either.operator()
    with Node(flash, "node-1") as running:
        messages = delivered(operator, set())
        running.until("sampler reading seq=3 ")
        running.stop()
    stored_ones = [each for each in messages if each.json()["boot"] == 1]
    assert {each.topic for each in stored_ones} == {LIVE if old else BACKLOG}
    found = [seq for each in stored_ones for seq in of_earlier_boot(each)]
    assert sorted(found) == list(range(STORED))
    assert old or all("dt" in each.json() for each in stored_ones)
    assert len(stored_ones) < 12
    live = [each for each in operator.seen(f"{LIVE}/#") if each not in stored_ones]
    assert {each.topic for each in live} == {LIVE}
    assert not [each for each in live if "dt" in each.json()]
