"""Whichever way the node leaves, what it holds in RAM gets onto flash first."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from limpet.identity import device_config
from support.brokers.codec import Packet, publish
from support.brokers.scripted_broker import ScriptedBroker
from support.brokers.scripted_link import (
    COMMANDS,
    PLAIN,
    TELEMETRY,
    all_of,
    echoing,
    is_reading,
    seqs,
    status,
)
from support.nodes import Node, StartNode
from support.patched import patched
from support.proxies.proxy import Proxy

# So that nothing is on flash before the node leaves.
LATE = PLAIN | {"interval_s": 2, "commit_after_s": 60, "health_s": 0}


def unacknowledged(packet: Packet) -> bytes | None:
    """Acknowledge everything but Readings."""
    return b"" if packet.topic == TELEMETRY else None


def taken(node: Node) -> int:
    """How many Readings the node took."""
    return len(node.said("sampler reading"))


def delivered(node: StartNode, before: Node, count: int) -> None:
    """Assert that a node that starts on this flash delivers `count` Readings of the boot before."""
    with ScriptedBroker(echoing()) as broker:
        after = Node(before.root, before.device_id, speed=20)
        device_config.write(before.root, device_config.read(before.root) | {"port": broker.port})
        with after:
            boot = int(after.until("node boot=").partition("boot=")[2].split(" ")[0])
            broker.wait_for(all_of(range(count), boot - 1))
            assert of_boot(broker.packets, boot - 1) == set(range(count))


def of_boot(packets: list[Packet], boot: int) -> set[int]:
    """The numbers of the Readings of one boot."""
    return set(seqs([p for p in packets if is_reading(p) and status(p)["boot"] == boot]))


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_without_a_broker(node: StartNode, times: int) -> None:
    """Readings that were never sent come at the next boot; also when Ctrl-C comes twice."""
    with Proxy(1) as nobody:
        nobody.refuse()
        running = node(nobody, speed=20, config=LATE)
        running.until("reading seq=6")
        for _ in range(times - 1):
            os.kill(running.pid, signal.SIGINT)
        assert running.stop() == 0
    delivered(node, running, taken(running))


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_with_readings_in_flight(node: StartNode, times: int) -> None:
    """So do those that were in flight, whether the goodbye went out or not."""
    with ScriptedBroker(echoing(unacknowledged)) as broker:
        running = node(broker, speed=4, config=LATE | {"window": 2})
        running.until("reading seq=4")
        if times == 2:
            os.kill(running.pid, signal.SIGINT)
            # It waits for PUBACKs for 5 s of its clock: this ends that.
            time.sleep(0.3)
        assert running.stop() == 0
    delivered(node, running, taken(running))


def test_leaving_without_the_code_for_it(node: StartNode, tmp_path: Path) -> None:
    """Flash that cannot be read just then costs the goodbye, and no Reading."""
    spoilt = patched(
        tmp_path / "firmware",
        ("node/session/leaving.py", "_DRAIN_MS = const(5000)", "raise OSError(5)"),
    )
    with ScriptedBroker(echoing(unacknowledged)) as broker:
        running = node(broker, speed=4, config=LATE, firmware=spoilt)
        running.until("reading seq=4")
        assert running.stop() == 0
    delivered(node, running, taken(running))


def test_reboot_with_readings_in_flight(node: StartNode) -> None:
    """And over the reset that a Command asks for."""
    boots: list[int] = []

    def answer(packet: Packet) -> bytes | None:
        if packet.topic == TELEMETRY:
            boots.append(status(packet)["boot"])
            return b"" if status(packet)["boot"] == boots[0] and packet.connection == 0 else None
        return None

    with ScriptedBroker(echoing(answer)) as broker:
        running = node(broker, speed=20, config=LATE | {"window": 3})
        running.until("reading seq=6")
        broker.send(publish(COMMANDS, b'{"id":"r-1","action":"reboot"}'))
        stopped = running.until("node stopped reason=reboot")
        held = len([x for x in running.lines[: running.lines.index(stopped)] if "reading seq" in x])
        broker.wait_for(lambda p: again(broker, boots[0]) >= set(range(held)))


def again(broker: ScriptedBroker, boot: int) -> set[int]:
    """The numbers of the Readings of a boot that came on a later connection."""
    return of_boot([packet for packet in broker.packets if packet.connection], boot)
