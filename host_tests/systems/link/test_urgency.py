"""What goes first where more than one kind of Message waits: the order in ARCHITECTURE.md."""

from __future__ import annotations

import itertools
import json
import threading
from pathlib import Path

from limpet.identity.provisioning import Setup
from support.brokers.codec import Packet, publish
from support.brokers.scripted_broker import ScriptedBroker
from support.brokers.scripted_link import BACKLOG, COMMANDS, FAST, STATUS, TELEMETRY, echoing
from support.nodes import IN_ORDER, TIMEOUT_S, Node
from support.patched import patient
from support.stored import stored


def kind(packet: Packet) -> str:
    """Return what a PUBLISH is."""
    if packet.topic in (TELEMETRY, BACKLOG):
        return "batch" if packet.topic == BACKLOG else "live"
    return packet.topic.rsplit("/", 1)[1]


def test_backlog_makes_way_for_all_that_is_live(setup: Setup, tmp_path: Path) -> None:
    """Amid the backlog, one packet at a time: a Response and a new Reading go ahead of the rest."""
    held = threading.Event()

    def answer(packet: Packet) -> bytes | None:
        if packet.name == "PUBLISH" and kind(packet) == "batch" and not held.is_set():
            # Both of the others wait before the way is free again.
            before = len(running.lines)
            broker.send(publish(COMMANDS, json.dumps({"id": "a", "action": "ping"}).encode()))
            running.until("command id=a action=ping")
            running.until("sampler reading", since=before)
            held.set()
        return None

    with ScriptedBroker(echoing(answer)) as broker:
        config = FAST | IN_ORDER | {"window": 1, "health_s": 0}
        flash = stored(setup, tmp_path / "flash", broker.port, **config)
        firmware = patient(tmp_path / "firmware", 5)
        running = Node(flash, "node-1", speed=5, firmware=firmware)  # `answer` needs it at once
        with running:
            assert held.wait(TIMEOUT_S)
            broker.wait_for(lambda _: len(batches(broker)) >= 3)
    sent = [kind(p) for p in broker.of("PUBLISH") if p.topic != STATUS]
    # What was taken before the first batch was sent went ahead of it as well.
    after = [each for each, _ in itertools.groupby(sent[sent.index("batch") :])]
    assert after[:4] == ["batch", "response", "live", "batch"]


def batches(broker: ScriptedBroker) -> list[Packet]:
    """Return the batches that came."""
    return [p for p in broker.of("PUBLISH") if kind(p) == "batch"]
