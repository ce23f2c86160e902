"""What Home Assistant is told, and when: once, again where something has changed, and nothing by
mistake.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from limpet.heard.fleet import Fleet
from limpet.homeassistant.entries import ECHO_S, PACE_S, PATIENCE_S, Entries
from limpet.homeassistant.entry import PREFIX, Device, entry, entry_topic, problem_topic
from limpet.ingest.consumer import Message
from support.brokers.running import base

NOW = 1_790_000_500.0
ENTRY, PROBLEM = entry_topic(PREFIX, "node-1"), problem_topic(PREFIX, "node-1")


class World:
    """A fleet, and what the broker retains for Home Assistant."""

    def __init__(self, *names: str) -> None:
        self.bases = {name: base(name) for name in names or ("node-1",)}
        self.fleet = Fleet(self.bases, NOW)
        self.entries = Entries(PREFIX, {"limpet"})
        self.now = NOW
        self.kept: dict[str, bytes] = {}

    def says(
        self, suffix: str, retained: bool = False, device: str = "node-1", **what: Any
    ) -> None:
        """Have a device say something."""
        topic = f"{base(device)}/{suffix}"
        payload = json.dumps({"v": 1, "boot": 7} | what).encode()
        taken = self.fleet.take(Message(topic, payload, 1, 1, retained), self.now)
        assert taken
        self.entries.taken(topic, taken.readings, taken.events, self.fleet, self.now)

    def online(self, **what: Any) -> None:
        """Have node-1 say its birth, and a Reading."""
        self.says("status", status="online", session=1, fw="0.1.0")
        self.says("telemetry", seq=1, ts=int(NOW), **(what or {"temperature": 20.5}))

    def later(self) -> dict[str, Any]:
        """Return what is told when an entry may change again."""
        self.now += PACE_S
        return self.told()

    def told(self) -> dict[str, Any]:
        """Say what is due, have the broker pass it on, and return it by topic."""
        said: dict[str, Any] = {}
        for topic, payload in list(self.entries.due(self.bases, self.fleet, self.now, self.now)):
            self.entries.said(topic, payload, self.now)
            said[topic] = json.loads(payload) if payload else None
            self.kept[topic] = payload
            self.entries.retained(topic, payload)
        return said

    def reconnects(self) -> None:
        """Begin a connection, in which the broker tells what it retains."""
        self.entries.begin()
        for topic, payload in self.kept.items():
            if payload:
                self.entries.retained(topic, payload)

    def restarts(self) -> None:
        """Begin anew, as another process."""
        self.fleet = Fleet(self.bases, self.now)
        self.entries = Entries(PREFIX, {"limpet"})
        self.reconnects()


def test_once() -> None:
    """A device that was heard is told of; one that never was is not; nothing is said twice."""
    world = World("node-1", "node-2")
    assert world.told() == {}
    world.online()
    said = world.told()
    assert said.keys() == {ENTRY, PROBLEM}
    assert "temperature" in said[ENTRY]["cmps"]
    assert said[PROBLEM] == {"problem": "OFF", "trouble": "online", "alerts": []}
    assert world.told() == {}
    world.says("telemetry", seq=2, ts=int(NOW) + 10, temperature=20.6)
    assert world.told() == {}
    world.reconnects()
    assert world.told() == {}


def test_again_when_something_has_changed() -> None:
    """A field more, another firmware, the interval, and when Home Assistant has started."""
    world = World()
    world.online()
    world.told()
    world.says("telemetry", seq=2, ts=int(NOW) + 10, temperature=20.6, humidity=40)
    assert "humidity" in world.later()[ENTRY]["cmps"]
    world.says("health", up=1, interval_s=10)
    assert world.later()[ENTRY]["cmps"]["temperature"]["exp_aft"] == 60
    world.says("status", status="online", session=2, fw="0.2.0")
    assert world.later()[ENTRY]["dev"]["sw"] == "0.2.0"
    world.entries.again()
    assert world.told().keys() == {ENTRY, PROBLEM}
    world.bases["node-1"] = "limpet/home/attic/climate/node-1"
    assert world.later()[ENTRY]["dev"]["sa"] == "Attic"


def test_a_field_that_is_gone() -> None:
    """By a live Reading; a batch from before says nothing of now."""
    world = World()
    world.online(temperature=1, humidity=2)
    world.told()
    world.says("telemetry/backlog", seq=0, ts=int(NOW) - 10, dt=1, pressure=[1000])
    assert world.told() == {}
    world.says("telemetry", seq=2, ts=int(NOW) + 10, temperature=1)
    assert world.later()[ENTRY]["cmps"]["humidity"] == {"p": "sensor"}
    world.says("telemetry", seq=3, ts=int(NOW) + 20, temperature=1, humidity=2)
    assert "stat_cla" in world.later()[ENTRY]["cmps"]["humidity"]


def test_who_changes_all_the_time() -> None:
    """A device that names its fields anew with each Reading has one entry in ten seconds."""
    world = World()
    world.online()
    world.told()
    for seq in range(2, 12):
        world.now += 1
        field: dict[str, Any] = {f"x{seq % 2}": 1}
        world.says("telemetry", seq=seq, ts=int(NOW) + seq, **field)
        assert (ENTRY in world.told()) == (world.now == NOW + PACE_S)


def test_a_restart_takes_nothing_away() -> None:
    """What is retained is remembered until the device says something else."""
    world = World()
    world.online(temperature=1, humidity=2)
    world.says("health", up=1, interval_s=10)
    world.told()
    world.restarts()
    world.says("status", True, status="online", session=1, fw="0.1.0")
    assert world.told() == {}
    world.says("telemetry", seq=9, ts=int(NOW) + 90, temperature=1, humidity=3)
    world.says("health", up=1, interval_s=10)
    assert world.told() == {}


def test_patience() -> None:
    """A device that says no Reading, as in safe mode, is told of after a while, without a field."""
    world = World()
    world.says("status", status="online", session=1, fw="0.1.0", mode="safe")
    assert world.told() == {}
    world.now += PATIENCE_S
    found = world.told()[ENTRY]["cmps"]
    assert "node-reboot" in found
    assert not [key for key in found if not key.startswith("node-")]


def test_who_leaves() -> None:
    """Both Messages are cleared, also of who has left while nobody was there to tell it; what is
    somebody else's stays.
    """
    world = World("node-1", "node-2")
    world.online()
    world.told()
    elsewhere, foreign = (entry_topic(PREFIX, name) for name in ("node-8", "lamp"))
    problem = problem_topic(PREFIX, "node-8")
    other = entry(PREFIX, "node-8", Device("farm/south/well/water/node-8"))[0]
    world.kept |= {
        elsewhere: other,
        problem: b"{}",
        foreign: b'{"o":{"name":"zigbee2mqtt"},"dev":{},"cmps":{}}',
    }
    del world.bases["node-1"]
    world.restarts()
    assert world.told() == {ENTRY: None, PROBLEM: None}
    assert world.told() == {}
    world.entries.again()  # Home Assistant was away meanwhile
    assert world.told() == {ENTRY: None, PROBLEM: None}
    assert world.told() == {}
    world.bases["node-1"] = base("node-1")
    world.fleet.known(world.bases)
    world.online()
    assert world.told()[ENTRY]["dev"]["name"] == "node-1"
    world.entries.again()
    assert all(world.told().values())


def test_troubles() -> None:
    """An alert, silence, an end that nobody wanted; not a goodbye, nor sleep."""
    world = World()
    world.online()
    world.says("health", up=1, interval_s=10)
    world.told()
    world.says("alerts", ts=int(NOW), alert="no-time", state="raised")
    assert world.told()[PROBLEM] == {"problem": "ON", "trouble": "alert", "alerts": ["no-time"]}
    world.says("alerts", ts=int(NOW), alert="no-time", state="cleared")
    assert world.told()[PROBLEM]["problem"] == "OFF"
    world.now += 61
    assert world.told()[PROBLEM] == {"problem": "ON", "trouble": "silent", "alerts": []}
    world.says("status", status="offline", session=1, reason="shutdown")
    assert world.told()[PROBLEM]["problem"] == "OFF"
    world.says("status", status="online", session=2, fw="0.1.0")
    world.says("status", status="offline", session=2, reason="lost")
    assert world.told()[PROBLEM] == {"problem": "ON", "trouble": "lost", "alerts": []}


def test_sleep() -> None:
    """A value of one that sleeps counts for as long as it sleeps, and longer."""
    world = World()
    world.online()
    world.says("health", up=1, interval_s=10)
    world.told()
    world.says("status", status="asleep", session=1, wake_at=int(NOW) + 600)
    assert world.later()[ENTRY]["cmps"]["temperature"]["exp_aft"] == 3 * 600 + 120
    world.restarts()
    world.says("status", True, status="asleep", session=1, wake_at=int(NOW) + 600)
    world.says("health", up=1, interval_s=10)
    world.told()
    assert json.loads(world.kept[ENTRY])["cmps"]["temperature"]["exp_aft"] == 3 * 600 + 120


def test_an_interval_that_home_assistant_has_set() -> None:
    """Its Response counts, as the next health may be minutes away; no other Response does."""
    world = World()
    world.online()
    world.says("health", up=1, interval_s=10)
    world.told()

    def answers(name: str, seconds: Any, status: str = "executed") -> dict[str, Any]:
        result = {"seconds": seconds}
        world.says("commands/response", id=name, status=status, ts=1, result=result)
        return world.later()

    assert answers("ha-identify-1", 5) == {}
    assert answers("ha-interval-1", 0) == {}
    assert answers("ha-interval-1", "x") == {}
    assert answers("ha-interval-2", 600, "failed") == {}
    said = answers("ha-interval-3", 600)
    assert said[ENTRY]["cmps"]["temperature"]["exp_aft"] == 1830


@pytest.mark.parametrize("passed_on", [True, False])
def test_what_the_broker_drops(passed_on: bool) -> None:
    """It is noticed by what does not come back."""
    world = World()
    world.online()
    for topic, payload in list(world.entries.due(world.bases, world.fleet, NOW, NOW)):
        world.entries.said(topic, payload, NOW)
        if passed_on:
            world.entries.retained(topic, payload)
    assert world.entries.dropped(NOW + 1) == ""
    assert world.entries.dropped(NOW + ECHO_S + 1) == ("" if passed_on else ENTRY)
    assert world.told() == {}
