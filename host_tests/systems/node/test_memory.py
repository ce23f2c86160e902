"""What the node takes of a small heap: for a day, and for whatever the network sends.

Measured on the 32-bit interpreter, whose objects have the ESP32's sizes. DAY=full makes the day a
whole one: `make day`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from limpet.identity.authority import load
from limpet.identity.operators import operator_identity
from limpet.node_host.debian import available
from limpet.node_host.umqtt import umqtt_dir
from support.brokers.mqtt_client import Client, Message
from support.brokers.running import RunningBroker, base
from support.micropython import upy
from support.nodes import TIMEOUT_S, Node, StartNode, at, expanded, value
from support.patched import patient
from support.proxies.proxy import Proxy

pytestmark = pytest.mark.skipif(not available("i386"), reason="no 32-bit interpreter here")

FULL = os.environ.get("DAY") == "full"
READINGS = 8640 if FULL else 360
OUTAGE_EVERY = 60
RESTART_EVERY = 1000 if FULL else 180
SPEED = 400
# Forms of the node, and the heap in which each has to get through the day.
FORMS = {"frozen": 72, "bytecode": 96}
FLAT = 2048

# Bytes that one packet may take, whatever it is, garbage included; and all of them for good. What
# answers Commands takes 17 KB besides, from the first Command until a minute after the last.
PACKET = 8_000
KEPT = 1024


class Day:
    """One node behind a proxy, and all that arrived from it since `start` has started it."""

    def __init__(self, broker: RunningBroker, proxy: Proxy, start: Callable[[], Node]) -> None:
        self.arrived: dict[int, dict[str, object]] = {}
        self._broker = broker
        self._proxy = proxy
        self._lease = operator_identity(broker.setup.layout.root)
        self._operator = self._operator_again()
        self._node = start()
        self._looked = 0  # lines of the node

    def until(self, seq: int) -> None:
        """Wait until the node has taken the Reading of this number."""

        def taken(line: str) -> bool:
            return "sampler reading" in line and int(value(line, "seq")) >= seq

        self._node.wait_for(taken, 2 * TIMEOUT_S, self._looked)
        self._looked = len(self._node.lines)

    def outage(self, restart: bool) -> int:
        """No broker for three Readings; the free heap when everything has arrived after it."""
        self._proxy.refuse()
        if restart:
            self._take_in()
            self._restart()
            self._operator.close()
            self._operator = self._operator_again()
        last = [line for line in self._node.lines[-50:] if "sampler reading" in line][-1]
        self.until(int(value(last, "seq")) + 3)
        since = at(self._node.lines[-1])
        self._proxy.restore()

        def drained(message: Message) -> bool:
            health = message.json()
            return bool(health["up"] > since and health["queued"] == 0)

        topic = f"{self._node.base}/health"
        # The second: the first may go out in the turn of the last PUBACK, and what has sent the
        # Readings from flash is let go of in the next.
        for _ in range(2):
            health = self._operator.wait_for(topic, drained, TIMEOUT_S).json()
            assert health["dropped"] == health["bugs"] == 0
            since = health["up"]
        return int(health["heap"])

    def end(self, count: int) -> list[int]:
        """Wait for the Readings up to that number; returns those that are lost."""
        topic = f"{self._node.base}/telemetry/#"
        self._operator.wait_for(topic, lambda m: expanded(m)[-1]["seq"] >= count, TIMEOUT_S)
        self._take_in()
        self._lease.release()
        return [seq for seq in range(count) if seq not in self.arrived]

    def _restart(self) -> None:
        self._broker.stop()
        for left in reversed(range(10)):
            try:
                return self._broker.start()
            except OSError:
                # The node's tries to connect take any free port for their own end: this one, too.
                if not left:
                    raise

    def _operator_again(self) -> Client:
        # One identity for all restarts: there are eight.
        identity = load(self._lease.key, self._lease.cert)
        operator = self._broker.client(self._lease.name, identity=identity).connect()
        operator.subscribe("limpet/#")
        return operator

    def _take_in(self) -> None:
        # What the broker has acknowledged is on its way to the operator, and this is behind it.
        behind = f"{base('nobody')}/config/desired"
        self._operator.publish(behind, b"{}")
        self._operator.wait_for(behind)
        for message in self._operator.seen(f"{self._node.base}/telemetry/#"):
            for each in expanded(message):
                assert self.arrived.setdefault(each["seq"], each) == each


@pytest.mark.long
@pytest.mark.parametrize("form", FORMS)
def test_day_in_a_small_heap(
    broker: RunningBroker, node: StartNode, tmp_path: Path, form: str
) -> None:
    """With outages and broker restarts all day long the heap stays flat, and no Reading is lost."""
    with Proxy(broker.port, SPEED) as proxy:
        config = {"interval_s": 10, "health_s": 30, "handshake_s": 300}
        how: dict[str, Any] = {"arch": "i386", "heap": f"{FORMS[form]}k", form: True}
        firmware = patient(tmp_path / "firmware", SPEED)
        how |= {"speed": SPEED, "firmware": firmware}
        day = Day(broker, proxy, lambda: node(proxy, config=config, **how))
        free = []
        for seq in range(OUTAGE_EVERY, READINGS, OUTAGE_EVERY):
            day.until(seq)
            free.append(day.outage(restart=seq % RESTART_EVERY < OUTAGE_EVERY))
        assert day.end(READINGS) == []
    used = [heap(FORMS[form]) - each for each in free]
    print(f"{form}, {FORMS[form]} KB: {len(used)} outages, {READINGS} Readings")
    print(f"heap used after the first {used[0]}, min {min(used)}, max {max(used)}, last {used[-1]}")
    assert max(used) - min(used) <= FLAT


def heap(size_kb: int) -> int:
    """Bytes of a heap of that size that can be used: the rest is the collector's own."""
    script = "import gc; print(gc.mem_alloc() + gc.mem_free())"
    return int(upy.run(script, arch="i386", heap=f"{size_kb}k"))


def test_network_allocates_no_more_than_the_bound() -> None:
    """The costliest packets there can be take less than the stated bound, and nothing for good."""
    script = "from support.fuzz import memory_bound; memory_bound.measure()"
    said = upy.run(script, arch="i386", heap="2m", path=[umqtt_dir()])
    print(said)
    *worst, kept = [int(line.split()[0]) for line in said.splitlines()]
    assert len(worst) == 9
    assert max(worst) <= PACKET
    assert kept <= KEPT
