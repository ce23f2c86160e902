"""The clients of lib/clients at a real broker, with faults between them: no acknowledged message is
lost, and nothing hangs. CLIENTS=600 does that for ten minutes to each.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from limpet.node_host.umqtt import umqtt_dir
from limpet.shared.paths import CLIENTS
from support.brokers.running import RunningBroker
from support.chaos import clients
from support.micropython import upy

_TLS = """
import os, sys, time
from tls_context import tls_context

def der(name):
    with open(name + ".der", "rb") as file:
        return file.read()

context = tls_context(der("ca"), der("cert"), der("key"))
port = int(open("port").read())
"""
_ROBUST = """
from umqtt_robust import MQTTClient

client = MQTTClient("node-1", "127.0.0.1", port, keepalive=30, ssl=context)
client.answer_ms = client.handshake_ms = 2000
client.DELAY = 0.05
client.connect(False)
number = 0
while "stop" not in os.listdir():
    client.publish(TOPIC, str(number), False, 1)
    print(number)
    number += 1
    time.sleep_ms(5)
client.disconnect()
"""


def played(script: str, folder: Path) -> str:
    """Run a client in a device's folder, and return what it printed."""
    limit, upy.TIMEOUT_S = upy.TIMEOUT_S, int(upy.TIMEOUT_S + clients.asked_s())
    try:
        text = f"TOPIC = {clients.TOPIC!r}\n{_TLS}{script}"
        return upy.run(text, cwd=folder, path=[CLIENTS, umqtt_dir()])
    finally:
        upy.TIMEOUT_S = limit


@pytest.mark.long
@pytest.mark.timeout(300 + 2 * clients.asked_s())
@pytest.mark.parametrize("script", [pytest.param(_ROBUST, id="umqtt_robust")])
def test_chaos(broker: RunningBroker, tmp_path: Path, script: str) -> None:
    """After each fault messages come through again; each that the client has called acknowledged
    has arrived, in order, and none that it was given is missing.
    """
    done, world = clients.chaos(
        broker,
        tmp_path / "flash",
        lambda folder: played(script, folder),
        seed=int(os.environ.get("SEED") or 17),
        seconds=clients.asked_s(),
    )
    assert done == list(range(len(done)))
    assert not set(done) - world.delivered
    print(f"{world.done} faults, {len(done)} messages")
