"""The bridge of docs/homeassistant.md: a mosquitto of Home Assistant's own fetches the fleet."""

from __future__ import annotations

import getpass
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from limpet.brokers.mosquitto.program import mosquitto
from limpet.homeassistant.entry import entry_topic
from limpet.identity import consumers
from limpet.identity.authority import load
from limpet.identity.provisioning import Setup
from limpet.shared.paths import REPO
from support.brokers.mosquitto import Mosquitto
from support.brokers.running import base
from support.ports import standing_ports

PAGE = REPO / "docs" / "homeassistant.md"
ENTRY = entry_topic("homeassistant", "node-1")
TIMEOUT_S = 60


def bridge(folder: Path, port: int) -> str:
    """Return the page's configuration, with the files of `folder` and the fleet's broker there."""
    lines = PAGE.read_text("utf-8").splitlines()
    first = lines.index("    connection limpet")
    found = lines[first : lines.index("", first)]
    text = "\n".join(line.strip() for line in found)
    return text.replace("ADDRESS:8883", f"127.0.0.1:{port}").replace(
        "/share/mosquitto", str(folder)
    )


@pytest.fixture
def fleets(setup: Setup) -> Iterator[Mosquitto]:
    """Run the fleet's mosquitto, which knows both programs."""
    consumers.add(setup, "homeassistant", "discovery")
    consumers.add(setup, "hass", "home-assistant")
    running = Mosquitto(setup)
    running.start()
    yield running
    running.close()


@pytest.fixture
def own(fleets: Mosquitto, tmp_path: Path) -> Iterator[int]:
    """Run Home Assistant's, without TLS on loopback; yield its port."""
    (port,) = standing_ports(1)
    conf = tmp_path / "own.conf"
    folder = fleets.setup.layout.operator("hass")
    # Started by root it would become a user who may not read the test's files.
    first = f"user {getpass.getuser()}\nlistener {port} 127.0.0.1\nallow_anonymous true\n"
    conf.write_text(first + bridge(folder, fleets.port) + "\n")
    process = subprocess.Popen([*mosquitto(), "-c", str(conf)], stderr=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(TIMEOUT_S)


class Home:
    """Home Assistant, as far as a bridge knows it."""

    def __init__(self, port: int) -> None:
        self.heard: dict[str, bytes] = {}
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "home")
        self._client.on_message = self._message
        for _ in range(TIMEOUT_S * 10):
            try:
                self._client.connect("127.0.0.1", port)
                break
            except OSError:
                time.sleep(0.1)
        self._client.subscribe("#", 1)
        self._client.loop_start()

    def _message(self, client: mqtt.Client, data: object, message: mqtt.MQTTMessage) -> None:
        self.heard[message.topic] = bytes(message.payload)

    def says(self, topic: str, payload: str) -> None:
        """Publish something."""
        self._client.publish(topic, payload, 1)

    def until(self, topic: str, payload: bytes) -> None:
        """Wait until it has heard something."""
        for _ in range(TIMEOUT_S * 10):
            if self.heard.get(topic) == payload:
                return
            time.sleep(0.1)
        raise AssertionError(self.heard)

    def close(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()


def test_the_page_s_bridge(fleets: Mosquitto, own: int) -> None:
    """Entries and what devices say come over; Commands and Home Assistant's birth go there."""
    device = fleets.client().connect()
    device.subscribe(f"{base()}/commands")
    pair = fleets.setup.layout.operator_pair("homeassistant")
    teller = fleets.client("homeassistant", identity=load(*pair)).connect()
    teller.subscribe("homeassistant/status")
    teller.publish(ENTRY, "{}", retain=True)
    home = Home(own)
    try:
        home.until(ENTRY, b"{}")
        status = '{"v": 1, "status": "online"}'
        device.offer(f"{base()}/status", status, retain=True)
        home.until(f"{base()}/status", status.encode())
        home.says("homeassistant/status", "online")
        assert teller.wait_for("homeassistant/status").payload == b"online"
        home.says(f"{base()}/commands", '{"id": "1", "action": "ping"}')
        assert device.wait_for(f"{base()}/commands").json()["id"] == "1"
        device.offer(f"{base()}/health", "last")
        home.until(f"{base()}/health", b"last")
        assert len(device.seen(f"{base()}/commands")) == 1
    finally:
        home.close()
