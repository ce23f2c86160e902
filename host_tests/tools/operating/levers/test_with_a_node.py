"""Each lever, with a real node, a real broker and what is between them: nothing that was taken is
lost, and the node says why it was away.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from limpet.boards import laptop_sensors
from limpet.brokers.embedded.broker import EmbeddedBroker
from limpet.identity import device_config
from limpet.identity.provisioning import Setup
from limpet.operating.levers import faults
from limpet.operating.levers.bench import Bench
from limpet.operating.levers.levers import Levers
from limpet.operating.operator_client import Arrival, OperatorClient
from limpet.operating.where import Where
from support import wire_readings
from support.brokers.kinds import Embedded
from support.brokers.mqtt_client import Client
from support.brokers.running import base
from support.nodes import (
    FAST,
    TIMEOUT_S,
    Node,
    newest,
    offline,
    online,
    readings,
    value,
    wait_for_readings,
    wait_for_status,
)
from support.patched import patient

SPEED = 20
# At that speed a handshake has 5 real seconds, and an answer 3.
PATIENT: dict[str, Any] = FAST | {"handshake_s": 100}


class Demo:
    """What `limpet run` puts together: a broker, the bench, and a node that is not started yet."""

    def __init__(self, setup: Setup, folder: Path, table: str, own: bool, **config: Any) -> None:
        self.broker = Embedded(setup)
        self.broker.embedded = EmbeddedBroker(setup.layout.root)
        self.broker.start()
        self.operator = self.broker.operator()
        self.bench = Bench(laptop_sensors.setting(table)).__enter__()
        root = self.broker.image(folder / "flash", "node-1", **{**PATIENT, **config})
        self.node = Node(
            root,
            "node-1",
            speed=SPEED,
            sensors=laptop_sensors.setting(table),
            levers=self.bench.file,
            on_line=self.bench.node_said,
            firmware=patient(folder / "firmware", SPEED * 0.3),
        )
        broker = self.broker.embedded if own else None
        self.levers: Levers = self.bench.wired(self.node, self.broker.port, broker)
        self.told: list[str] = []
        self.levers.on_change(self._hear)
        device_config.write(root, device_config.read(root) | {"port": self.bench.port})

    def _hear(self, text: str) -> None:
        if self.told or not text.startswith("The node boots"):  # the first time
            self.told.append(text)

    def close(self) -> None:
        """End all of it."""
        self.node.kill()
        print("its last lines:", *self.node.lines[-100:], sep="\n")  # where a test fails
        self.bench.__exit__()
        self.broker.close()

    def on(self, name: str) -> bool:
        """Whether a lever is on."""
        return {each["name"]: bool(each["on"]) for each in self.levers.describe()}[name]

    def taken_from_now(self, count: int) -> int:
        """Wait until so many Readings more are taken; the number of the last one."""
        self.node.until("sampler reading ")  # a Reading may be quicker than its line in the log
        upto = newest(self.node.lines) + count
        self.node.until(f"sampler reading seq={upto} ")
        return upto


StartDemo = Callable[..., Demo]


@pytest.fixture
def demo(setup: Setup, tmp_path: Path) -> Iterator[StartDemo]:
    """Put one together."""
    made: list[Demo] = []

    def start(table: str = "dht22", own: bool = True, **config: Any) -> Demo:
        made.append(Demo(setup, tmp_path, table, own, **config))
        return made[-1]

    yield start
    for each in made:
        each.close()


def wait_for_reading(operator: Client, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Wait for a Reading that came by itself."""
    found: list[dict[str, Any]] = []

    def fits(message: Any) -> bool:
        said = message.json()
        if "dt" not in said and wanted(said):
            found.append(said)
        return bool(found)

    operator.wait_for(f"{base()}/telemetry", fits, TIMEOUT_S)
    return found[0]


