"""What mqtt_as's own examples do, done with mqtt_async: under both Pythons, at both brokers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from limpet.node_host.interpreter import micropython
from limpet.node_host.umqtt import umqtt_dir
from limpet.shared.paths import CLIENTS, LIB, REPO
from support.brokers.open_broker import KINDS, OpenBroker
from support.micropython.both_ways import PYTHONS
from support.micropython.upy import TESTS, TIMEOUT_S

FOLDER = TESTS / "support" / "async_programs"
SAID = {
    "each_time": ["each up down up", "cleared down up down up"],
    "in_range": [
        *("blue off", "blue off", "blue off", "blue on", "blue on", "blue on"),
        *("foo_topic 0 outages: 0 False", "foo_topic 1 outages: 0 False"),
        *("foo_topic 2 outages: 0 False", "red on"),
    ],
    "once": ["foo_topic light 4711", "True"],
    "unclean": [
        *("beats True", "foo_topic first False"),
        *(f"foo_topic while away {n} False" for n in range(3)),
        "kept True",
    ],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("program", sorted(SAID))
def test_program(tmp_path: Path, program: str, python: str, kind: str) -> None:
    """It says what mqtt_as's would."""
    if (kind, program) == ("amqtt", "unclean"):
        pytest.skip("amqtt keeps nothing for who comes without a password")
    path = ":".join(map(str, [FOLDER / "board", CLIENTS, LIB, umqtt_dir()]))
    env = {"PATH": os.environ.get("PATH", ""), "MICROPYPATH": f"{path}:.frozen"}
    if python == "cpython":
        path = path.rpartition(":")[0]  # it has a umqtt of its own
    with OpenBroker(kind, tmp_path) as broker:
        done = subprocess.run(
            [*(micropython() if python == "micropython" else [sys.executable]), f"{program}.py"],
            cwd=FOLDER,
            env=env | {"PYTHONPATH": path, "PORT": str(broker.port)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    assert sorted(done.stdout.splitlines()) == sorted(SAID[program])


TRIED = """
from mqtt_async import Client
from umqtt_robust import MQTTClient
import asyncio

async def main():
    async with Client("shed-1", "127.0.0.1", PORT) as client:
        await client.publish("shed/temperature", "21.5", 1)

asyncio.run(main())
client = MQTTClient("shed-2", "127.0.0.1", PORT)
client.connect()
client.publish("shed/temperature", "21.5", False, 1)
print("published")
"""


@pytest.mark.parametrize("page", ["coming-from-mqtt_as.md", "coming-from-umqtt.md"])
def test_the_line_to_try_it_on_a_laptop(tmp_path: Path, page: str) -> None:
    """It runs a program in a clone, as it stands in the docs."""
    lines = (REPO / "docs" / page).read_text("utf-8").splitlines()
    (line,) = (each.strip() for each in lines if each.startswith("    MICROPYPATH="))
    program = tmp_path / "program.py"
    with OpenBroker("amqtt", tmp_path) as broker:
        program.write_text(TRIED.replace("PORT", str(broker.port)))
        umqtt_dir()
        line = line.replace("program.py", str(program)).replace(".venv/bin/python", sys.executable)
        done = subprocess.run(
            ["sh", "-c", line], cwd=REPO, capture_output=True, text=True, timeout=TIMEOUT_S
        )
    assert (done.stdout, done.stderr) == ("published\n", "")
