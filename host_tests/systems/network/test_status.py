"""alerts and status over a reset of a whole node."""

from __future__ import annotations

import json
from pathlib import Path

from support.brokers.running import RunningBroker
from support.nodes import TIMEOUT_S, Node, StartNode, wait_for_status


def test_mended_sensor_is_told_after_power_off(
    broker: RunningBroker, node: StartNode, tmp_path: Path
) -> None:
    """Dead, the alert raised, power off, mended, power on: the next boot says that it is over."""
    operator = broker.operator()
    dead = tmp_path / "dead.jsonl"
    dead.write_text(json.dumps({"t": 0, "us": [1000]}) + "\n")
    running = node(broker, speed=20, config={"interval_s": 2}, replay=dead)
    alerts = f"{running.base}/alerts"
    operator.wait_for(alerts, lambda m: m.json()["state"] == "raised")
    running.kill()
    with Node(running.root, running.device_id, speed=20) as again:
        again.wait_for("link up", TIMEOUT_S)
        cleared = operator.wait_for(alerts, lambda m: m.json()["state"] == "cleared").json()
        wait_for_status(operator, lambda said: said["boot"] and "alerts" not in said)
    assert cleared["alert"] == "sensor-silent"
    # That it is raised may have come twice, as its PUBACK may not have got back in time.
    assert [m.json()["state"] for m in operator.seen(alerts)].count("cleared") == 1