def test_sliders_change_the_readings(demo: StartDemo) -> None:
    """What was set before the boot is in the first Reading; a jump comes soon, and leaves the other
    field as captured; null gives the capture back. No checksum is wrong by it, and nothing silent.
    """
    running = demo()
    levers, operator = running.levers, running.operator
    levers.set("dht22-temperature", -20)
    running.node.start()
    first = wait_for_reading(operator, lambda said: True)
    assert first["temperature"] == -20
    assert 40 < first["humidity"] < 50
    running.taken_from_now(1)
    levers.set("dht22-temperature", 61.3)
    levers.set("dht22-humidity", 99.9)
    wait_for_reading(operator, lambda said: (said["temperature"], said["humidity"]) == (61.3, 99.9))
    levers.set("dht22-temperature", None)
    levers.set("dht22-humidity", None)
    wait_for_reading(operator, lambda said: said["seq"] and 20 < said["temperature"] < 30)
    assert not running.node.said("error reason=checksum")
    assert not running.node.said("error reason=no-response")
    assert not running.node.said("LIMPET_LEVERS")


def test_unplugged_sensor_is_null_and_an_alert(demo: StartDemo) -> None:
    """The other one is read as before; plugged in again it has values, and the alert is cleared."""
    running = demo("dht22,ds18b20:outdoor")
    running.node.start()
    name, alerts = "ds18b20-outdoor-unplugged", f"{base()}/alerts"
    wait_for_reading(running.operator, lambda said: said["outdoor_temperature"] is not None)
    running.levers.set(name, True)
    without = wait_for_reading(running.operator, lambda said: said["outdoor_temperature"] is None)
    assert without["temperature"] is not None
    raised = running.operator.wait_for(alerts, lambda m: m.json()["state"] == "raised", TIMEOUT_S)
    assert raised.json()["alert"] == "outdoor-sensor-silent"
    running.levers.set(name, False)
    cleared = running.operator.wait_for(alerts, lambda m: m.json()["state"] == "cleared", TIMEOUT_S)
    assert cleared.json()["alert"] == "outdoor-sensor-silent"
    wait_for_reading(
        running.operator,
        lambda said: said["seq"] > without["seq"] and said["outdoor_temperature"] is not None,
    )
    assert running.told == [
        "The DS18B20 outdoor is unplugged.",
        "The DS18B20 outdoor is plugged in again.",
    ]


def test_bad_checksums_are_counted(demo: StartDemo) -> None:
    """Health tells them by that name; no damaged value is ever a Reading."""
    running = demo("dht22,ds18b20:outdoor", health_s=10)
    running.levers.set("dht22-humidity", 77)
    running.node.start()
    wait_for_reading(running.operator, lambda said: said["humidity"] == 77)
    running.levers.set("dht22-bad_checksums", True)

    def counted(message: Any) -> bool:
        return message.json()["read_errors"].get("checksum", 0) >= 2

    running.operator.wait_for(f"{base()}/health", counted, TIMEOUT_S)
    running.levers.set("dht22-bad_checksums", False)
    count = len(readings(running.operator))
    wait_for_reading(
        running.operator,
        lambda said: said["humidity"] == 77 and len(readings(running.operator)) > count,
    )
    assert {each["humidity"] for each in readings(running.operator)} <= {77, None}


@pytest.mark.long
def test_pulled_network_is_noticed_and_made_up_for(demo: StartDemo) -> None:
    """No answer, and then no connection, for TCP itself hears nothing: the node says both. Its
    Readings wait on flash, and all of them come once it is plugged in.
    """
    running = demo()
    running.node.start()
    wait_for_readings(running.operator, 4)
    running.levers.set("network", True)
    since = len(running.node.lines)
    down = running.node.until("link down", since=since)
    assert value(down, "cause") in ("puback-timeout", "ping-timeout", "suback-timeout")
    running.node.until("cause=tcp-timeout", since=since)
    last = running.taken_from_now(20)
    heard = max(each["seq"] for each in readings(running.operator))
    assert heard < last - 20
    running.levers.set("network", False)
    running.node.until("link up", since=since)
    wait_for_readings(running.operator, last + 3)
    late = running.operator.seen(f"{base()}/telemetry/backlog")
    assert late
    assert not running.node.said("cause=tcp-refused")
    assert running.told == ["The network is pulled.", "The network is plugged in again."]


