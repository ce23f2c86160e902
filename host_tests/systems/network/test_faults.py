"""What a network, a broker and a full Outbox do to a whole node: nothing that was taken is lost."""

from __future__ import annotations

import itertools
from pathlib import Path
from time import monotonic

import pytest
from support.brokers.running import RunningBroker
from support.nodes import (
    FAST,
    Commander,
    StartNode,
    assert_right_times,
    at,
    newest,
    offline,
    online,
    readings,
    value,
    wait_for_readings,
    wait_for_status,
)
from support.patched import patient
from support.proxies.proxy import Proxy


def test_broker_restart_is_survived(broker: RunningBroker, node: StartNode) -> None:
    """After a restart the node subscribes again, and all that it took meanwhile arrives.

    The proxy keeps the node away until the operator, whom the restart throws out too, listens.
    """
    before = broker.operator()
    with Proxy(broker.port) as proxy:
        running = node(proxy, speed=20, config=FAST)
        wait_for_readings(before, 4)
        proxy.refuse()
        down = running.until("link down")
        broker.restart()
        after = broker.operator()
        away = newest(running.lines) + 10
        running.until(f"sampler reading seq={away} ")
        proxy.restore()
        running.until("link up", since=running.lines.index(down))
        first = max(each["seq"] for each in readings(before)) + 1
        arrived = wait_for_readings(before, first - 1)
        arrived += wait_for_readings(after, away + 5, since=first)
        assert Commander(after).ask("ping")["status"] == "executed"
    assert_right_times(running, arrived)
    birth = [m.json() for m in after.seen(f"{running.base}/status") if online(m.json())][-1]
    assert birth["outage"]["s"] >= 10
    assert birth["outage"]["cause"] == value(down, "cause") == "closed"


def test_nothing_is_lost_over_many_cuts(broker: RunningBroker, node: StartNode) -> None:
    """Cut again and again, the connection comes back and each Reading arrives."""
    operator = broker.operator()
    with Proxy(broker.port) as proxy:
        running = node(proxy, speed=20, config=FAST)
        up = 0
        for _ in range(6):
            up = running.lines.index(running.until("link up", since=up)) + 1
            running.until("sampler reading", since=up)
            proxy.cut()
        last = newest(running.lines) + 3
        arrived = wait_for_readings(operator, last)
        assert proxy.accepted >= 7
    assert_right_times(running, arrived)
    assert len(running.said("link up")) >= 7


def test_half_open_connection_is_noticed_and_replaced(
    broker: RunningBroker, node: StartNode
) -> None:
    """Where nothing comes through and nothing is closed, the missing PUBACK tells within 20 s.

    The broker still has the old connection when the new one comes, and may publish the old will
    late: the last word on `status` is `online` all the same.
    """
    operator = broker.operator()
    with Proxy(broker.port) as proxy:
        running = node(proxy, speed=20, config=FAST)
        wait_for_readings(operator, 2)
        proxy.black_hole()
        lost = running.lines[-1]
        down = running.until("link down")
        assert value(down, "cause") == "puback-timeout"
        assert at(down) - at(lost) < 40
        proxy.restore()
        running.until("link up", since=running.lines.index(down))
        wait_for_readings(operator, newest(running.lines) + 10)
        statuses = operator.seen(f"{running.base}/status")
        assert online(statuses[-1].json())
        assert online(wait_for_status(broker.operator(), lambda status: True).json())


def test_sampling_goes_on_while_the_link_is_down(broker: RunningBroker, node: StartNode) -> None:
    """Refused, stalled or half up: a Reading is taken each interval, whatever the link does."""
    with Proxy(broker.port) as proxy:
        proxy.refuse()
        running = node(proxy, speed=20, config=FAST)
        running.until("link down cause=tcp-refused")
        running.until("sampler reading seq=5 ")
        proxy.restore()
        proxy.hold()
        running.until("link securing")
        running.until("sampler reading seq=15 ")
        proxy.release()
    taken = [at(line) for line in running.said("sampler reading")]
    # 1 s of the node is 50 real ms: a busy machine may delay any, and make it skip a slot.
    assert abs(taken[-1] - taken[0] - 2 * (len(taken) - 1)) < 5
    gaps = sorted(after - before for before, after in itertools.pairwise(taken))
    assert 1 < gaps[len(gaps) // 2] < 3


@pytest.mark.long
def test_outbox_keeps_the_newest_and_counts_the_rest(
    broker: RunningBroker, node: StartNode, tmp_path: Path
) -> None:
    """Where an outage fills the Outbox, the oldest Readings go, and `dropped` says how many.

    The smallest Outbox is full after 9 minutes: 9 real seconds.
    """
    operator = broker.operator()
    with Proxy(broker.port) as proxy:
        proxy.refuse()
        firmware = patient(tmp_path / "firmware", 60)
        running = node(proxy, speed=60, config=FAST | {"outbox_readings": 256}, firmware=firmware)
        running.until("sampler reading seq=279 ")
        proxy.restore()
        running.until("link up")
        last = newest(running.lines)
        wait_for_readings(operator, last + 10, since=last - 200)
        status = Commander(operator).ask("get_status")["result"]
    arrived = [each["seq"] for each in readings(operator)]
    assert min(arrived) == status["dropped"]
    # A segment of flash goes at a time, at most an eighth; what is in RAM comes on top.
    assert last - 256 - 64 <= status["dropped"] <= last - 256 + 32 + 10


@pytest.mark.long
def test_will_on_silence(broker: RunningBroker, node: StartNode) -> None:
    """A node that falls silent without closing is `lost` after one and a half keepalives.

    15 real seconds: no config may ask for a keepalive below 10 s, and the broker's clock is real.
    """
    operator = broker.operator()
    running = node(broker, config={"keepalive_s": 10})
    wait_for_status(operator, online)
    began = monotonic()
    running.freeze()
    will = wait_for_status(operator, offline).json()
    assert will["reason"] == "lost"
    assert 10 < monotonic() - began < 25
