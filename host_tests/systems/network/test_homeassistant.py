"""Home Assistant itself with a real node: what it sees of it, has it do, and when it forgets it.

`make homeassistant` installs it and runs this; nothing else does.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from limpet.identity import consumers
from limpet.identity.provisioning import Setup
from support.brokers.mqtt_client import Client
from support.brokers.running import KIND, RunningBroker, base
from support.hass import installing
from support.hass.hass import Hass, States
from support.nodes import StartNode, offline, online, wait_for_status
from support.tool import Tool

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(os.environ.get("HA") != "1", reason="make homeassistant runs it"),
]
TELLER, HASS = "homeassistant", "hass"
# The embedded broker speaks no other than the first.
PROTOCOL = "3.1.1" if KIND == "amqtt" else "5"
FORGED = {
    "dev": {"ids": ["x"], "name": "x"},
    "o": {"name": "x"},
    "cmps": {"x": {"p": "sensor", "uniq_id": "x", "stat_t": "x", "def_ent_id": "sensor.forged"}},
}
CONFIG = {"interval_s": 2, "health_s": 10}
TEMPERATURE = "sensor.node_1_temperature"


@pytest.fixture
def told(setup: Setup) -> None:
    """Make the identities of both programs."""
    consumers.add(setup, TELLER, "discovery")
    consumers.add(setup, HASS, "home-assistant")


@pytest.fixture
def hass(told: None, broker: RunningBroker, tmp_path: Path) -> Iterator[Hass]:
    """Run one that is connected to the broker."""
    with Hass(installing.installed(), tmp_path / "hass") as running:
        running.onboard()
        running.add_mqtt(broker.host, broker.port, broker.setup.layout, HASS, PROTOCOL)
        yield running
        running.stop()
        print(f"Home Assistant took {running.cpu_s:.1f} s of CPU and {running.rss_mb} MB")


def service(broker: RunningBroker, *more: str) -> Tool:
    """Start `limpet homeassistant`."""
    fleet = str(broker.setup.layout.root)
    at = ("--broker", broker.host, "--port", str(broker.port))
    tool = Tool("homeassistant", "--fleet", fleet, *at, *more)
    return tool


def number(state: str | None) -> bool:
    """Whether a state is a value."""
    return state not in (None, "unknown", "unavailable")


def last(operator: Client, suffix: str) -> dict[str, object]:
    """Return the newest payload on a topic of node-1."""
    found = [each for each in operator.messages if each.topic == f"{base()}/{suffix}"]
    return dict(found[-1].json())


def test_a_real_node(hass: Hass, broker: RunningBroker, node: StartNode) -> None:
    """It finds the node, shows what it says, and has it do things; what is away is unavailable."""
    operator = broker.operator()
    with service(broker) as tool:
        running = node(broker, config=CONFIG)
        states = hass.until(
            lambda states: (
                number(states.get(TEMPERATURE)) and number(states.get("sensor.node_1_heap"))
            )
        )
        said = [each.json() for each in operator.messages if each.topic == f"{base()}/telemetry"]
        assert float(states[TEMPERATURE]) in {each["temperature"] for each in said}
        _described(hass, states)
        _commanded(hass, operator)

        boot = last(operator, "status")["boot"]
        hass.call("button", "press", entity_id="button.node_1_reboot")
        wait_for_status(operator, lambda status: online(status) and status["boot"] != boot)
        running.kill()
        wait_for_status(operator, offline)
        states = hass.until(lambda states: states.get(TEMPERATURE) == "unavailable")
        hass.state("binary_sensor.node_1_connection", "off")
        hass.state("binary_sensor.node_1_problem", "on")
        assert states["button.node_1_reboot"] == "unavailable"
        again = node(broker, config=CONFIG)
        again.until("link up ")
        hass.until(lambda states: number(states.get(TEMPERATURE)))
        hass.state("binary_sensor.node_1_connection", "on")
        again.kill()
        tool.interrupt()
        assert tool.end() == 0
        assert "Traceback" not in tool.text


def _described(hass: Hass, states: States) -> None:
    """All that there is of a node, by its class and unit, and where it is."""
    assert states["binary_sensor.node_1_connection"] == "on"
    assert states["binary_sensor.node_1_problem"] == "off"
    assert states["sensor.node_1_rssi"] == "unknown"  # a laptop's node has none
    assert states["number.node_1_interval"] == "2"
    assert states["update.node_1_firmware"] == "off"
    for name in ("heap", "uptime", "queued"):
        assert number(states[f"sensor.node_1_{name}"])
    about = hass.attributes(TEMPERATURE)
    assert about["unit_of_measurement"] == "°C"
    assert about["device_class"] == "temperature"
    assert about["state_class"] == "measurement"
    wanted = ("manufacturer", "name", "model", "sw_version")
    device = [hass.rendered(f"{{{{ device_attr('{TEMPERATURE}', '{each}') }}}}") for each in wanted]
    assert device[:3] == ["Limpet", "node-1", "Climate"]
    assert device[3] == hass.attributes("update.node_1_firmware")["installed_version"]
    assert hass.rendered(f"{{{{ area_name('{TEMPERATURE}') }}}}") == "Desk"


def _commanded(hass: Hass, operator: Client) -> None:
    """Each press is a Command of its own; the interval is the node's."""
    for _ in range(2):
        hass.call("button", "press", entity_id="button.node_1_identify")
    hass.call("number", "set_value", entity_id="number.node_1_interval", value=3)
    topic = f"{base()}/commands/response"

    def answered(of: str) -> list[dict[str, object]]:
        return [each.json() for each in operator.seen(topic) if each.json()["id"].startswith(of)]

    operator.wait_for(topic, lambda _: bool(answered("ha-interval-")))
    (interval,) = answered("ha-interval-")
    assert (interval["status"], interval["result"]) == ("executed", {"seconds": 3})
    operator.wait_for(topic, lambda _: len(answered("ha-identify-")) == 2)
    one, other = answered("ha-identify-")
    assert {one["status"], other["status"]} == {"executed"}
    assert one["id"] != other["id"]
    operator.wait_for(f"{base()}/health", lambda message: message.json()["interval_s"] == 3, 60)
    hass.state("number.node_1_interval", "3")


