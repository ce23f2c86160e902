"""A whole node at the mercy of its broker: whatever that sends costs counters, not the node."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any

from limpet.node_host.debian import HOST, available
from support.brokers.codec import Packet, connack, puback, publish
from support.brokers.scripted_broker import ScriptedBroker, default_answer
from support.brokers.scripted_link import COMMANDS, PLAIN, STATUS
from support.nodes import Node, StartNode, value

RESPONSES = f"{COMMANDS}/response"
# About what an ESP32 has for it; objects of its size.
SMALL: dict[str, Any] = {"arch": HOST}
if available("i386"):
    SMALL = {"arch": "i386", "heap": "128k", "bytecode": True}
LIE = b"\x30\xff\xff\xff\x7f\x00\x03a/b"  # 268,435,455 bytes, says it, and sends nine


class Hostile(ScriptedBroker):
    """A broker that agrees with everything, until it is told to `attack`."""

    def __init__(self) -> None:
        super().__init__(self._echo)
        self._sent = 0
        self._turn = threading.Lock()  # what is long must not have an answer in its middle
        self._client: socket.socket | None = None

    def _take(self, client: socket.socket, packet: Packet) -> None:
        with self._turn:
            self._client = client
            super()._take(client, packet)

    def send(self, data: bytes) -> None:
        """Send `data` to whom the newest packet came from, out of turn."""
        with self._turn:
            assert self._client
            self._client.sendall(data)

    def _echo(self, packet: Packet) -> bytes | None:
        if packet.name == "PUBREC":
            return b""  # never released
        if packet.topic == STATUS and packet.name == "PUBLISH":
            return puback(packet) + publish(STATUS, packet.payload)
        return default_answer(packet)

    def ask(self, action: str, flags: int = 0) -> dict[str, Any]:
        """Send a Command and return its Response."""
        self._sent += 1
        command = {"id": f"ask-{self._sent}", "action": action}
        self.send(publish(COMMANDS, json.dumps(command).encode(), 1, self._sent, flags))

        def answers(packet: Packet) -> bool:
            return packet.topic == RESPONSES and said(packet)["id"] == command["id"]

        return said(self.wait_for(answers))

    def attack(self, node: Node, data: bytes, cause: str | None = None) -> None:
        """Send `data`; the node goes on, after a new connection where `cause` is named."""
        seen, connects = len(node.lines), len(self.of("CONNECT"))
        self.send(data)
        if cause:
            assert value(node.until("link down", seen), "cause") == cause
            node.until("link up", seen)
        assert self.ask("ping")["status"] == "executed"
        assert len(self.of("CONNECT")) == connects + bool(cause)


def said(packet: Packet) -> dict[str, Any]:
    """Return the JSON in a PUBLISH."""
    found: dict[str, Any] = json.loads(packet.payload)
    return found


def test_broker_that_lies_costs_counters_only(node: StartNode) -> None:
    """Floods, lies, nonsense and what nobody asked for: the node answers Commands after each."""
    broker = Hostile()
    with broker:
        config = PLAIN | {"refuse_retained_commands": True, "command_qos": 2}
        running = node(broker, speed=20, config=config, **SMALL)
        running.until("link up")
        assert broker.ask("ping")["status"] == "executed"
        # What was never subscribed to, in each QoS, and to what nobody may.
        strange = (publish("other/topic", b"x", qos, 900 + qos) for qos in range(3))
        broker.attack(running, b"".join(strange) + publish("$SYS/broker", b"x" * 900))
        # A retained Command.
        assert broker.ask("ping", flags=1)["code"] == "retained"
        # PUBACKs, SUBACKs, PUBRELs and PINGRESPs for nothing.
        nothing = b"\x40\x02\x77\x77\x90\x03\x77\x77\x01\x62\x02\x77\x77\xd0\x00"
        broker.attack(running, nothing * 500)
        # Commands that are none, as fast as they come.
        broker.attack(running, publish(COMMANDS, b'{"id":', 1, 7) * 2000)
        # More than fits, more than anybody could take.
        broker.attack(running, publish(COMMANDS, b"[" * 100_000, 1, 8))
        # Statuses that somebody else wrote.
        broker.attack(running, publish(STATUS, b'{"status":"offline","boot":[[[[[]]]]]}') * 200)
        # QoS 2 without an end.
        flood = (publish(COMMANDS, b"{}", 2, packet_id) for packet_id in range(1, 40))
        broker.attack(running, b"".join(flood), "protocol")
        broker.attack(running, connack(), "protocol")
        broker.attack(running, b"HTTP/1.1 400 Bad Request\r\n\r\n", "protocol")
        # A length that is a lie: all that follows is swallowed, so nothing is answered any more.
        seen = len(running.lines)
        broker.send(LIE)
        assert value(running.until("link down", seen), "cause").endswith("-timeout")
        running.until("link up", seen)
        status = broker.ask("get_status")["result"]
        assert status["downs"]["protocol"] == 3
        assert status["bugs"] == 0
        assert len(running.said("node boot=")) == 1
        assert len(running.said("dropped reason=foreign-topic")) == 4
        assert running.stop() == 0
