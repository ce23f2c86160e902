"""The clients of lib/clients at a real broker, with faults between them: no acknowledged message is
lost, and nothing hangs. CLIENTS=600 does that for ten minutes to each.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import sleep

import pytest
from limpet.node_host.umqtt import umqtt_dir
from limpet.shared.paths import CLIENTS
from support import schemas
from support.brokers.running import RunningBroker, base
from support.chaos import clients
from support.micropython import upy
from support.micropython.both_ways import PYTHONS, Talk
from support.proxies.proxy import Proxy

COMMANDS = f"{base()}/commands"
_ROBUST = """
import os, time
from tls_context import tls_context
from umqtt_robust import MQTTClient

def der(name):
    with open(name + ".der", "rb") as file:
        return file.read()

client = MQTTClient("node-1", "127.0.0.1", int(open("port").read()), keepalive=30, ssl=True)
client.ssl = tls_context(der("ca"), der("cert"), der("key"))
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
# Four tasks, each with numbers of its own.
_ASYNC = """
async def publish(client, number):
    while "stop" not in os.listdir():
        await client.publish(TOPIC, str(number), 1)
        say(number)
        number += 4
        await sleep_ms(5)

async def main():
    context = tls_context(der("ca"), der("cert"), der("key"))
    async with Client(
        "node-1", "127.0.0.1", int(open("port").read()), ssl=context, backoff=soon(),
        keepalive=30, answer_ms=2000, handshake_ms=2000,
    ) as client:
        await asyncio.gather(*[publish(client, n) for n in range(4)])
"""


def robust(folder: Path) -> list[str]:
    """Run the program for umqtt in a device's folder; return what it said."""
    limit, upy.TIMEOUT_S = upy.TIMEOUT_S, int(upy.TIMEOUT_S + clients.asked_s())
    try:
        text = f"TOPIC = {clients.TOPIC!r}\n{_ROBUST}"
        return upy.run(text, cwd=folder, path=[CLIENTS, umqtt_dir()]).splitlines()
    finally:
        upy.TIMEOUT_S = limit


def of_asyncio(python: str) -> Callable[[Path], list[str]]:
    """What runs the program for asyncio."""

    def run(folder: Path) -> list[str]:
        with Talk(python, f"TOPIC = {clients.TOPIC!r}\n{_ASYNC}", folder) as talk:
            return talk.end(upy.TIMEOUT_S + clients.asked_s())

    return run


@pytest.mark.long
@pytest.mark.timeout(300 + 2 * clients.asked_s())
@pytest.mark.parametrize(
    ("run", "tasks"),
    [
        pytest.param(robust, 1, id="umqtt_robust"),
        *(pytest.param(of_asyncio(python), 4, id=f"mqtt_async, {python}") for python in PYTHONS),
    ],
)
def test_chaos(
    broker: RunningBroker, tmp_path: Path, run: Callable[[Path], list[str]], tasks: int
) -> None:
    """After each fault messages come through again; each that the client has called acknowledged
    has arrived, in order, and none that it was given is missing.
    """
    done, world = clients.chaos(
        broker,
        tmp_path / "flash",
        run,
        seed=17,
        seconds=clients.asked_s(),
    )
    for first in range(tasks):
        mine = [number for number in done if number % tasks == first]
        assert mine == list(range(first, first + tasks * len(mine), tasks))
    assert not set(done) - world.delivered
    print(f"{world.done} faults, {len(done)} messages")


_LISTENS = """
async def listen(client):
    async for topic, payload, retained in client:
        say("heard", str(payload, "utf-8"))

async def watch(client):
    while True:
        await client.up.wait()
        say("up")
        await client.down.wait()
        say("down")

async def count(client):
    number = 0
    while "stop" not in os.listdir():
        await client.publish(TOPIC, str(number), 1)
        say("sent", number)
        number += 1
        await sleep_ms(20)

async def main():
    context = tls_context(der("ca"), der("cert"), der("key"))
    async with Client(
        "node-1", "127.0.0.1", int(open("port").read()), ssl=context, backoff=soon(),
        clean_session=CLEAN, keepalive=30, answer_ms=3000, handshake_ms=3000,
    ) as client:
        tasks = [asyncio.create_task(each(client)) for each in (listen, watch)]
        await client.subscribe(COMMANDS, 1)
        say("subscribed")
        await count(client)
        for each in tasks:
            each.cancel()
"""


@pytest.mark.parametrize("clean", [False, True], ids=["unclean", "clean"])
@pytest.mark.parametrize("python", PYTHONS)
def test_wifi_lost_and_broker_restarted(
    broker: RunningBroker, tmp_path: Path, python: str, clean: bool
) -> None:
    """The cable is pulled: what is published waits and comes; what was sent to it meanwhile with
    QoS 1 comes too where the session is kept. The broker restarts: it is subscribed again.
    """
    folder = broker.image(tmp_path / "flash")
    script = f"TOPIC, COMMANDS, CLEAN = {clients.TOPIC!r}, {COMMANDS!r}, {clean}\n{_LISTENS}"
    operator = broker.operator(None)
    with Proxy(broker.port) as proxy:
        (folder / "port").write_text(str(proxy.port))
        with Talk(python, script, folder) as talk:
            talk.until("subscribed")
            operator.publish(COMMANDS, "one", qos=1)
            talk.until("heard one")
            proxy.refuse()
            talk.until("down")
            operator.publish(COMMANDS, "two", qos=1)
            sent = talk.lines.count("up")
            proxy.restore()
            talk.until("up", sent + 1)
            operator.publish(COMMANDS, "three", qos=1)
            talk.until("heard three")
            broker.restart()
            talk.until("up", sent + 2)
            after = broker.operator(None)
            # Its SUBSCRIBE may come behind a first word.
            for number in range(1000):
                after.publish(COMMANDS, f"after {number}", qos=1)
                if any(line.startswith("heard after") for line in talk.lines):
                    break
                sleep(0.05)
            (folder / "stop").touch()
            lines = talk.end()
    schemas.forget()
    assert any(line.startswith("heard after") for line in lines)
    assert ("heard two" in lines) is not clean
    numbers = [int(line.split()[1]) for line in lines if line.startswith("sent")]
    assert numbers == list(range(len(numbers)))
