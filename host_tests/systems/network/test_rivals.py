"""Two nodes with one id: noticed, named, and waited out instead of a storm."""

from __future__ import annotations

import struct
import time

import pytest
from support.brokers.running import RunningBroker, base
from support.nodes import TIMEOUT_S, Node, StartNode

SPEED = 100


def boot_counter(boot: int) -> dict[str, bytes]:
    """The file in which a node counts its boots, so that the next one has the number `boot`."""
    return {"own/boot.bin": struct.pack("<II", boot - 1, (boot - 1) ^ 0xFFFFFFFF)}


@pytest.mark.parametrize("boots", [(7, 9), (7, 7)], ids=["two nodes", "a clone"])
def test_rivals_are_named_and_waited_out(
    broker: RunningBroker, node: StartNode, boots: tuple[int, int]
) -> None:
    """Each throws the other out, until one names the cause, raises an alert and waits 5 minutes."""
    operator = broker.operator()
    rivals = [node(broker, speed=SPEED, files=boot_counter(boot)) for boot in boots]

    line = _first(rivals, "cause=client-id-taken")
    assert int(line.rsplit("retry_ms=", 1)[1]) >= 300_000
    alert = operator.wait_for(
        f"{base('node-1')}/alerts", lambda m: m.json()["alert"] == "client-id-taken"
    )
    assert alert.json()["state"] == "raised"
    # From the first connection to the name: a handful of tries, not hundreds.
    for each in rivals:
        assert len(each.said("link up")) < 40
        assert not each.said("node bug")


def _first(rivals: list[Node], wanted: str) -> str:
    """Wait until one of the nodes says `wanted`."""
    until = time.monotonic() + TIMEOUT_S
    while time.monotonic() < until:
        for each in rivals:
            try:
                return each.wait_for(wanted, 0.5)
            except TimeoutError:
                assert each.returncode is None
    raise TimeoutError("\n".join(line for each in rivals for line in each.lines[-30:]))


def test_a_broker_that_restarts_is_no_rival(broker: RunningBroker, node: StartNode) -> None:
    """However often a broker restarts in a row, the node suspects nobody: one that stops says the
    node's will to the node itself before it closes.
    """
    running = node(broker, speed=20)
    seen = 0
    for _ in range(5):
        up = running.until("link up", seen)
        seen = running.lines.index(up) + 1
        broker.restart()
    running.until("link up", seen)
    assert not running.said("client-id-taken")
