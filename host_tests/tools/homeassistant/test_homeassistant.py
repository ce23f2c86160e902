"""`limpet homeassistant`: with a broker, and what a person is told."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from limpet.homeassistant.entry import entry_topic, problem_topic
from limpet.identity import consumers
from limpet.identity.authority import load
from limpet.identity.provisioning import Setup
from limpet.operating.where import SetupInfo
from support.brokers import old_rules
from support.brokers.alone import Alone
from support.brokers.mosquitto import Mosquitto
from support.brokers.mqtt_client import Client
from support.brokers.running import RunningBroker, base
from support.tool import TIMEOUT_S, Tool, limpet

ENTRY, PROBLEM = entry_topic("homeassistant", "node-1"), problem_topic("homeassistant", "node-1")


@pytest.fixture
def known(setup: Setup) -> Setup:
    """Make the identities of both programs."""
    consumers.add(setup, "homeassistant", "discovery")
    consumers.add(setup, "hass", "home-assistant")
    return setup


@pytest.fixture
def told(known: Setup, broker: RunningBroker) -> RunningBroker:
    """Run a broker that knows them."""
    broker.reload()
    return broker


def words(broker: RunningBroker, *more: str) -> list[str]:
    """Return the command line."""
    fleet = str(broker.setup.layout.root)
    return [
        "homeassistant",
        "--fleet",
        fleet,
        "--broker",
        broker.host,
        "--port",
        str(broker.port),
        *more,
    ]


def hass(broker: RunningBroker) -> Client:
    """Connect as Home Assistant does, and hear all that is for it."""
    pair = broker.setup.layout.operator_pair("hass")
    client = broker.client("hass", identity=load(*pair)).connect()
    client.subscribe("homeassistant/#")
    return client


def speaks(device: Client, seq: int = 1) -> None:
    """Have node-1 say its birth, and a Reading."""
    said = {"v": 1, "status": "online", "boot": 7, "session": 1, "fw": "0.1.0", "reset": "power-on"}
    device.publish(f"{base()}/status", said, retain=True)
    device.publish(
        f"{base()}/telemetry", {"v": 1, "boot": 7, "seq": seq, "ts": 1, "temperature": 20.5}
    )


def last(client: Client, topic: str) -> bytes | None:
    """Return the newest payload on a topic."""
    found = [each.payload for each in client.messages if each.topic == topic]
    return found[-1] if found else None


def until(fits: Any) -> None:
    """Wait until something is so."""
    limit = time.monotonic() + TIMEOUT_S
    while not fits():
        assert time.monotonic() < limit
        time.sleep(0.1)


@pytest.mark.long
def test_it_tells_of_a_device(told: RunningBroker) -> None:
    """Retained; again when Home Assistant has started; empty when the device has left."""
    home, device = hass(told), told.client().connect()
    with Tool(*words(told)) as tool:
        tool.wait_for("connected to ")
        speaks(device)
        found = home.wait_for(ENTRY).json()
        assert found["cmps"]["temperature"]["stat_cla"] == "measurement"
        assert home.wait_for(PROBLEM).json()["problem"] == "OFF"
        count = len(home.messages)
        home.publish("homeassistant/status", "online")
        tool.wait_for("Home Assistant has started: it is told again")
        until(lambda: ENTRY in {each.topic for each in home.messages[count:]})
        late = told.client("hass", identity=load(*told.setup.layout.operator_pair("hass")))
        home.close()
        late.connect().subscribe(ENTRY)
        assert late.wait_for(ENTRY).retain
        told.setup.revoke("node-1")  # the program reads it; no broker has to
        until(lambda: last(late, ENTRY) == b"")
        tool.interrupt()
        assert tool.end() == 0
        assert "Traceback" not in tool.text


@pytest.mark.long
def test_a_broker_that_goes_away(told: RunningBroker) -> None:
    """It is connected to again, and has retained what it lost; what it kept is not said again."""
    with Tool(*words(told)) as tool:
        tool.wait_for("connected to ")
        speaks(told.client().connect())
        hass(told).wait_for(ENTRY)
        told.restart()
        tool.wait_for("connected again to ")
        home = hass(told)
        # The embedded broker has forgotten all of it, mosquitto nothing.
        speaks(told.client().connect())
        assert home.wait_for(ENTRY).json()["dev"]["name"] == "node-1"
        assert "Traceback" not in tool.text


@pytest.mark.long
def test_once_and_print(told: RunningBroker) -> None:
    """One says what is due, and ends; the other shows it, and says nothing."""
    home, device = hass(told), told.client().connect()
    with Tool(*words(told, "--print", "node-1")) as tool:
        tool.wait_for("connected to ")
        speaks(device)
        device.publish(f"{base()}/health", {"v": 1, "boot": 7, "ts": 1, "up": 1, "interval_s": 10})
        assert tool.end() == 0
        shown = json.loads(tool.text[tool.text.index("\n{") :])
        assert shown["cmps"]["temperature"]["exp_aft"] == 60
    assert last(home, ENTRY) is None
    with Tool(*words(told, "--once")) as tool:
        tool.wait_for("connected to ")
        speaks(device, 2)
        assert tool.end() == 0
        assert "2 Messages published" in tool.text
    assert home.wait_for(ENTRY)
    cleared = limpet(*words(told, "--clear"))
    assert (cleared.returncode, "2 Messages published" in cleared.stdout) == (0, True)
    until(lambda: (last(home, ENTRY), last(home, PROBLEM)) == (b"", b""))
    unknown = limpet(*words(told, "--print", "node-77"))
    assert (unknown.returncode, "There is no device 'node-77'." in unknown.stderr) == (1, True)


@pytest.mark.long
def test_a_broker_with_older_rules(known: Setup) -> None:
    """It acknowledges and drops, which is noticed, and said with what to do."""
    broker = Mosquitto(known)
    broker.start()
    try:
        acl = known.layout.broker / "acl"
        reader = "user homeassistant\ntopic read limpet/#\n"
        acl.write_text(old_rules.acl(known.layout.bases()) + reader)
        broker.reload()
        with Tool(*words(broker, "--once")) as tool:
            tool.wait_for("connected to ")
            speaks(broker.client().connect())
            assert tool.end() == 1
            # As it goes on without --once, and as the end.
            assert tool.text.count("its rules are older than 3") == 2
            assert "limpet broker-config" in tool.text
    finally:
        broker.close()


def test_what_is_entered_in_home_assistant(known: Setup, tmp_path: Path) -> None:
    """All of it, with the folder of the files; without an identity what makes one."""
    root = known.layout.root
    shown = limpet("homeassistant", "--setup", "--fleet", root)
    assert shown.returncode == 0, shown.stderr
    for words_ in (
        "127.0.0.1 is this machine alone",
        str(SetupInfo(root).port),
        "Client ID                            hass",
        f"{root}/operators/hass/hass.key",
    ):
        assert words_ in shown.stdout
    assert all(path.exists() for path in known.layout.operator_pair("hass"))
    other = limpet("homeassistant", "--setup", "--prefix", "ha", "--fleet", root)
    assert "Birth message topic ha/status" in other.stdout
    consumers.remove(known, "hass")
    lacking = limpet("homeassistant", "--setup", "--fleet", root)
    assert lacking.returncode == 1
    assert "limpet operator add hass --role home-assistant" in lacking.stderr
    wrong = limpet("homeassistant", "--prefix", "a/#", "--fleet", root)
    assert "--prefix: 'a/#' is none." in wrong.stderr
    consumers.remove(known, "homeassistant")
    nobody = limpet("homeassistant", "--fleet", root)
    assert "limpet operator add homeassistant --role discovery" in nobody.stderr


@pytest.mark.long
@pytest.mark.parametrize("kind", ["nats", "rabbitmq"])
def test_other_brokers(known: Setup, kind: str) -> None:
    """There it tells of a device, too, and takes out who has left while it was away where the
    broker says what it retains; RabbitMQ does not, by a filter with a wildcard.
    """
    broker = Alone(known, kind)
    broker.start()
    try:
        pair = known.layout.operator_pair("hass")
        home = broker.client("hass", identity=load(*pair)).connect()
        home.subscribe(ENTRY)
        with Tool(*words(broker)) as tool:
            tool.wait_for("connected to ")
            speaks(broker.client().connect())
            assert home.wait_for(ENTRY).json()["dev"]["name"] == "node-1"
            tool.interrupt()
            assert tool.end() == 0
        known.revoke("node-1")
        if kind == "nats":
            with Tool(*words(broker)):
                until(lambda: last(home, ENTRY) == b"")
    finally:
        broker.close()
