"""A device written by hand: it has a device's certificate, and answers what a test tells it to.

Stricter than the real one: a Command that is not in its script, or comes retained, is a fault.
"""

from __future__ import annotations

import json
import queue
from typing import Any

import paho.mqtt.client as mqtt
from support import schemas
from support.brokers.mqtt_client import Client
from support.brokers.running import RunningBroker, base


class ScriptedDevice(Client):
    """A connected device; `commands` are those that came, as dicts, in their order."""

    def __init__(self, broker: RunningBroker, device: str = "node-1") -> None:
        layout = broker.setup.layout
        identity = broker.authority.client(device)
        super().__init__((broker.host, broker.port), device, identity, layout.ca_certificate)
        self.base = base(device)
        self.commands: queue.Queue[dict[str, Any]] = queue.Queue()
        self.faults: list[str] = []
        self._script: dict[str, list[dict[str, Any]]] = {}
        self.connect()
        self.subscribe(f"{self.base}/commands")

    def says(self, suffix: str, payload: bytes | dict[str, Any], retain: bool = False) -> None:
        """Publish below its base topic, and wait for the broker's PUBACK."""
        self.publish(f"{self.base}/{suffix}", payload, retain=retain)

    def answers(self, action: str, *responses: dict[str, Any]) -> None:
        """Give these Responses to each such Command, with its id where they have none."""
        self._script[action] = list(responses)

    def _on_message(self, client: Any, data: Any, message: mqtt.MQTTMessage) -> None:
        schemas.note(message.topic, bytes(message.payload))
        command = json.loads(message.payload)
        self.commands.put(command)
        if message.retain or command["action"] not in self._script:
            self.faults.append(f"not in the script: {command}, retained {message.retain}")
        for response in self._script.get(command["action"], []):
            payload = json.dumps({"v": 1, "id": command["id"], "ts": 1_780_000_000} | response)
            schemas.own(f"{self.base}/commands/response", payload)
            client.publish(f"{self.base}/commands/response", payload, 1)

    def __enter__(self) -> ScriptedDevice:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.close()
        if kind is None:
            assert not self.faults
