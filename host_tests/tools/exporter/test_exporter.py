"""`limpet exporter`: a real node's figures as Prometheus gets them, and what keeps it standing."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from limpet.identity import consumers
from limpet.identity.provisioning import Setup
from limpet.shared.paths import REPO
from support import prometheus
from support.brokers.alone import Alone
from support.brokers.mqtt_client import Client
from support.brokers.running import base
from support.exporting import NAME, Samples, Saying, mosquitto, scraped, start, until, url
from support.nodes import IN_ORDER, StartNode
from support.ports import closed_port
from support.tool import TIMEOUT_S, Tool, limpet

__all__ = ["mosquitto", "start"]

RULES = REPO / "docs" / "prometheus"


def last(client: Client, suffix: str) -> dict[str, Any]:
    """Return the newest payload on a topic of node-1."""
    found = [each for each in client.messages if each.topic == f"{base()}/{suffix}"]
    return dict(found[-1].json())


def test_a_real_node(mosquitto: Saying, node: StartNode, start: Callable[..., Tool]) -> None:
    """What an operator hears of it is what Prometheus gets; so is the broker, with its limits."""
    began = time.time()
    tool, seen = start(mosquitto.port), mosquitto.operator()
    running = node(mosquitto, config=IN_ORDER | {"health_s": 10})
    wanted = {(f"limpet_{name}", "node-1") for name in ("heap_free_bytes", "missing_readings")}
    until(tool, lambda found: wanted <= found.keys())
    running.kill()  # no more Readings, and its will: what is last stays last
    found = until(tool, lambda found: found.get(("limpet_online", "node-1")) == 0)
    until(tool, lambda _: last(seen, "status")["status"] == "offline")
    reading, health, status = (last(seen, each) for each in ("telemetry", "health", "status"))
    for name, unit in (("temperature", "celsius"), ("humidity", "percent")):
        assert found["limpet_field", "node-1", name, unit] == reading[name]
    device = {key[0]: value for key, value in found.items() if key[1:] == ("node-1",)}
    if reading["ts"] is not None:
        assert device["limpet_reading_timestamp_seconds"] == reading["ts"]
    for key, name in (("heap", "heap_free_bytes"), ("queued", "queued_readings")):
        assert device[f"limpet_{name}"] == health[key]
    assert device["limpet_dropped_readings_total"] == health["dropped"]
    assert device["limpet_tls_handshake_seconds"] == health["handshake_ms"] / 1000
    assert device["limpet_boots_total"] == status["boot"]
    assert device["limpet_missing_readings"] == 0
    assert began - 1 <= device["limpet_last_seen_timestamp_seconds"] <= time.time() + 1
    issued = mosquitto.setup.layout.registered().devices["node-1"].certificates.values()
    ends = max(datetime.fromisoformat(each).timestamp() for each in issued)
    assert device["limpet_certificate_expiry_timestamp_seconds"] == ends
    version = last_birth(seen)["fw"]
    assert found["limpet_device_info", "node-1", version, "home", "climate", "desk"] == 1
    assert found["limpet_last_seen_timestamp_seconds", "node-2"] == 0
    broker = until(tool, lambda found: ("limpet_broker_connections",) in found)
    assert 1 <= broker["limpet_broker_connections",] <= broker["limpet_broker_connections_limit",]
    assert broker["limpet_broker_memory_limit_bytes",] > 0
    tool.interrupt()
    assert tool.end() == 0
    assert "Traceback" not in tool.text


def last_birth(client: Client) -> dict[str, Any]:
    """Return the newest birth of node-1."""
    statuses = [each.json() for each in client.messages if each.topic == f"{base()}/status"]
    return dict(next(each for each in reversed(statuses) if each["status"] == "online"))


def test_the_broker_goes_away(mosquitto: Saying, start: Callable[..., Tool]) -> None:
    """What was heard stays, `broker_up` says so, and all goes on when it is back."""
    tool = start(mosquitto.port)
    until(tool, lambda found: found["limpet_broker_up",] == 1)
    device = mosquitto.client("node-1").connect()
    say = {"v": 1, "boot": 7, "seq": 1, "ts": 1_790_000_000, "temperature": 21.5}
    device.publish(f"{base()}/telemetry", say)
    value = ("limpet_field", "node-1", "temperature", "celsius")
    until(tool, lambda found: found.get(value) == 21.5)
    device.close()
    mosquitto.stop()
    found = until(tool, lambda found: found["limpet_broker_up",] == 0)
    assert found[value] == 21.5
    mosquitto.start()
    found = until(tool, lambda found: found["limpet_broker_up",] == 1)
    assert found["limpet_broker_connects_total",] == 2


@pytest.mark.parametrize("kind", ["nats", pytest.param("rabbitmq", marks=[pytest.mark.long])])
def test_a_broker_without_sys(kind: str, setup: Setup, start: Callable[..., Tool]) -> None:
    """It may refuse that, or end the connection for it: what devices say comes all the same."""
    running = Alone(setup, kind)
    running.start()
    try:
        tool = start(running.port)
        value = ("limpet_field", "node-1", "temperature", "celsius")
        device = running.client("node-1").connect()
        say = {"v": 1, "boot": 7, "seq": 1, "ts": 1_790_000_000, "temperature": 21.5}

        def heard(found: Samples) -> bool:
            # The first connection may be one that it ends.
            device.publish(f"{base()}/telemetry", say)
            return found.get(value) == 21.5 and found["limpet_broker_up",] == 1

        found = until(tool, heard)
        assert found["limpet_broker_connects_total",] <= 2, tool.text
    finally:
        running.close()


def test_without_a_broker(start: Callable[..., Tool]) -> None:
    """It starts all the same, and Ctrl-C ends it."""
    tool = start(closed_port())
    found = scraped(tool)
    assert found["limpet_broker_up",] == 0
    assert found["limpet_devices",] >= 2
    tool.wait_for("no connection to")
    tool.interrupt()
    assert tool.end() == 0
    assert "Traceback" not in tool.text


def test_what_is_refused(setup: Setup) -> None:
    """A port in use, an address that is none, no identity: each by name."""
    consumers.add(setup, NAME, "read")
    fleet = str(setup.layout.root)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        at = f"127.0.0.1:{taken.getsockname()[1]}"
        done = limpet("exporter", "--fleet", fleet, "--listen", at)
    assert done.returncode == 1
    assert f"{at} cannot be listened on: Address already in use." in done.stderr
    assert "--listen" in done.stderr
    for wrong in ("9883", "127.0.0.1", "127.0.0.1:x", ":9883", "127.0.0.1:70000", "[::1"):
        done = limpet("exporter", "--fleet", fleet, "--listen", wrong)
        assert (done.returncode, "is no address with a port" in done.stderr) == (1, True), wrong
    done = limpet("exporter", "--fleet", fleet, "--as", "nobody")
    assert "limpet operator add nobody --read" in done.stderr


def test_the_rules() -> None:
    """promtool takes the alert rules, and each fires when it should and not before."""
    line = prometheus.command("promtool")
    for verb, file in (("check", "limpet-alerts.yml"), ("test", "limpet-alerts-test.yml")):
        done = subprocess.run(
            [*line, verb, "rules", file],
            cwd=RULES,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_are_printed(tmp_path: Path) -> None:
    """As they are, where there is no fleet."""
    done = limpet("exporter", "--rules", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (RULES / "limpet-alerts.yml").read_text()


def test_the_rules_know_the_metrics(mosquitto: Saying, start: Callable[..., Tool]) -> None:
    """Each rule is tried by promtool, and asks for what there is."""
    rules = (RULES / "limpet-alerts.yml").read_text()
    tried = (RULES / "limpet-alerts-test.yml").read_text()
    for alert in re.findall(r"alert: (\w+)", rules):
        assert f"alertname: {alert}\n" in tried, alert
    tool = start(mosquitto.port)
    until(tool, lambda found: ("limpet_broker_memory_bytes",) in found)
    with urlopen(url(tool), timeout=TIMEOUT_S) as answer:
        has = set(re.findall(r"^# TYPE (\w+)", answer.read().decode(), re.MULTILINE))
    asked = set(re.findall(r"\blimpet_\w+", rules))
    assert len(asked) > 8
    assert asked <= has


def test_prometheus_scrapes_it(
    mosquitto: Saying, start: Callable[..., Tool], tmp_path: Path
) -> None:
    """A real Prometheus reads the rules, scrapes, and answers with what was published."""
    tool = start(mosquitto.port)
    say = {"v": 1, "boot": 7, "seq": 1, "ts": 1_790_000_000, "humidity": 44.5}
    until(tool, lambda found: found["limpet_broker_up",] == 1)
    mosquitto.client("node-2").connect().publish(f"{base('node-2')}/telemetry", say)
    with prometheus.Scraping(tmp_path, url(tool), RULES / "limpet-alerts.yml") as scraping:
        (labels, value), *others = scraping.until_some("limpet_field").items()
    assert not others
    names = ("__name__", "device", "field", "unit", "job")
    assert [dict(labels)[each] for each in names] == [
        "limpet_field", "node-2", "humidity", "percent", "limpet",
    ]  # fmt: skip
    assert value == 44.5