@pytest.mark.long
def test_killed_broker_is_gone_and_comes_back(demo: StartDemo, setup: Setup) -> None:
    """Connections end and are refused, an operator's too. Back on its port, without sessions, it
    lets the node in when that operator listens again: who shows what comes misses nothing.
    """
    running = demo()
    running.operator.close()  # which does not come back by itself
    arrivals: list[Arrival] = []
    with OperatorClient(Where(setup.layout.root), arrivals.append) as watching:
        watching.connect()
        watching.subscribe(["limpet/#"])
        running.node.start()
        for turn in range(2):
            running.taken_from_now(4)
            since = len(running.node.lines)
            running.levers.set("broker", True)
            down = running.node.until("link down", since=since)
            assert value(down, "cause") == "closed"
            running.node.until("cause=tcp-refused", since=since)
            running.taken_from_now(10)
            running.levers.set("broker", False)
            running.node.until("link up", since=since)
            assert running.told[turn * 2 :] == ["The broker is killed.", "The broker is back."]
        last = running.taken_from_now(3)

        def there() -> set[int]:
            said = [json.loads(each.payload) for each in arrivals if "/telemetry" in each.topic]
            return {each["seq"] for message in said for each in wire_readings.expanded(message)}

        deadline = monotonic() + TIMEOUT_S
        while not there() >= set(range(last + 1)):
            assert monotonic() < deadline, set(range(last + 1)) - there()
            sleep(0.05)


def test_who_listens_to_the_broker(demo: StartDemo) -> None:
    """Who is connected and has subscribed, by his id; nobody, where it does not run."""
    running = demo()
    broker = running.broker.embedded
    silent = running.broker.client("node-2").connect()
    assert broker.subscribers() == {running.operator.name}
    silent.subscribe("limpet/home/desk/climate/node-2/commands")
    assert broker.subscribers() == {running.operator.name, "node-2"}
    silent.close()
    deadline = monotonic() + TIMEOUT_S
    while broker.subscribers() != {running.operator.name}:
        assert monotonic() < deadline
        sleep(0.05)
    running.levers.set("broker", True)
    assert broker.subscribers() == set()


@pytest.mark.long
def test_broker_of_somebody_else_goes_on(demo: StartDemo) -> None:
    """The node alone is refused, and heard again by who listened all the time."""
    running = demo(own=False)
    running.node.start()
    wait_for_readings(running.operator, 4)
    since = len(running.node.lines)
    running.levers.set("broker", True)
    assert value(running.node.until("link down", since=since), "cause") == "closed"
    running.node.until("cause=tcp-refused", since=since)
    wait_for_status(running.operator, offline)
    last = running.taken_from_now(10)
    running.levers.set("broker", False)
    running.node.until("link up", since=since)
    wait_for_readings(running.operator, last + 3)
    birth = wait_for_status(running.operator, lambda said: online(said) and said.get("outage"))
    assert birth.json()["outage"]["cause"] == "closed"


