"""alerts.py in a whole node whose sensor fails."""

from __future__ import annotations

import json
from pathlib import Path

from support.brokers.scripted_broker import ScriptedBroker
from support.brokers.scripted_link import BASE, FAST, echoing
from support.micropython import upy
from support.nodes import StartNode

CAPTURES = upy.REPO / "boards" / "host" / "captures"


def test_sensor_that_falls_silent_and_comes_back(node: StartNode, tmp_path: Path) -> None:
    """`sensor-silent` is published when the sensor is dead, and cleared when it is read again."""
    answers = (CAPTURES / "am2302_1mhz_3samples.jsonl").read_text().splitlines()
    silence = '{"t":0,"us":[20011]}'
    capture = tmp_path / "capture.jsonl"
    capture.write_text("\n".join(answers + 12 * [silence] + 40 * answers) + "\n")
    with ScriptedBroker(echoing()) as broker:
        running = node(broker, speed=20, config=FAST, replay=capture)
        for state in ("raised", "cleared"):
            said = broker.wait_for(
                lambda packet, state=state: (  # type: ignore[misc]
                    packet.topic == f"{BASE}/alerts"
                    and json.loads(packet.payload)["state"] == state
                )
            )
            alert = json.loads(said.payload)
            assert alert["alert"] == "sensor-silent"
            assert alert.get("reason") == ("no-response" if state == "raised" else None)
            assert (said.qos, said.retain) == (1, False)
        running.until("sampler reading seq=6 ")
    assert len([p for p in broker.of("PUBLISH") if p.topic == f"{BASE}/alerts"]) == 2
