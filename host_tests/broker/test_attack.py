"""mosquitto by our files under attack: others are served, and what the attacker takes is bounded.

Devices that go bad have a certificate; who has none gets as far as a socket.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from limpet.brokers import capacity
from limpet.brokers.plan import Plan
from limpet.identity.authority import load
from limpet.identity.provisioning import Setup
from support.brokers import matrix
from support.brokers.matrix import DEVICE, NEIGHBOUR, READER, World, base
from support.brokers.matrix_kinds import MosquittoByPlan
from support.brokers.mqtt_client import Client

# Small ones, so that they are reached within a second or two.
LIMITS = replace(capacity.limits(10), memory_bytes=24 << 20, queued_bytes=1 << 20)
# Nobody here waits as long as the limit of a test: a broker that is stalled fails it.
_SILENT = """
import resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
made = [socket.create_connection((sys.argv[1], int(sys.argv[2]))) for _ in range(int(sys.argv[3]))]
print("open", flush=True)
sys.stdin.read()
"""


@dataclass
class Attacked:
    """A mosquitto that runs, and who appears in the access matrix."""

    world: World
    pid: int

    def served(self) -> None:
        """Fail unless a device that comes now is heard, and its status kept for who comes later."""
        world = self.world
        device, status = world.client(NEIGHBOUR).connect(), f"{base(NEIGHBOUR)}/status"
        text = world.text()
        # The observer reads the whole flood, and mosquitto keeps for it what its limits say:
        # while it is behind, a status for it may be dropped, so there is one a second.
        for _ in range(60):
            assert device.offer(status, text, retain=True)
            with suppress(TimeoutError):
                world.observer.wait_for(
                    status, lambda message: message.payload == text.encode(), timeout=1
                )
                break
        else:
            raise AssertionError("a device that is served is not heard")
        late = world.consumer(READER).connect()
        assert late.ask(status)
        late.wait_for(status, lambda message: message.retain and message.payload == text.encode())
        device.close()
        late.close()

    def resident(self) -> int:
        """Return how many bytes of memory mosquitto has."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        (line,) = (each for each in lines if each.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024


@pytest.fixture
def attacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Attacked]:
    """Run mosquitto by a plan with small limits."""
    setup = matrix.prepared(tmp_path / "fleet")
    plan = matrix.plan

    def small(setup: Setup, folder: Path) -> Plan:
        return replace(plan(setup, folder), limits=LIMITS)

    monkeypatch.setattr(matrix, "plan", small)
    running = MosquittoByPlan(setup)
    with matrix.world(running, setup, tmp_path / "broker") as made:
        yield Attacked(made, running.pid)


@pytest.mark.long
def test_silent_sockets(attacked: Attacked) -> None:
    """Two thousand that never say who they are, as many as the limits have room for."""
    host, port = attacked.world.address
    words = [sys.executable, "-c", _SILENT, host, str(port), "2000"]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as attacker:
        assert attacker.stdout
        if attacker.stdout.readline() != "open\n":
            pytest.skip("this system lets a process have no 2,000 sockets")
        attacked.served()
        assert attacked.resident() < 256 << 20
        attacker.communicate("")


def test_a_flood_of_retained_messages(attacked: Attacked) -> None:
    """A device that retains as much as it can on topics of its own is thrown out when mosquitto's
    memory is at its limit; the others' statuses are kept as before.
    """
    body = "x" * 15_000
    for again in range(2):
        device = attacked.world.client(DEVICE).connect()
        sent = flood(device, f"{base(DEVICE)}/commands/response/{again}-", body, retain=True)
        assert device.closed
        assert sent * len(body) < 2 * LIMITS.memory_bytes
        attacked.served()
    assert attacked.resident() < 3 * LIMITS.memory_bytes


def test_a_queue_that_nobody_takes(attacked: Attacked) -> None:
    """What is kept for a program that stays away is bounded, and its first Messages stay."""
    world = attacked.world
    key, certificate = world.layout.operator_pair(READER)
    identity, ca = load(key, certificate), world.layout.ca_certificate
    away = Client(world.address, READER, identity, ca, clean_session=False).connect()
    assert away.ask("limpet/#")
    away.close()
    device = world.client(DEVICE).connect()
    before = attacked.resident()
    body = "y" * 15_000
    assert flood(device, f"{base(DEVICE)}/telemetry", body, most=1_000) == 1_000
    assert not device.closed
    assert attacked.resident() - before < 8 * LIMITS.queued_bytes
    back = Client(world.address, READER, identity, ca, clean_session=False).connect()
    assert back.session_present
    back.wait_for("#", lambda message: message.payload == body.encode())
    back.close()


def test_a_packet_that_is_too_long(attacked: Attacked) -> None:
    """It ends the connection, and is heard by nobody."""
    device = attacked.world.client(DEVICE).connect()
    assert not device.offer(f"{base(DEVICE)}/telemetry", "z" * (LIMITS.packet_bytes + 1))
    assert device.closed
    attacked.served()


def flood(
    device: Client, topic: str, body: str, *, most: int = 10_000, retain: bool = False
) -> int:
    """Publish as fast as it is acknowledged, to topics of their own if retained, until the
    connection is closed or `most` are sent; return how many.
    """
    for number in range(most):
        if not device.offer(f"{topic}{number}" if retain else topic, body, retain):
            return number
    return most
