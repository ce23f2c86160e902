"""Fixture `node`: starts whole nodes, and ends them.

A node has its own flash below tmp_path, made by `limpet provision`'s own code. Where it connects is
a port: a broker's, a proxy's, a scripted broker's.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from limpet.identity.provisioning import Setup
from limpet.node_host.process import NodeProcess
from support import wire_readings
from support.brokers.mqtt_client import Client, Message
from support.brokers.running import RunningBroker, base

# Far above what a loaded machine takes, so that only what never comes meets it.
TIMEOUT_S = 60.0

# Config for tests about the order of Readings: who waits 2 s for a PUBACK goes by way of the flash,
# behind newer ones, and at speed 20 these are 100 real ms, which a busy machine takes for nothing.
IN_ORDER = {"commit_after_s": 60}

# Ten Readings in a real second.
FAST = {"interval_s": 2}


class Where(Protocol):
    """Something with a port to connect to."""

    @property
    def port(self) -> int:
        """Of loopback."""


class StartNode(Protocol):
    """What the fixture `node` gives."""

    def __call__(
        self,
        where: Where,
        device_id: str = "node-1",
        *,
        config: dict[str, Any] | None = None,
        files: dict[str, bytes] | None = None,
        **how: Any,
    ) -> Node:
        """Start a node that connects to `where`.

        config: fields that differ from what was provisioned. files: what else differs on its flash.
        how: NodeProcess's own.
        """


class Node(NodeProcess):
    """A node, its flash and what it says."""

    def __init__(self, root: Path, device_id: str, **how: Any) -> None:
        super().__init__(root, **how)
        self.root = root
        self.device_id = device_id
        self.base = base(device_id)

    def __enter__(self) -> Node:
        self.start()
        return self

    def until(self, wanted: str | Callable[[str], Any], since: int = 0) -> str:
        """Wait for a line that holds `wanted`, from line `since` on, and return it."""
        return self.wait_for(wanted, TIMEOUT_S, since)

    def said(self, wanted: str) -> list[str]:
        """Return the lines so far that hold `wanted`."""
        return [line for line in self.lines if wanted in line]

    def freeze(self) -> None:
        """Stop its clock, its CPU and its network where they are, and close nothing (SIGSTOP)."""
        os.kill(self.pid, signal.SIGSTOP)

    def ended(self) -> int | None:
        """Wait until it has ended by itself; its exit code."""
        return self.wait(TIMEOUT_S)


@pytest.fixture
def node(setup: Setup, tmp_path: Path) -> Iterator[StartNode]:
    """Start nodes, each with a flash of its own, and end those that still run."""
    started: list[Node] = []

    def start(
        where: Where,
        device_id: str = "node-1",
        *,
        config: dict[str, Any] | None = None,
        files: dict[str, bytes] | None = None,
        **how: Any,
    ) -> Node:
        root = tmp_path / f"flash-{len(started)}"
        RunningBroker(setup).image(root, device_id, **{"port": where.port, **(config or {})})
        for name, data in (files or {}).items():
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_bytes(data)
        started.append(Node(root, device_id, **how))
        started[-1].start()
        return started[-1]

    yield start
    for each in started:
        each.kill()
        print(f"{each.root.name}, its last lines:", *each.lines[-100:], sep="\n")  # where one fails


def at(line: str) -> float:
    """Return the seconds since boot at which a line was said."""
    return float(line.split(" ", 1)[0])


def value(line: str, name: str) -> str:
    """Return what follows `name=` in a line, up to the next space."""
    return line.partition(f" {name}=")[2].split(" ")[0]


def expanded(message: Message) -> list[dict[str, Any]]:
    """Return the Readings in one telemetry Message, a batch or not, each as if sent alone."""
    return wire_readings.expanded(message.json())


def readings(operator: Client, device_id: str = "node-1") -> list[dict[str, Any]]:
    """Return the Readings that have arrived so far, in the order of their arrival."""
    messages = operator.seen(f"{base(device_id)}/telemetry/#")
    return [each for message in messages for each in expanded(message)]


def wait_for_readings(
    operator: Client, upto: int, since: int = 0, device_id: str = "node-1"
) -> list[dict[str, Any]]:
    """Wait for all Readings from `since` to `upto`, each once, and return them by number.

    One that arrives twice has to say the same twice: (boot, seq) names it for ever.
    """
    topic = f"{base(device_id)}/telemetry/#"
    wanted = range(since, upto + 1)
    found: dict[int, dict[str, Any]] = {}

    def complete(message: Message) -> bool:
        for each in expanded(message):
            assert found.setdefault(each["seq"], each) == each
        return found.keys() >= set(wanted)

    operator.wait_for(topic, complete, TIMEOUT_S)
    return [found[seq] for seq in wanted]


def wait_for_status(
    operator: Client, wanted: Callable[[dict[str, Any]], Any], device_id: str = "node-1"
) -> Message:
    """Wait for a status for which `wanted` is true."""
    topic = f"{base(device_id)}/status"
    return operator.wait_for(topic, lambda message: bool(wanted(message.json())), TIMEOUT_S)


def online(status: dict[str, object]) -> bool:
    """Whether a status is a birth."""
    return status["status"] == "online"


def offline(status: dict[str, object]) -> bool:
    """Whether a status is a will or a goodbye."""
    return status["status"] == "offline"


def newest(node_lines: list[str]) -> int:
    """Return the number of the last Reading taken."""
    return int(value([line for line in node_lines if "sampler reading" in line][-1], "seq"))


def assert_right_times(running: Node, arrived: list[dict[str, int]]) -> None:
    """Check that each Reading bears the time at which the node said that it took it."""
    running.until(f"sampler reading seq={arrived[-1]['seq']} ")
    taken = {int(value(line, "seq")): at(line) for line in running.said("sampler reading")}
    # All lag behind one moment of boot, but for the second that `ts` is cut off to, and what a busy
    # machine takes between reading the clock and saying so: 50 real ms are a second.
    boots = [each["ts"] - taken[each["seq"]] for each in arrived]
    assert max(boots) - min(boots) < 3


class Commander:
    """Sends Commands to one node as an operator, and waits for their Responses."""

    def __init__(self, operator: Client, device_id: str = "node-1") -> None:
        self._operator = operator
        self._base = base(device_id)
        self._sent = 0

    def send(self, action: str, **members: Any) -> str:
        """Send a Command, whose params are in `members` under that name; return its id."""
        self._sent += 1
        command = {"id": f"test-{self._sent}", "action": action} | members
        self._operator.publish(f"{self._base}/commands", command)
        return str(command["id"])

    def ask(self, action: str, **members: Any) -> dict[str, Any]:
        """Send a Command and return its Response."""
        return self.response(self.send(action, **members))

    def response(self, command_id: str, nth: int = 1) -> dict[str, Any]:
        """Wait for the `nth` Response to a Command and return it."""
        topic = f"{self._base}/commands/response/#"
        found: list[Message] = []

        def enough(message: Message) -> bool:
            found[:] = [m for m in self._operator.seen(topic) if m.json()["id"] == command_id]
            return len(found) >= nth

        self._operator.wait_for(topic, enough, TIMEOUT_S)
        response: dict[str, Any] = found[nth - 1].json()
        return response
