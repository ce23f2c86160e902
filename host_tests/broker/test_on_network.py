"""`limpet broker` on an address that others reach: it is mosquitto, and follows the registry."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from limpet.brokers import on_network
from limpet.brokers.mosquitto import program
from limpet.brokers.setup import open_setup
from limpet.identity.authority import Identity, load
from limpet.identity.layout import running
from limpet.identity.operators import Operator, operator_identity
from limpet.identity.provisioning import Setup
from limpet.node_host import debian
from limpet.shared.problem import Problem
from support.brokers.mqtt_client import Client, Refused
from support.brokers.running import base, fields
from support.fleets import fleet
from support.tool import TIMEOUT_S, Tool, gone

# Another loopback address stands for the network.
ADDRESS = "127.0.0.2"


@pytest.fixture
def made(tmp_path: Path) -> Setup:
    """A fleet of two devices, whose broker has a certificate for that address."""
    setup = open_setup(fleet(tmp_path / "fleet"), [ADDRESS])
    for name in ("node-1", "node-2"):
        setup.device(fields(name))
    return setup


@pytest.fixture
def command(made: Setup) -> Iterator[Tool]:
    """Run it on a free port."""
    with Tool("broker", "--listen", ADDRESS, "--port", "0", "--fleet", made.layout.root) as tool:
        tool.wait_for("Ctrl-C ends it")
        yield tool
        tool.interrupt()
        assert tool.end() == 0


def client(made: Setup, name: str, identity: Identity | None = None) -> Client:
    """Return a client, not yet connected, of the broker that runs."""
    found = running(made.layout.root)
    assert found
    certificate = identity or made.authority.client(name)
    return Client(found, name, certificate, made.layout.ca_certificate)


def test_it_is_mosquitto(made: Setup, command: Tool) -> None:
    """It says so, where it listens, and who comes; Ctrl-C ends both, and nothing is left."""
    found = running(made.layout.root)
    assert found
    assert found[0] == ADDRESS
    assert f"broker on {ADDRESS}:{found[1]}, mosquitto, TLS" in command.text
    device = client(made, "node-1").connect()
    device.subscribe(f"{base('node-1')}/status")
    device.publish(f"{base('node-1')}/status", "here")
    assert device.wait_for("#").payload == b"here"
    command.wait_for("as node-1")
    device.close()
    log = on_network.own_folder(made.layout) / on_network.LOG
    assert "as node-1" in log.read_text()


def test_it_follows_the_registry(made: Setup, command: Tool) -> None:
    """A new device is known at once; a revoked one is thrown out and refused, and the others are
    back on the same port.
    """
    made.device(fields("node-3"))
    command.wait_for(lambda text: text.count(" running") == 2)
    new = client(made, "node-3").connect()
    own = f"{base('node-3')}/status"
    new.subscribe(own)
    new.publish(own, "here")
    new.wait_for(own)

    stolen = made.authority.client("node-2")
    with made.layout.edited() as registry:
        registry.issued("node-2", stolen.serial, stolen.expires)
    lost = client(made, "node-2", stolen).connect()
    made.revoke("node-2")
    lost.wait_closed()
    command.wait_for(lambda text: text.count(" running") == 3)
    with pytest.raises(Refused):
        client(made, "node-2", stolen).connect()
    again = client(made, "node-1").connect()
    for each in (new, lost, again):
        each.close()


def listens(address: tuple[str, int]) -> bool:
    """Whether somebody takes connections there."""
    try:
        socket.create_connection(address, TIMEOUT_S).close()
    except ConnectionRefusedError:
        return False
    return True


def kept(made: Setup, lease: Operator, protocol: mqtt.MQTTProtocolVersion) -> Client:
    """Return a client, not yet connected, whose session stays while it is away."""
    found = running(made.layout.root)
    assert found
    identity = load(lease.key, lease.cert)
    ca = made.layout.ca_certificate
    return Client(
        found, lease.name, identity, ca, clean_session=False, session_s=3600, protocol=protocol
    )


@pytest.mark.parametrize("protocol", [mqtt.MQTTv311, mqtt.MQTTv5])
def test_what_waits_survives_new_devices(
    made: Setup, command: Tool, protocol: mqtt.MQTTProtocolVersion
) -> None:
    """What is said to a client that is away is there when it is back, though devices were added
    before and between; and who comes after that stays. By SIGHUP mosquitto 2.0 does neither.
    """
    lease = operator_identity(made.layout.root)
    topic = f"{base('node-1')}/status"
    away = kept(made, lease, protocol).connect()
    away.subscribe(topic)
    away.close()
    for number in range(3):
        if number:
            made.device(fields(f"more-{number}"))
            command.wait_for(lambda text, n=number: text.count(" running") == n + 1)  # type: ignore[misc]
        device = client(made, "node-1").connect()
        device.publish(topic, f"{number}")
        device.close()
    back = kept(made, lease, protocol).connect()
    assert back.session_present
    back.wait_for(topic, lambda message: message.payload == b"2")
    assert [each.payload for each in back.seen(topic)] == [b"0", b"1", b"2"]
    back.close()
    # A session that expires in error does so when the second ends.
    for _ in range(2):
        fresh = client(made, "node-1").connect()
        with pytest.raises(TimeoutError):
            fresh.wait_closed(2)
        fresh.close()
    lease.release()
    assert "Expiring" not in command.text
    assert "Reloading" not in command.text


def test_it_goes_on_without_a_registry(made: Setup, command: Tool) -> None:
    """While that is damaged it goes by what it has read; once mended, it follows again."""
    whole = made.layout.registry.read_bytes()
    made.layout.registry.write_text("[]")
    command.wait_for("It goes on by the registry of before: ")
    client(made, "node-1").connect().close()
    made.layout.registry.write_bytes(whole)
    made.device(fields("node-3"))
    command.wait_for(lambda text: text.count(" running") == 2)
    client(made, "node-3").connect().close()


def test_a_port_that_is_taken(made: Setup) -> None:
    """It is said in the words of the other broker."""
    with socket.create_server((ADDRESS, 0)) as other:
        port = str(other.getsockname()[1])
        words = ("broker", "--listen", ADDRESS, "--port", port, "--fleet", made.layout.root)
        with Tool(*words) as tool:
            assert tool.end() == 1
            assert f"Something listens on port {port} of {ADDRESS} already." in tool.text


def test_an_address_of_another_machine(made: Setup) -> None:
    """So is one that is none of this machine's."""
    with Tool("broker", "--listen", "192.0.2.77", "--fleet", made.layout.root) as tool:
        assert tool.end() == 1
        assert "No listening on 192.0.2.77:8883: " in tool.text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_mosquitto_ends_with_it(made: Setup, number: signal.Signals) -> None:
    """By Ctrl-C, by a service manager, and when the terminal is closed."""
    with Tool("broker", "--listen", ADDRESS, "--port", "0", "--fleet", made.layout.root) as tool:
        tool.wait_for("Ctrl-C ends it")
        pid = tool.process.pid
        (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        tool.process.send_signal(number)
        assert tool.end() == 0
        assert tool.text.endswith("broker stopped\n")
        assert gone(int(child))
        assert running(made.layout.root) is None


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel does it, and Linux's alone")
def test_nothing_is_left_when_it_is_killed(made: Setup) -> None:
    """Nobody is there then to end mosquitto, which ends by itself, as by SIGTERM."""
    with Tool("broker", "--listen", ADDRESS, "--port", "0", "--fleet", made.layout.root) as tool:
        tool.wait_for("Ctrl-C ends it")
        made.device(fields("node-3"))
        tool.wait_for(lambda text: text.count(" running") == 2)
        client(made, "node-3").connect().close()
        found = running(made.layout.root)
        assert found
        tool.process.kill()
        deadline = time.monotonic() + TIMEOUT_S
        while listens(found):
            assert time.monotonic() < deadline, "mosquitto runs on"
            time.sleep(0.1)


def test_it_ends_with_mosquitto(made: Setup) -> None:
    """A mosquitto that ends by itself ends it, too, with a word."""
    with Tool("broker", "--listen", ADDRESS, "--port", "0", "--fleet", made.layout.root) as tool:
        tool.wait_for("Ctrl-C ends it")
        pid = tool.process.pid
        (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        os.kill(int(child), signal.SIGKILL)
        assert tool.end() == 1
        assert "mosquitto has ended by itself" in tool.text


def test_without_mosquitto(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is none, and no Debian to take it from, it is said how to get it."""
    program.mosquitto.cache_clear()
    monkeypatch.setattr(debian.shutil, "which", lambda *_, **__: None)
    monkeypatch.setattr(debian, "available", lambda: False)
    try:
        with pytest.raises(Problem, match="There is no mosquitto here") as problem:
            program.mosquitto()
        assert "Install mosquitto" in problem.value.remedy
    finally:
        program.mosquitto.cache_clear()
