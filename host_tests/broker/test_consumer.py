"""The consumer in docs/consuming-the-data.md, as a reader would copy it."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from pathlib import Path

from limpet.brokers.embedded.broker import LOOPBACK, EmbeddedBroker
from limpet.identity.provisioning import Setup
from limpet.shared.paths import REPO
from support import schemas
from support.brokers.mqtt_client import TIMEOUT_S, Client
from support.brokers.running import base

PAGE = REPO / "docs" / "consuming-the-data.md"
TELEMETRY = f"{base()}/telemetry"
BACKLOG = f"{base()}/telemetry/backlog"
LIVE = (
    b'{"v":1,"boot":7,"seq":4,"ts":1790000040,"temperature":24.4,"humidity":null,'
    b'"outdoor_temperature":-7.1}'
)
BATCH = (
    b'{"v":1,"boot":7,"seq":1,"ts":1790000010,"dt":10,"temperature":[24.1,null,24.3],'
    b'"humidity":[46.3,46.2,46.1]}'
)
UNEVEN = b'{"v":1,"boot":8,"seq":0,"ts":50,"dt":[0,7],"temperature":[1.0,-2.5],"humidity":[1,2]}'
SINGLE = b'{"v":1,"boot":8,"seq":2,"ts":60,"dt":0,"lux":[7]}'
TIMELESS = b'{"v":1,"boot":9,"seq":0,"ts":null,"up":12,"temperature":24.0,"humidity":40.0}'
LINES = """\
node-1,7,4,1790000040,temperature,24.4
node-1,7,4,1790000040,humidity,None
node-1,7,4,1790000040,outdoor_temperature,-7.1
node-1,7,1,1790000010,temperature,24.1
node-1,7,1,1790000010,humidity,46.3
node-1,7,2,1790000020,temperature,None
node-1,7,2,1790000020,humidity,46.2
node-1,7,3,1790000030,temperature,24.3
node-1,7,3,1790000030,humidity,46.1
node-1,8,0,50,temperature,1.0
node-1,8,0,50,humidity,1
node-1,8,1,57,temperature,-2.5
node-1,8,1,57,humidity,2
node-1,8,2,60,lux,7
node-1,9,0,None,temperature,24.0
node-1,9,0,None,humidity,40.0
"""
SAID = (
    (TELEMETRY, LIVE),
    (BACKLOG, BATCH),
    (TELEMETRY, LIVE),
    (BACKLOG, BATCH),
    (TELEMETRY, UNEVEN),  # as through a broker of before
    (BACKLOG, SINGLE),
    (TELEMETRY, TIMELESS),
)


def blocks(language: str) -> list[str]:
    """Return the page's code in a language."""
    pattern = rf"^```{language}\n(.*?)^```"
    return re.findall(pattern, PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def test_payloads_are_such_as_a_node_says() -> None:
    """Those of the page, and those that the consumer is given below."""
    shown = [line.encode() for block in blocks("json") for line in block.splitlines()]
    assert len(shown) == 2
    for topic, payload in (*SAID, (TELEMETRY, shown[0]), (BACKLOG, shown[1])):
        assert schemas.fault(topic, payload) is None


def test_consumer_prints_each_reading_once(setup: Setup, tmp_path: Path) -> None:
    """Live ones, batches with even and with uneven times, one without a time, of any fields and
    from both topics; repeats once.
    """
    (program,) = blocks("python")
    folder = setup.layout.root
    with EmbeddedBroker(folder) as broker:
        script = tmp_path / "consumer.py"
        # Lets the test know when it hears; the port is any free one here.
        script.write_text(
            program.replace("8883", str(broker.port)).replace(
                "client.loop_forever",
                'client.on_subscribe = lambda *_: print("on", flush=True)\nclient.loop_forever',
            )
        )
        operator = setup.layout.operator("operator")
        line = [sys.executable, str(script), str(operator), LOOPBACK]
        with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as consumer:
            assert consumer.stdout is not None
            limit = threading.Timer(TIMEOUT_S, consumer.kill)  # ends what is waited for below
            limit.start()
            try:
                assert consumer.stdout.readline() == "on\n"
                name, ca = "node-1", setup.layout.ca_certificate
                client = Client((LOOPBACK, broker.port), name, setup.authority.client(name), ca)
                client.connect()
                for topic, payload in SAID:
                    client.publish(topic, payload)
                said = "".join(consumer.stdout.readline() for _ in LINES.splitlines())
                client.close()
            finally:
                limit.cancel()
                consumer.kill()
    assert said == LINES
