"""The metrics by their names: the page lists them, and Prometheus's conventions hold."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

import pytest
from limpet.doctor.figures import Numbers
from limpet.exporter.broker import Figures, limits
from limpet.exporter.metrics import MAX_ALERT_NAMES, Metrics, State
from limpet.heard.fleet import OTHER, Fleet
from limpet.heard.known import Known
from limpet.identity import consumers
from limpet.identity.provisioning import Setup
from limpet.ingest.consumer import Message
from limpet.shared.paths import REPO
from limpet.shared.problem import Problem
from prometheus_client.core import Metric
from support.brokers.running import base

# Suffixes that say a unit, or what is counted; Prometheus's own guide has the base units.
_ENDS = (
    "seconds bytes total limit dbm readings messages connections number info online up devices"
    " field raised"
)


class Saying:
    """A broker that says all there is to say."""

    kind = "mosquitto"

    def numbers(self) -> Numbers:
        """Return a figure for each."""
        known: dict[str, Any] = {each.name: 1.0 for each in fields(Numbers) if each.default is None}
        return Numbers(**known)


@pytest.fixture
def state(setup: Setup) -> State:
    """Make one of a fleet that has said nothing."""
    consumers.add(setup, "exporter", "read")
    known = Known(setup.layout.root, None, print)
    return State(Fleet(known.refresh()), known, cast(Figures, Saying()))


def metrics(state: State) -> list[Metric]:
    """Return all of them."""
    return list(Metrics(state).collect())


def test_the_page_lists_them(state: State) -> None:
    """Each by its name, with the help that Prometheus gets; and no other."""
    page = (REPO / "docs" / "metrics.md").read_text()
    told = dict(re.findall(r"^\| `(limpet_\w+)[^|]*\| (.+) \|$", page, re.MULTILINE))
    has = {
        each.name + ("_total" if each.type == "counter" else ""): each.documentation
        for each in metrics(state)
    }
    assert told == has


def test_conventions(state: State) -> None:
    """One prefix, a unit at the end, a sentence of help, each name once."""
    found = metrics(state)
    names = [each.name + ("_total" if each.type == "counter" else "") for each in found]
    assert len(set(names)) == len(names) > 30
    for each, name in zip(found, names, strict=True):
        assert re.fullmatch(r"limpet_[a-z_]+", name)
        assert name.rpartition("_")[2] in _ENDS.split(), name
        assert each.documentation.endswith("."), name


def test_a_registry_that_cannot_be_read(tmp_path: Path) -> None:
    """None at all is refused; one that breaks later leaves that of before, and is told once."""
    path, said = tmp_path / "devices.json", list[str]()
    with pytest.raises(Problem, match="There is no"):
        Known(None, path, said.append)
    path.write_text('{"node-1": "limpet/home/desk/climate/node-1"}')
    known = Known(None, path, said.append)
    assert list(known.refresh()) == ["node-1"]
    path.write_text("half a reg")
    assert list(known.refresh()) == list(known.refresh()) == ["node-1"]
    assert len(said) == 1
    assert limits(known, "mosquitto").connections > 0
    path.write_text('{"node-2": "limpet/home/desk/climate/node-2"}')
    assert list(known.refresh()) == ["node-2"]


def test_alerts_are_bounded(state: State) -> None:
    """A device that invents alerts brings no more than so many labels; what is cleared is gone."""
    for i in range(3 * MAX_ALERT_NAMES):
        for word in ("raised", "cleared"):
            said = {"v": 1, "ts": i, "alert": f"alert-{i}", "state": word}
            topic = f"{base()}/alerts"
            state.take(Message(topic, json.dumps(said).encode(), 1, 1), 1_790_000_000.0)
            found = samples(state, "limpet_alert_raised")
            assert len(found) == (1 if word == "raised" else 0)
    assert state.alert("alert-0") == "alert-0"
    assert state.alert("one-more") == OTHER


def test_a_trouble_is_its_number(state: State) -> None:
    """What was never seen, and what was lost, by the numbers that the help says."""
    said = {"v": 1, "status": "offline", "reason": "lost", "boot": 7, "session": 1}
    state.take(Message(f"{base()}/status", json.dumps(said).encode(), 1, 1), 1_790_000_000.0)
    found = samples(state, "limpet_trouble_number")
    assert (found["node-1"], found["node-2"]) == (1, 6)


def samples(state: State, name: str) -> dict[str, float]:
    """Return a metric's values by device."""
    (found,) = (each for each in metrics(state) if each.name == name)
    return {each.labels["device"]: each.value for each in found.samples}
