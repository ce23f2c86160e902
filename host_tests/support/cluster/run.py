"""A run: nodes publish through a cluster whose members die and come back in turn."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from limpet.brokers.embedded.broker import LOOPBACK
from limpet.node_host.process import NodeProcess
from support.brokers.running import base
from support.cluster.brokers import KEEPALIVE_S, MEMBERS, Cluster
from support.cluster.consumer import Consumer, Said
from support.cluster.ledger import Ledger

# Each node takes one every two seconds, and puts on flash what nobody has acknowledged for four.
CONFIG: dict[str, Any] = {"interval_s": 2, "keepalive_s": KEEPALIVE_S, "commit_after_s": 4}
# A Reading knows the second it was taken in; a busy machine lets the node wait besides.
YOUNG_S = CONFIG["commit_after_s"] + 1.5
COMMAND_EVERY_S = 1.0
# Where a run is long enough, a member is away for so long.
DOWN_S = 20.0
# For a will after the broker has seen the connection break.
WILL_S = 15.0
# For what has to come right by itself: the node's back-off is at most a minute.
RIGHT_S = 120.0
# For all members' retained statuses together. RabbitMQ may keep an old one for ever.
SETTLE_S = 60.0


@dataclass
class Result:
    """What a run has found beside the ledger."""

    seconds: float = 0.0
    kills: int = 0
    power_cuts: int = 0
    wills: int = 0
    commands: list[str] = field(default_factory=list)  # their ids
    answers: Counter[str] = field(default_factory=Counter)
    retained: list[tuple[int, int]] = field(default_factory=list)  # by member: right, wrong
    silent: list[str] = field(default_factory=list)
    connects: int = 0  # of the consumer
    memory_mb: list[int] = field(default_factory=list)  # of the members, at the end
    revived_s: list[float] = field(default_factory=list)


class Run:
    """`with Run(...) as run: run.go(seconds, say)`. folder: scratch for the nodes' flash.

    The cluster runs already; say is told what happens. listed: whether a node knows the members
    themselves, each another one first, rather than HAProxy.
    """

    listed = False

    def __init__(
        self, cluster: Cluster, folder: Path, nodes: int, say: Callable[[str], None]
    ) -> None:
        self.devices = [f"node-{number + 1}" for number in range(nodes)]
        self.ledger = Ledger(self.devices)
        self.result = Result()
        self._cluster = cluster
        self._folder = folder
        self._say = say
        self._nodes: dict[str, NodeProcess] = {}
        self._numbers = itertools.count(1)
        self._next_command = 0.0
        self._consumer = Consumer(cluster, self.ledger)

    def __enter__(self) -> Run:
        self._consumer.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        for node in self._nodes.values():
            node.kill()
        self._consumer.__exit__()

    def go(self, seconds: float) -> Result:
        """Let the nodes publish for `seconds`, and do to the cluster what may happen to it."""
        for device in self.devices:
            self._start(device)
        self._all_publish("from the start")
        began = time.monotonic()
        down_s = min(DOWN_S, seconds / 3)
        for number in itertools.count():
            self._lose(number % MEMBERS, down_s)
            self._cut_power(self.devices[number % len(self.devices)])
            used = time.monotonic() - began
            if used + used / (number + 1) > seconds:  # the next one would take as long
                break
        self._wait(began + seconds - time.monotonic())
        self.result.seconds = time.monotonic() - began
        self._close()
        return self.result

    def _lose(self, number: int, down_s: float) -> None:
        name = self._cluster.members[number].served.name
        self._say(f"{name} is killed")
        self._cluster.kill(number)
        self.result.kills += 1
        self._wait(down_s)
        self._say(f"{name} is started again")
        began = time.monotonic()
        self._cluster.revive(number)
        while not self._cluster.members[number].healthy():
            if time.monotonic() - began > RIGHT_S:
                raise RuntimeError(self._cluster.members[number].served.last("does not come back"))
            self._wait(0.5)
        self.result.revived_s.append(time.monotonic() - began)
        self._say(f"{name} is back, {len(self.ledger.lost())} Readings on their way")
        self._all_publish(f"after {name}")

    def _all_publish(self, when: str) -> None:
        if silent := self.ledger.wait_each(time.monotonic(), RIGHT_S):
            self.result.silent += [f"{each} {when}" for each in silent]
            self._say(f"silent {when}: {' '.join(silent)}")

    def _cut_power(self, device: str) -> None:
        """Take the power of a node away, wait for its will, and give it back."""
        since = time.monotonic()
        self._nodes[device].kill()
        self.ledger.power_cut(device, YOUNG_S)
        self.result.power_cuts += 1
        came = self._wait_status(device, "offline", since, WILL_S)
        self.result.wills += came
        self._say(f"{device} without power, its will {'came' if came else 'did NOT come'}")
        self._start(device)
        self._wait_status(device, "online", since, RIGHT_S)

    def _start(self, device: str) -> None:
        root = self._folder / device
        if not root.exists():
            self._cluster.image(root, device, **CONFIG, **self._brokers(device))
        node = NodeProcess(root, on_line=lambda line: self.ledger.line(device, line))
        self._nodes[device] = node
        node.start()

    def _brokers(self, device: str) -> dict[str, Any]:
        if not self.listed:
            return {}
        ports = [plan.port for plan in self._cluster.plans]
        at = self.devices.index(device) % len(ports)
        first, *others = ports[at:] + ports[:at]
        return {"port": first, "more_brokers": [f"{LOOPBACK}:{port}" for port in others]}

    def _wait(self, seconds: float) -> None:
        """Wait, and send a Command to one node after the other."""
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            if now >= self._next_command:
                self._next_command = now + COMMAND_EVERY_S
                self._send()
            time.sleep(min(0.1, end - now))

    def _send(self) -> None:
        number = next(self._numbers)
        device = self.devices[number % len(self.devices)]
        name = f"cluster-{number}"
        self.result.commands.append(name)
        self._consumer.publish(f"{base(device)}/commands", {"id": name, "action": "ping"})

    def _close(self) -> None:
        """What is taken from now on is not counted; what was has to arrive, and be answered."""
        self._say("waiting for what is on its way")
        self.ledger.close()
        self.ledger.wait_all(RIGHT_S)
        self._consumer.wait_until(self._all_answered, RIGHT_S)
        self.result.answers = self._answers()
        self.result.connects = self._consumer.connects
        self.result.memory_mb = self._cluster.memory_mb()
        deadline = time.monotonic() + SETTLE_S
        for plan in self._cluster.plans:
            self.result.retained.append(self._settled(plan.port, deadline))

    def _settled(self, port: int, deadline: float) -> tuple[int, int]:
        """Ask one member until it is right about each node, or the time is over: it hears of a
        status a moment after the others, and a node may just then be on its way to another member.
        """
        while True:
            right, wrong = self._ask(port)
            if right == len(self.devices) or time.monotonic() > deadline:
                return right, wrong
            time.sleep(0.5)

    def _answers(self) -> Counter[str]:
        said = [each for each in self._consumer.said if each.topic.endswith("/response")]
        return Counter(each.json()["id"] for each in said)

    def _all_answered(self) -> bool:
        return set(self.result.commands) <= self._answers().keys()

    def _ask(self, port: int) -> tuple[int, int]:
        """Ask one member for the retained status of each node; how many are right, and wrong."""
        client = self._cluster.member_operator(port)
        boots = self.ledger.boots()
        right = wrong = 0
        try:
            for device in self.devices:
                topic = f"{base(device)}/status"
                client.subscribe(topic)
                for message in self._retained(client, topic):
                    said = message.json()
                    good = said["status"] == "online" and said["boot"] == boots[device]
                    right, wrong = right + good, wrong + (not good)
        finally:
            client.close()
        return right, wrong

    def _retained(self, client: Any, topic: str) -> list[Any]:
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline:
            if found := [each for each in client.seen(topic) if each.retain]:
                return found[:1]
            time.sleep(0.02)
        return []

    def _wait_status(self, device: str, wanted: str, since: float, timeout_s: float) -> bool:
        def fits(said: Said) -> bool:
            return said.at > since and not said.retain and said.json()["status"] == wanted

        return self._consumer.wait_for(f"{base(device)}/status", fits, timeout_s)
