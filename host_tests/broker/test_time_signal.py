"""`{org}/time`: who says it, who hears it, and what a node makes of it."""

from __future__ import annotations

import contextlib
import json
import time

import pytest
from limpet.brokers import rules
from limpet.brokers.embedded import time_signal
from limpet.brokers.embedded.broker import LOOPBACK, EmbeddedBroker
from limpet.identity.provisioning import Setup
from limpet.shared.problem import Problem
from support.brokers.kinds import Embedded
from support.brokers.mqtt_client import Client
from support.brokers.running import RunningBroker, base
from support.brokers.scripted_broker import ScriptedBroker
from support.brokers.scripted_link import BACKLOG, COMMANDS, STATUS, TELEMETRY, echoing
from support.nodes import TIMEOUT_S, StartNode, value, wait_for_readings
from support.ntp_server import NtpServer

TOPIC = "limpet/time"
Y2090 = 3_786_912_000  # far beyond the validity of any certificate of these tests


def device(setup: Setup, port: int, name: str = "node-1") -> Client:
    """Return a device, connected."""
    identity = setup.authority.client(name)
    return Client((LOOPBACK, port), name, identity, setup.layout.ca_certificate).connect()


def test_broker_says_the_time_to_its_devices(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """Again and again, in whole seconds, small, with QoS 0 and not retained; another organisation's
    is not for it.
    """
    assert time_signal.EVERY_S == 60
    monkeypatch.setattr(time_signal, "EVERY_S", 0.1)
    with EmbeddedBroker(setup.layout.root) as broker:
        client = device(setup, broker.port)
        assert client.subscribe("other/time") == 0x80
        assert client.subscribe(TOPIC, qos=1) == 1
        client.wait_for(TOPIC, lambda message: len(client.seen(TOPIC)) >= 3)
        late = device(setup, broker.port, "node-2")
        late.subscribe(TOPIC, qos=1)
        said = [*client.seen(TOPIC), late.wait_for(TOPIC)]
        client.close()
        late.close()
    assert {(message.qos, message.retain) for message in said} == {(0, False)}
    for message in said:
        assert set(message.json()) == {"v", "ts"}
        assert abs(message.json()["ts"] - time.time()) < 60
        assert message.payload == json.dumps(message.json(), separators=(",", ":")).encode()
        assert len(message.payload) <= 32


def test_devices_read_it_from_any_broker(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has the right to say it is heard by devices: mosquitto's files have that, too."""
    operate = rules.ROLES["operate"]
    told = operate._replace(below=(*operate.below, "time"))
    monkeypatch.setitem(rules.ROLES, "operate", told)
    broker: RunningBroker = request.getfixturevalue("broker")
    client = broker.client().connect()
    client.subscribe(TOPIC)
    broker.operator(subscribe=None).publish(TOPIC, {"v": 1, "ts": 1_900_000_000})
    assert client.wait_for(TOPIC).json()["ts"] == 1_900_000_000


def test_registry_that_cannot_be_read_ends_nothing(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the registry is being written, or is damaged, nothing is said; then it goes on."""
    monkeypatch.setattr(time_signal, "EVERY_S", 0.1)
    failing = [OSError(), Problem("It is no registry.", "Restore it.")]

    def organisations(bases: dict[str, str]) -> list[str]:
        if failing:
            raise failing.pop()
        return ["limpet"]

    monkeypatch.setattr(rules, "organisations", organisations)
    with EmbeddedBroker(setup.layout.root) as broker:
        client = device(setup, broker.port)
        client.subscribe(TOPIC)
        client.wait_for(TOPIC)
        client.close()
    assert not failing


@pytest.mark.parametrize("agrees", [True, False])
def test_node_in_doubt_asks_its_broker(
    setup: Setup, node: StartNode, monkeypatch: pytest.MonkeyPatch, agrees: bool
) -> None:
    """A node whose only time server says 2090 takes that when the broker says so, too; else it goes
    on without a time, though the broker tells one.
    """
    monkeypatch.setattr(time_signal, "EVERY_S", 0.2)
    began = time.monotonic()

    def y2090() -> float:
        return Y2090 + 20 * (time.monotonic() - began)

    if agrees:
        monkeypatch.setattr(time_signal, "unix", y2090)
    broker = Embedded(setup)
    broker.start()
    with contextlib.closing(broker), NtpServer(y2090) as server:
        operator = broker.operator()
        monkeypatch.setenv("LIMPET_NTP", server.address)
        config = {"interval_s": 2, "no_time_after_s": 86400 if agrees else 60}
        running = node(broker, speed=20, config=config)
        line = running.until(" clock doubt ")
        assert int(value(line, "unix")) >= Y2090
        running.until(" link up ")
        if agrees:
            line = running.until(" clock set ")
            assert int(value(line, "unix")) >= Y2090
            assert all(reading["ts"] >= Y2090 - 60 for reading in wait_for_readings(operator, 2))
        else:
            operator.wait_for(
                f"{base()}/telemetry", lambda message: message.json()["ts"] is None, TIMEOUT_S
            )
            assert not running.said(" clock set ")
        assert not running.said("node bug")


def test_node_without_tls_asks_no_broker(node: StartNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where anybody could be the broker, it is no second opinion: nobody subscribes to the time."""
    with ScriptedBroker(echoing()) as broker, NtpServer(lambda: Y2090) as server:
        monkeypatch.setenv("LIMPET_NTP", server.address)
        # The certificates stay, so that there is something to be beyond the validity of.
        config = {"ca": None, "interval_s": 2, "no_time_after_s": 60}
        running = node(broker, speed=20, config=config)
        running.until(" clock doubt ")
        broker.wait_for(lambda p: p.topic == TELEMETRY and json.loads(p.payload)["ts"] is None)
        assert not running.said(" clock set ")
    assert {packet.topic for packet in broker.of("SUBSCRIBE")} - {BACKLOG} == {STATUS, COMMANDS}
