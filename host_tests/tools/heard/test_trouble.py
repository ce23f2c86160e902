"""Which device comes first where a fleet is shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from limpet.heard.fleet import Fleet
from limpet.heard.trouble import DROPPING_S, RESTART_S, TROUBLES, order, rank, trouble
from limpet.ingest.consumer import Message
from support.brokers.running import base

NOW = 1_790_000_500.0
ONLINE = {"v": 1, "status": "online", "boot": 7, "session": 1, "fw": "0.1.0"}


class Node:
    """A device that says things to a fleet of one."""

    def __init__(self) -> None:
        self.fleet = Fleet({"node-1": base()}, NOW)
        self.heard = self.fleet.devices["node-1"]

    def say(self, suffix: str, said: dict[str, Any], at: float = NOW) -> None:
        """Have it said at that time."""
        payload = json.dumps({"v": 1} | said).encode()
        self.fleet.take(Message(f"{base()}/{suffix}", payload, 1, 1), at)

    def health(self, said: dict[str, Any]) -> None:
        """Have it say its health."""
        self.say("health", {"up": 60, "interval_s": 10} | said)


def _offline(reason: str) -> Callable[[Node], None]:
    return lambda node: node.say("status", ONLINE | {"status": "offline", "reason": reason})


def _alert(node: Node) -> None:
    raised = {"ts": int(NOW), "alert": "sensor-silent", "state": "raised", "reason": "timeout"}
    node.say("alerts", raised)


def _healths(**fields: tuple[int, int]) -> Callable[[Node], None]:
    def say(node: Node) -> None:
        for i in range(2):
            node.health({name: values[i] for name, values in fields.items()})

    return say


@pytest.mark.parametrize(
    ("does", "later_s", "is_"),
    [
        (lambda node: None, 0, "online"),
        (lambda node: None, 3600, "silent"),
        (_alert, 0, "alert"),
        (_alert, 3600, "silent"),
        (_offline("lost"), 0, "lost"),
        (_offline("bugs"), 0, "lost"),
        (_offline("something-new"), 0, "lost"),
        (_offline("shutdown"), 0, "offline"),
        (_offline("reboot"), 0, "offline"),
        (_offline("reboot"), RESTART_S + 1, "lost"),
        (_healths(dropped=(0, 0), queued=(0, 3)), 0, "online"),
        (_healths(dropped=(3, 3), queued=(90, 80)), 0, "online"),
        (_healths(dropped=(0, 1), queued=(90, 99)), 0, "dropping"),
        (_healths(queued=(90, 99)), 0, "queueing"),
        (_healths(queued=(0, 11)), 0, "queueing"),
    ],
)
def test_what_counts(does: Callable[[Node], None], later_s: float, is_: str) -> None:
    """The worst of what is known of it."""
    node = Node()
    node.say("status", ONLINE)
    does(node)
    assert trouble(node.heard, NOW + later_s) == is_


def test_what_ends() -> None:
    """What was given up counts for an hour; a queue until it is shorter, or the node starts anew;
    an alert until it is cleared.
    """
    node = Node()
    node.say("status", ONLINE)
    _healths(dropped=(0, 1), queued=(50, 60))(node)
    later = NOW + DROPPING_S + 1
    node.say("telemetry", {"boot": 7, "seq": 1, "ts": int(later), "temperature": 20.0}, later)
    assert trouble(node.heard, later) == "queueing"
    node.say("status", ONLINE | {"boot": 8}, later)
    assert trouble(node.heard, later) == "online"
    _alert(node)
    node.say("alerts", {"ts": int(later), "alert": "sensor-silent", "state": "cleared"}, later)
    assert trouble(node.heard, later) == "online"


def test_the_order() -> None:
    """By trouble, and among the same by name as people count."""
    names = ["node-10", "node-2", "attic", "node-1"]
    fleet = Fleet({name: base(name) for name in names}, NOW)
    status = json.dumps(ONLINE | {"status": "offline", "reason": "lost"}).encode()
    fleet.take(Message(f"{base('node-10')}/status", status, 1, 1), NOW)
    found = sorted(names, key=lambda name: order(name, fleet.devices[name], NOW))
    assert found == ["node-10", "attic", "node-1", "node-2"]
    assert rank(fleet.devices["node-10"], NOW) == list(TROUBLES).index("lost")


def test_never_heard() -> None:
    """Nobody has seen it; one that is asleep is well."""
    node = Node()
    assert trouble(node.heard, NOW) == "unseen"
    node.say("status", ONLINE | {"status": "asleep", "wake_at": int(NOW) + 600})
    assert trouble(node.heard, NOW) == "asleep"
