"""Brokers that let a node in and then do not do what MQTT promises: mosquitto, configured so.

Always the real mosquitto, whatever BROKER names: it acknowledges what its ACL drops, and closes
without a word for what its limits forbid.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from limpet.brokers import rules
from limpet.brokers.mosquitto import renderer
from limpet.brokers.written import write_mosquitto
from limpet.identity.authority import load
from limpet.identity.provisioning import Setup
from support.brokers.mosquitto import Mosquitto
from support.brokers.mqtt_client import Client
from support.nodes import Commander, StartNode, value, wait_for_readings, wait_for_status


@pytest.fixture
def stingy(setup: Setup) -> Iterator[Mosquitto]:
    """A mosquitto that is not started yet."""
    running = Mosquitto(setup)
    yield running
    running.close()


def configured(patch: pytest.MonkeyPatch, **lines: str) -> None:
    """Put lines into mosquitto's configuration: ahead of all listeners, or into each."""
    conf, listener = renderer._CONF, renderer._LISTENER
    patch.setattr(renderer, "_CONF", conf + lines.get("general", ""))
    patch.setattr(renderer, "_LISTENER", listener + lines.get("listener", ""))


@pytest.fixture
def hears_nothing(stingy: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> Mosquitto:
    """Let a node in, and deny all that it publishes."""
    with monkeypatch.context() as patch:
        patch.setattr(rules, "DEVICE_WRITES", ())
        stingy.start()
    return stingy


def allow(broker: Mosquitto) -> None:
    """Put the right rules in place, and have them read, by a restart."""
    write_mosquitto(broker.setup.layout, broker.host, broker.port)
    broker.reload()


def listener(broker: Mosquitto) -> Client:
    """Return an operator whose session outlives its connection, and a restart."""
    identity = load(*broker.setup.layout.operator_pair("operator-8"))
    return broker.client("operator-8", identity=identity, clean_session=False).connect()


def test_readings_are_held_until_the_broker_passes_them_on(
    hears_nothing: Mosquitto, node: StartNode
) -> None:
    """mosquitto acknowledges what its ACL drops: the node notices that its birth never came back,
    says so, and keeps its Readings; once the ACL is right, all of them arrive.
    """
    broker = hears_nothing
    running = node(broker, speed=20, config={"interval_s": 2})
    first = running.until("link down cause=subscription-lost")
    running.until("link down cause=subscription-lost", running.lines.index(first) + 1)
    down = running.until("link down cause=not-authorized-here")
    assert int(value(down, "retry_ms")) >= 60_000
    up = running.until("link up", running.lines.index(down))
    running.until("sampler reading", running.lines.index(up))
    early = listener(broker)
    early.subscribe("limpet/#")
    early.close()
    allow(broker)
    operator = listener(broker)  # the node may be back before it is: its session has all
    birth = wait_for_status(operator, lambda said: said["status"] == "online").json()
    assert birth["alerts"] == ["not-authorized-here"]
    wait_for_readings(operator, len(running.said("sampler reading")) - 1)
    cleared = operator.wait_for(f"{running.base}/alerts", timeout=30).json()
    assert (cleared["alert"], cleared["state"]) == ("not-authorized-here", "cleared")
    again = wait_for_status(operator, lambda said: "alerts" not in said).json()
    assert again["session"] == birth["session"]


def test_holding_can_be_switched_off(hears_nothing: Mosquitto, node: StartNode) -> None:
    """For a broker that never lets the node read its status, Readings go out all the same."""
    config = {"interval_s": 2, "hold_unheard": False}
    running = node(hears_nothing, speed=20, config=config)
    running.until("link up")
    running.until("sampler reading seq=3")
    assert running.stop() == 0
    assert any("/telemetry'" in line and "Denied PUBLISH" in line for line in hears_nothing.log)


@pytest.mark.parametrize(
    ("lines", "cause", "setting"),
    [
        ({"general": "retain_available false\n"}, "retain-refused", {"retain": False}),
        ({"listener": "\nmax_qos 0"}, "qos-refused", {"max_qos": 0}),
    ],
    ids=["retain", "qos"],
)
def test_what_a_broker_cannot_do_has_a_name_and_a_setting(
    stingy: Mosquitto,
    node: StartNode,
    monkeypatch: pytest.MonkeyPatch,
    lines: dict[str, str],
    cause: str,
    setting: dict[str, Any],
) -> None:
    """mosquitto closes without a word for a will that it cannot keep: the node finds out why."""
    configured(monkeypatch, **lines)
    stingy.start()
    running = node(stingy, speed=50, config={"interval_s": 2})
    down = running.until(f"link down cause={cause}")
    assert int(value(down, "retry_ms")) >= 60_000
    assert {value(line, "cause") for line in running.said("link down")} == {"closed", cause}
    # It is tried again as it should be, and named again.
    running.until(f"link down cause={cause}", running.lines.index(down) + 1)
    running.kill()

    operator = stingy.operator()
    running = node(stingy, speed=20, config={"interval_s": 2, **setting})
    running.until("link up")
    wait_for_readings(operator, 3)
    ping = {"id": "one", "action": "ping"}
    operator.publish(f"{running.base}/commands", ping, qos=setting.get("max_qos", 1))
    assert Commander(operator).response("one")["status"] == "executed"
    assert running.stop() == 0
    goodbye = wait_for_status(operator, lambda said: said["status"] == "offline").json()
    assert goodbye["reason"] == "shutdown"
    assert not running.said("link down")
