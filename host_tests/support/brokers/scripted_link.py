"""What node-1 and a scripted broker say to one another: topics, config, statuses and Readings."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from support import wire_readings
from support.brokers.codec import Packet, puback, publish
from support.brokers.running import base
from support.brokers.scripted_broker import Answer, ScriptedBroker

BASE = base("node-1")
STATUS = f"{BASE}/status"
TELEMETRY = f"{BASE}/telemetry"
BACKLOG = f"{BASE}/telemetry/backlog"
COMMANDS = f"{BASE}/commands"
# To loopback a node may speak without TLS.
PLAIN = {"ca": None, "cert": None, "key": None}
FAST = PLAIN | {"interval_s": 2}


def echoing(otherwise: Answer = lambda packet: None) -> Answer:
    """Answer as `otherwise` does, but give the node its own status back, and the first batch, as
    brokers do.
    """

    def answer(packet: Packet) -> bytes | None:
        said = otherwise(packet)
        back = packet.name == "PUBLISH" and (packet.topic == STATUS or is_trial(packet))
        if said is None and back:
            return puback(packet) + publish(packet.topic, packet.payload)
        return said

    return answer


def status(packet: Packet) -> dict[str, Any]:
    """Return the status in a PUBLISH."""
    found: dict[str, Any] = json.loads(packet.payload)
    return found


def is_status(packet: Packet, word: str) -> bool:
    """Whether `packet` is a status, online or offline as `word` says."""
    return packet.name == "PUBLISH" and packet.topic == STATUS and status(packet)["status"] == word


def births(broker: ScriptedBroker) -> list[Packet]:
    """Return the births that came."""
    return [packet for packet in broker.of("PUBLISH") if is_status(packet, "online")]


def is_reading(packet: Packet) -> bool:
    """Whether Readings are in it."""
    return packet.name == "PUBLISH" and wire_readings.is_telemetry(packet.topic)


def is_trial(packet: Packet) -> bool:
    """Whether it may be what the node wants to be given back before it sends batches there."""
    return packet.topic == BACKLOG and len(packet.payload) < 1950


def seqs(packets: list[Packet]) -> list[int]:
    """Return the numbers of the Readings in `packets`, those in batches too."""
    said = [status(packet) for packet in packets if is_reading(packet)]
    return [each["seq"] for payload in said for each in wire_readings.expanded(payload)]


def all_of(wanted: Iterable[int], boot: int | None = None) -> Callable[[Packet], bool]:
    """Return what is true once it was asked about packets with all of these Readings, of that boot
    if one is named.
    """
    left = set(wanted)

    def complete(packet: Packet) -> bool:
        if is_reading(packet) and boot in (None, status(packet)["boot"]):
            left.difference_update(seqs([packet]))
        return not left

    return complete


def reading(seq: int) -> Callable[[Packet], bool]:
    """Return what is true for the Reading `seq`."""
    return lambda packet: bool(seqs([packet])) and status(packet)["seq"] == seq