@pytest.mark.long
def test_who_listened_and_does_not_come_back_is_not_waited_for(
    demo: StartDemo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node is let in after a while; a broker that is killed meanwhile lets nobody in."""
    monkeypatch.setattr(faults, "LISTENERS_S", 3)
    running = demo()
    running.node.start()
    wait_for_readings(running.operator, 2)
    since = len(running.node.lines)
    for _ in range(2):
        running.levers.set("broker", True)
        running.levers.set("broker", False)
    running.levers.set("broker", True)
    running.node.until("cause=tcp-refused", since=since)
    running.levers.set("broker", False)
    running.node.until("link up", since=since)


@pytest.mark.long
def test_stalled_tls_is_given_up_and_tried_again(demo: StartDemo) -> None:
    """TCP is through, and the handshake's time runs out; once it goes on, all Readings come."""
    running = demo()
    running.node.start()
    wait_for_readings(running.operator, 4)
    since = len(running.node.lines)
    running.levers.set("tls", True)
    assert value(running.node.until("link down", since=since), "cause") == "closed"
    running.node.until("cause=tls-timeout", since=since)
    wait_for_status(running.operator, offline)
    last = newest(running.node.lines)
    running.levers.set("tls", False)
    running.node.until("link up", since=since)
    wait_for_readings(running.operator, last + 3)
    assert running.told == ["TLS is stalled.", "TLS handshakes go on again."]


@pytest.mark.long
def test_power_cuts_lose_nothing_that_was_acknowledged(demo: StartDemo) -> None:
    """Each boot has the next number, and what came of it is without a gap in the end: who sent a
    Reading had sent or kept those before it.
    """
    running = demo()
    running.node.start()
    since = 0
    for _ in range(3):
        running.node.until("link up", since=since)
        running.node.until("sampler reading seq=4 ", since=since)
        since = len(running.node.lines)
        running.levers.set("power", True)
        running.node.until("node boot=", since=since)
    running.node.until("link up", since=since)
    boots = [int(value(line, "boot")) for line in running.node.said("node boot=")]
    assert boots == [boots[0] + number for number in range(4)]
    assert all("reset=power-on" in line for line in running.node.said("node boot="))

    def without_a_gap(_: Any) -> bool:
        arrived = readings(running.operator)
        there = [{each["seq"] for each in arrived if each["boot"] == boot} for boot in boots]
        return all(each and each == set(range(len(each))) for each in there)

    running.operator.wait_for(f"{base()}/telemetry/#", without_a_gap, TIMEOUT_S)
    assert not running.on("power")
    told = [f"The node boots: boot {boot}, power-on." for boot in boots[1:]]
    assert running.told == [text for each in told for text in ("The power is cut.", each)]


@pytest.mark.long
def test_power_cut_without_a_network(demo: StartDemo) -> None:
    """What had waited on flash comes after the next boot, under the name of its own."""
    running = demo()
    running.node.start()
    wait_for_readings(running.operator, 2)
    running.levers.set("network", True)
    last = running.taken_from_now(10)
    since = len(running.node.lines)
    running.levers.set("power", True)
    running.node.until("node boot=", since=since)
    running.levers.set("network", False)
    running.node.until("link up", since=since)
    boot = int(value(running.node.said("node boot=")[0], "boot"))
    # What was taken 10 s before the cut and earlier is on flash by then.
    wanted = set(range(last - 4))

    def all_there(_: Any) -> bool:
        there = {each["seq"] for each in readings(running.operator) if each["boot"] == boot}
        return wanted <= there

    running.operator.wait_for(f"{base()}/telemetry/#", all_there, TIMEOUT_S)


@pytest.mark.long
def test_faults_at_the_same_time(demo: StartDemo) -> None:
    """Who is behind a pulled cable learns of nothing else; each is over by itself, in any order."""
    running = demo()
    running.node.start()
    wait_for_readings(running.operator, 2)
    running.operator.close()  # else the node would wait for it
    since = len(running.node.lines)
    for name in ("network", "tls", "broker"):
        running.levers.set(name, True)
    running.node.until("cause=tcp-timeout", since=since)
    assert not [line for line in running.node.lines[since:] if "cause=tcp-refused" in line]
    running.levers.set("network", False)
    running.node.until("cause=tcp-refused", since=since)
    running.levers.set("broker", False)
    after = running.broker.operator()
    running.node.until("cause=tls-timeout", since=since)
    last = newest(running.node.lines)
    assert not [line for line in running.node.lines[since:] if "link up" in line]
    running.levers.set("tls", False)
    running.node.until("link up", since=since)
    wait_for_readings(after, last + 2, since=last)
    assert json.dumps(running.levers.describe())
