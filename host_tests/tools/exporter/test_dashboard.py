"""The dashboard for Grafana: each of its queries is parsed, and answered by a real Prometheus.

Grafana itself is not here: under the AGPL, and in no Debian. That its file is one is the doing of
grafana-foundation-sdk, which makes it and reads it again.
"""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import fields as fields_of
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest
from grafana_foundation_sdk.models.dashboard import Dashboard
from limpet.doctor.figures import Numbers
from limpet.exporter.broker import Figures
from limpet.exporter.metrics import State
from limpet.exporter.metrics import registry as registry_of
from limpet.exporter.serving import Serving
from limpet.heard.fleet import Fleet
from limpet.heard.known import Known
from limpet.heard.trouble import TROUBLES
from limpet.identity import consumers
from limpet.identity.provisioning import Setup
from limpet.ingest.consumer import Message
from limpet.shared.paths import ALERTS, DASHBOARD
from support import prometheus
from support.brokers.running import base
from support.exporting import NAME, Saying, mosquitto, start, until, url
from support.nodes import IN_ORDER, StartNode
from support.tool import TIMEOUT_S, Tool, limpet

__all__ = ["mosquitto", "start"]

# What a person chooses at first, as Grafana puts it in; and more than a test takes as the range.
CHOSEN = {
    "$__rate_interval": "1m", "$__range": "10m", "$most": "10", "$field": "temperature",
    "$site": ".*", "$zone": ".*", "$device": ".*",
}  # fmt: skip
MOST = int(CHOSEN["$most"])
MANY = 500
# What there is nothing of with nodes on a PC, behind mosquitto; the fleet of MANY has it.
ELSEWHERE = {
    4: "nobody is silent within a minute",
    35: "a PC has no Wi-Fi",
    36: "a PC has no Wi-Fi",
    44: "a PC has no ESP-IDF",
}
ELSEWHERE_TOO = {
    (3, "H"): "a PC has no Wi-Fi",
    (66, "logins refused"): "mosquitto does not count them",
}


class Asked(NamedTuple):
    """A query of a panel, with what was chosen put in."""

    panel: int
    title: str
    legend: str
    expr: str
    lines: bool


def panels() -> Iterator[dict[str, Any]]:
    """Yield all panels that are no rows."""
    for each in json.loads(DASHBOARD.read_text())["panels"]:
        if each["type"] == "row":
            yield from each.get("panels", ())
        else:
            yield each


def queries() -> list[Asked]:
    """Return all queries."""
    found = []
    for panel in panels():
        for target in panel["targets"]:
            expr = target["expr"]
            for name, value in CHOSEN.items():
                expr = expr.replace(name, value)
            lines = panel["type"] == "timeseries"
            legend = target.get("legendFormat", target["refId"])
            found.append(Asked(panel["id"], panel["title"], legend, expr, lines))
    return found


def variables() -> list[tuple[str, str, str]]:
    """Return the names of the variables that Prometheus is asked for, the series, and the label."""
    found = []
    for each in json.loads(DASHBOARD.read_text())["templating"]["list"]:
        if each["type"] == "query":
            asked = re.fullmatch(r"label_values\((.+), (\w+)\)", each["query"])
            assert asked, each
            series = asked[1]
            for name, value in CHOSEN.items():
                series = series.replace(name, value)
            found.append((each["name"], series, asked[2]))
    return found


def test_the_file_is_one() -> None:
    """The kit that makes it reads it again; its id is what links hold on to."""
    found = json.loads(DASHBOARD.read_text())
    read = Dashboard.from_json(found)
    assert read.uid == "limpet-fleet"
    assert {each["name"] for each in found["templating"]["list"]} == {
        "datasource", "site", "zone", "device", "field", "most",
    }  # fmt: skip
    assert "id" not in found
    assert "$datasource" in json.dumps(found) or "${datasource}" in json.dumps(found)


def test_the_panels() -> None:
    """Each has an id of its own, a title, a unit, and a place that no other one has."""
    every = json.loads(DASHBOARD.read_text())["panels"]
    found = [*every, *(each for row in every for each in row.get("panels", ()))]
    ids = [each["id"] for each in found]
    assert len(ids) == len(set(ids)) > 40
    places: set[tuple[int, int]] = set()
    for panel in panels():
        assert panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"]["uid"] == "${datasource}"
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
    for panel in (each for each in every if each["type"] != "row"):
        at = panel["gridPos"]
        squares = set(
            itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"]))
        )
        assert not squares & places, panel["title"]
        places |= squares


