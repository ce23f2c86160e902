"""`limpet broker` as a program: what it says, the port it takes, how it ends."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from limpet.identity.layout import running_port
from limpet.identity.provisioning import Setup
from support.brokers.mqtt_client import TIMEOUT_S, Client, Refused
from support.brokers.running import LOOPBACK, PASSWORD, base
from support.fleets import fleet

BrokerCommand = subprocess.Popen[str]
Start = Callable[..., BrokerCommand]


@pytest.fixture
def start(setup: Setup) -> Iterator[Start]:
    """Start the command for the session's set-up; what still runs at the end is killed."""
    running: list[BrokerCommand] = []

    def run(*arguments: str | Path, directory: Path = setup.layout.root) -> BrokerCommand:
        words = ["broker", "--fleet", str(directory), *map(str, arguments)]
        process = subprocess.Popen(
            [sys.executable, "-c", "from limpet.cli import main; main()", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.communicate()


def client(setup: Setup, port: int, name: str = "node-1", **options: Any) -> Client:
    """Return a client for a broker that was started by hand."""
    identity = setup.authority.client("node-1")
    return Client((LOOPBACK, port), name, identity, setup.layout.ca_certificate, **options)


def first_line(process: BrokerCommand) -> str:
    """Return the first line it prints; a hang ends with the test session's own limit."""
    assert process.stdout
    return process.stdout.readline()


def port_of(line: str) -> int:
    """Return the port that a line of the command names."""
    return int(line.split(f"{LOOPBACK}:")[1].split(",")[0])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ends_cleanly(setup: Setup, start: Start, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end it with a word and 0, clients connected or not."""
    process = start("--port", "0")
    port = port_of(first_line(process))
    assert running_port(setup.layout.root) == port
    device = client(setup, port).connect()
    process.send_signal(number)
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert (process.returncode, out, err) == (0, "broker stopped\n", "")
    device.wait_closed()
    assert running_port(setup.layout.root) is None
    device.close()


def test_port_taken(start: Start) -> None:
    """With the port in use it says so and ends: on another one no device would look for it."""
    with socket.create_server((LOOPBACK, 0)) as other:
        taken = other.getsockname()[1]
        process = start("--port", str(taken))
        out, err = process.communicate(timeout=TIMEOUT_S)
    assert (process.returncode, out) == (1, "")
    assert err.startswith(f"limpet: Something listens on port {taken} of {LOOPBACK} already.\n")


def test_no_set_up(start: Start, tmp_path: Path) -> None:
    """Without certificates there is nothing to start, and the remedy is named."""
    out, err = start(directory=fleet(tmp_path)).communicate(timeout=TIMEOUT_S)
    assert out == ""
    assert "limpet provision" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("verbose", [[], ["--verbose"]])
def test_says_whom_it_refused_and_no_secret(setup: Setup, start: Start, verbose: list[str]) -> None:
    """A refusal is one line with name and reason; neither password nor payload is printed."""
    process = start("--port", "0", *verbose)
    port = port_of(first_line(process))
    for name, options in (
        ("node-2", {}),
        ("node-1", {"username": "node-1", "password": PASSWORD + "!"}),
    ):
        with pytest.raises(Refused):
            client(setup, port, name, **options).connect()
    device = client(setup, port, username="node-1", password=PASSWORD).connect()
    device.publish(f"{base('node-2')}/telemetry", "a payload of its own")
    device.subscribe(f"{base()}/commands")
    device.close()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert PASSWORD not in out + err
    assert "a payload of its own" not in out + err
    lines = [line.split(" ", 1)[1] for line in err.splitlines()]
    refusals = [line for line in lines if line.startswith("refused")]
    assert refusals == [
        "refused node-1: the client id is not the certificate's name",
        "refused node-1: wrong username or password",
        f"refused node-1: may not publish '{base('node-2')}/telemetry'",
    ]
    assert verbose or lines == refusals