def test_what_comes_late_is_not_now(hass: Hass, broker: RunningBroker) -> None:
    """A batch sets no value, `null` is unknown, a device asleep is not offline; what leaves the
    registry leaves Home Assistant, also when nobody tells it at that moment. What a device says of
    itself to Home Assistant is heard by nobody.
    """
    device = broker.client().connect()

    def says(suffix: str, retain: bool = False, **what: object) -> None:
        device.publish(f"{base()}/{suffix}", {"v": 1, "boot": 1, **what}, retain=retain)

    device.offer("homeassistant/device/node-1/config", json.dumps(FORGED), retain=True)
    with service(broker) as tool:
        tool.wait_for("connected to ")
        says("status", True, status="online", session=1, fw="0.0.1", reset="power-on")
        says("telemetry", seq=0, ts=1, temperature=20.5, items=7)
        # Before that what a device says now is not heard.
        hass.state(TEMPERATURE, "unknown")
        hass.state("update.node_1_firmware", "on")
        assert "sensor.forged" not in hass.states()
        says("telemetry", seq=1, ts=2, temperature=20.5, items=7)
        hass.state(TEMPERATURE, "20.5")
        hass.state("sensor.node_1_items", "7")
        says("telemetry/backlog", seq=2, ts=3, dt=1, temperature=[1.5, 2.5], items=[1, 2])
        says("telemetry", seq=4, ts=5, temperature=[1.5, 2.5], items=[1, 2], dt=1)
        says("telemetry", seq=6, ts=7, temperature=20.5, items=None)
        hass.state("sensor.node_1_items", "unknown")
        assert hass.states()[TEMPERATURE] == "20.5"
        says("status", True, status="asleep", session=1, wake_at=4_000_000_000)
        says("telemetry", seq=7, ts=8, temperature=20.5, items=8)
        hass.state("sensor.node_1_items", "8")
        assert hass.states()["binary_sensor.node_1_connection"] == "on"
        says("alerts", ts=9, alert="no-time", state="raised")
        hass.state("binary_sensor.node_1_problem", "on")
        assert hass.attributes("binary_sensor.node_1_problem")["alerts"] == ["no-time"]

        hass.stop()
        hass.start()
        tool.wait_for("Home Assistant has started: it is told again")
        hass.state("binary_sensor.node_1_connection", "on")
        tool.interrupt()
        assert tool.end() == 0
    broker.setup.revoke("node-1")
    broker.reload()
    assert TEMPERATURE in hass.states()
    with service(broker):
        hass.until(lambda states: not [each for each in states if "node_1" in each])