def test_the_dashboard_is_printed(tmp_path: Path) -> None:
    """As it is, where there is no fleet; and one file at a time."""
    done = limpet("exporter", "--dashboard", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == DASHBOARD.read_text()
    done = limpet("exporter", "--dashboard", "--rules", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")


def test_promtool_parses_each(tmp_path: Path) -> None:
    """Each query, as a rule of its own."""
    rules = [{"record": f"q:{i}", "expr": each.expr} for i, each in enumerate(queries())]
    file = tmp_path / "queries.json"  # which is YAML too
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    line = [*prometheus.command("promtool"), "check", "rules", str(file)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout


class Figured:
    """A broker that says all there is to say."""

    kind = "mosquitto"

    def numbers(self) -> Numbers:
        """Return a figure for each."""
        known: dict[str, Any] = {
            each.name: 1.0 for each in fields_of(Numbers) if each.default is None
        }
        return Numbers(**known)


@pytest.fixture
def many(setup: Setup) -> State:
    """Make a fleet of MANY that has said all there is to say; some are silent."""
    consumers.add(setup, NAME, "read")
    known = Known(setup.layout.root, None, print)
    one = known.registry.devices["node-1"]
    places = {f"n-{i}": f"limpet/site-{i % 3}/zone-{i % 7}/climate/n-{i}" for i in range(MANY)}
    known.registry.devices.update({name: replace(one, base=at) for name, at in places.items()})
    return State(Fleet(places, time.time()), known, cast(Figures, Figured()))


def say_all(state: State, round: int) -> None:
    """Have each device say its status, a Reading and its health, of that round."""
    now, bases = time.time(), state.base_topics()
    for i, name in enumerate(state.fleet.devices):
        status: dict[str, Any] = {
            "status": "online",
            "boot": 7,
            "session": 1 + round,
            "fw": "0.1.0",
        }
        if i % 50 == 7:
            status |= {"status": "asleep", "wake_at": int(now) - 900}
        health = {
            "up": 60 + round, "interval_s": 10, "queued": i, "dropped": i * round, "reads": round,
            "handshake_ms": 900 + i, "ping_ms": 20 + i, "rssi": -40 - i % 50, "heap": 90_000 - i,
            "heap_min": 80_000 - i, "idf": 60_000 - i, "idf_largest": 30_000 - i,
            "flash_errors": round, "bugs": round, "downs": {"no-ap": i * round + 1},
            "read_errors": {"timeout": round + 1},
        }  # fmt: skip
        reading = {"boot": 7, "seq": 2 * round, "ts": int(now), "temperature": 20 + i / 10}
        alert = {"ts": int(now), "alert": "no-time", "state": "raised"}
        said = {"status": status, "health": health, "telemetry": reading, "alerts": alert}
        for suffix, message in said.items():
            payload = json.dumps({"v": 1} | message).encode()
            with state.lock:
                state.take(Message(f"{bases[name]}/{suffix}", payload, 1, 1), now)


@pytest.mark.long
def test_each_query_is_answered(
    mosquitto: Saying, node: StartNode, start: Callable[..., Tool], tmp_path: Path
) -> None:
    """Of a real node, of another device that loses Readings, and of a broker: by a Prometheus that
    has scraped the exporter, with the alert rules.
    """
    tool = start(mosquitto.port)
    running = node(mosquitto, config=IN_ORDER | {"health_s": 10})
    until(tool, lambda found: found["limpet_broker_up",] == 1)
    with prometheus.Scraping(tmp_path, url(tool), ALERTS) as scraping:
        device = mosquitto.client("node-2").connect()
        alert = {"v": 1, "ts": 1_790_000_000, "alert": "no-time", "state": "raised"}
        device.publish(f"{base('node-2')}/alerts", alert)
        scraping.until_some('limpet_alert_raised{device="node-2"}')
        for dropped in (0, 5):
            device.publish(f"{base('node-2')}/health", _health(dropped))
            of_it = 'limpet_dropped_readings_total{device="node-2"}'
            scraping.until_some(f"{of_it} == {dropped}")
        scraping.until_some('limpet_heap_free_bytes{device="node-1"}')
        asked = [each for each in queries() if not _elsewhere(each)]
        assert len(asked) > 60
        for each in asked:
            scraping.until_some(each.expr)
        unanswered = [each for each in queries() if _elsewhere(each)]
        there = [each for each in unanswered if scraping.now(each.expr)]
        assert not there, "these are answered: take them out of ELSEWHERE"
    running.kill()


def _elsewhere(asked: Asked) -> bool:
    return asked.panel in ELSEWHERE or (asked.panel, asked.legend) in ELSEWHERE_TOO


def _health(dropped: int) -> dict[str, Any]:
    return {
        "v": 1, "ts": None, "up": 60 + dropped, "heap": 90_000, "heap_min": 80_000, "rssi": None,
        "downs": {"no-ap": 1 + dropped}, "handshake_ms": 900, "ping_ms": 20, "queued": 40,
        "dropped": dropped, "foreign": 0, "commits": 0, "flash_errors": 0, "reads": 9,
        "read_errors": {"timeout": 1 + dropped}, "bugs": 0, "longest_step_ms": 9, "interval_s": 10,
        "commands_dropped": 0, "oversized": 0, "refused_subscriptions": 0,
    }  # fmt: skip


@pytest.mark.long
def test_a_fleet_of_many_is_legible(many: State, tmp_path: Path) -> None:
    """With 500 devices no panel has more lines than were asked for, at no point of its range; and
    each query is answered.
    """
    many.connection(True, 1, time.time())
    say_all(many, 0)
    with (
        Serving(registry_of(many), "127.0.0.1", 0) as serving,
        prometheus.Scraping(tmp_path, serving.url, ALERTS, every_s=5) as scraping,
    ):
        for round in range(1, 4):
            scraping.until_some(f'limpet_session_number{{device="n-1"}} == {round}')
            say_all(many, round)
        for each in queries():
            found = scraping.until_some(each.expr)
            if each.lines:
                end = time.time()
                words = {"start": f"{end - 5}", "end": f"{end}", "step": "1"}
                answer = scraping.ask("query_range", query=each.expr, **words)
                assert 1 <= len(answer["result"]) <= MOST, each
            elif each.legend in TROUBLES.values():
                assert len(found) == 1, each
        counted = {
            each.legend: next(iter(scraping.now(each.expr).values()))
            for each in queries()
            if each.panel == 2
        }
        assert counted["silent"] == MANY / 50
        assert sum(counted.values()) == MANY
        for name, asked, label in variables():
            offered = scraping.ask(f"label/{label}/values", **{"match[]": asked})
            assert offered, name
        (cost,) = scraping.until_some("scrape_duration_seconds").values()
        assert cost < 10
