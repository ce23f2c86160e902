"""A whole node, over TLS, to NATS and to RabbitMQ: all that it wants of a broker."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from limpet.identity.provisioning import Setup
from support.brokers.alone import Alone
from support.cluster.consumer import Consumer
from support.cluster.ledger import Ledger
from support.nodes import FAST, Node, StartNode, offline, online, wait_for_status

pytestmark = pytest.mark.long

# What a power cut may take with it, in real seconds: 5 of the node's, and what a busy machine adds.
_YOUNG_S = 3.0

# RabbitMQ forgets a queue that it was asked for less than half a second before it is killed, and
# then lets the session of its client hang: docs/clusters.md.
_SETTLED_S = 2.0


@pytest.fixture(params=["nats", "rabbitmq"])
def other(request: pytest.FixtureRequest, setup: Setup) -> Iterator[Alone]:
    """Run a broker of each kind, empty."""
    running = Alone(setup, request.param)
    try:
        running.start()
        yield running
    finally:
        running.close()


def test_node_loses_nothing(other: Alone, node: StartNode) -> None:
    """Birth, Readings, a Command and its Response; the broker dies and comes back, and every
    Reading arrives; then the power goes, and the will says so, retained.
    """
    ledger = Ledger(["node-1"])
    with Consumer(other, ledger) as consumer:
        running = node(
            other, speed=4, config=FAST, on_line=lambda line: ledger.line("node-1", line)
        )
        assert consumer.wait_for(f"{running.base}/status", lambda said: online(said.json()))
        consumer.publish(f"{running.base}/commands", {"id": "one", "action": "ping"})
        answers = f"{running.base}/commands/response"
        assert consumer.wait_for(answers, lambda said: said.json()["status"] == "executed")
        time.sleep(_SETTLED_S)
        other.crash()
        _take(running, 5)
        other.start()
        running.until("link up", len(running.lines))
        _take(running, 5)
        assert ledger.wait_all(60), ledger.lost()
        operator = other.operator(f"{running.base}/status")
        assert wait_for_status(operator, online).retain
        running.kill()
        ledger.power_cut("node-1", _YOUNG_S)
        wait_for_status(operator, offline)
    assert not ledger.lost()
    assert ledger.foreign == []
    assert wait_for_status(other.operator(f"{running.base}/status"), offline).retain


def _take(running: Node, count: int) -> None:
    """Wait until it has taken so many more Readings."""
    since = len(running.lines)
    for _ in range(count):
        line = running.until("sampler reading", since)
        since = running.lines.index(line, since) + 1
