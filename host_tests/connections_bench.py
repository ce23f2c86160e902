"""What a connection costs a broker: memory, and CPU time of its TLS handshake.

    .venv/bin/python host_tests/connections_bench.py [--count 300]

Each client has a certificate of its own, connects over TLS 1.3 and MQTT, and stays. What counts is
what the broker's process has grown by, and its CPU time, divided by their number.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import socket
import ssl
import struct
import subprocess
import tempfile
import time
from pathlib import Path

from limpet.brokers.setup import open_setup
from limpet.identity.provisioning import Setup
from support.brokers.mosquitto import Mosquitto
from support.brokers.running import fields
from support.fleets import fleet
from support.ports import closed_port
from support.tool import LIMPET

HOST = "127.0.0.1"
START_S = 30.0


def names(count: int) -> list[str]:
    """Return the ids of so many devices."""
    return [f"node-{number:05}" for number in range(count)]


def connected(setup: Setup, name: str, port: int) -> ssl.SSLSocket:
    """Return a connection that the broker has let in as the device `name`."""
    identity = setup.authority.client(name)
    context = ssl.create_default_context(cafile=str(setup.layout.ca_certificate))
    with tempfile.NamedTemporaryFile() as file:
        file.write(identity.key_pem() + identity.pem())
        file.flush()
        context.load_cert_chain(file.name)
    tcp = socket.create_connection((HOST, port), START_S)
    secured = context.wrap_socket(tcp, server_hostname=HOST)
    who = name.encode()
    body = b"\0\4MQTT\4\2" + struct.pack(">HH", 600, len(who)) + who
    secured.sendall(bytes([0x10, len(body)]) + body)
    answer = secured.recv(4)
    if answer != b"\x20\2\0\0":
        raise SystemExit(f"{name} is not let in: {answer!r}")
    return secured


def state(pid: int) -> tuple[float, float]:
    """Return memory in KB and CPU seconds of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    memory = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return float(memory.split()[1]), sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def measured(setup: Setup, of_them: list[str], port: int, pid: int) -> str:
    """Connect all, and return what one of them has cost."""
    with contextlib.ExitStack() as held:
        # The first ones load what all need.
        for name in of_them[:20]:
            held.enter_context(connected(setup, name, port))
        memory, cpu = state(pid)
        for name in of_them[20:]:
            held.enter_context(connected(setup, name, port))
        grown, spent = state(pid)
    count = len(of_them) - 20
    kilobytes, milliseconds = (grown - memory) / count, (spent - cpu) / count * 1000
    return f"{kilobytes:.0f} KB a connection, {milliseconds:.2f} ms of CPU a connect"


def embedded(setup: Setup, of_them: list[str]) -> str:
    """Measure `limpet broker`, a process of its own."""
    port = closed_port()
    words = [str(LIMPET), "broker", "--fleet", str(setup.layout.root), "--port", str(port)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection((HOST, port)).close()
                break
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)
        return measured(setup, of_them, port, process.pid)
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    """Measure mosquitto and the embedded broker."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--count", type=int, default=300, help="how many connect [300]")
    count = max(parser.parse_args().count, 40)
    with tempfile.TemporaryDirectory() as place:
        setup = open_setup(fleet(Path(place) / "fleet"))
        of_them = names(count)
        for name in of_them:
            setup.device(fields(name))
        machine = f"{os.cpu_count()} cores, {platform.system()} on {platform.machine()}"
        print(f"{count} connections; {machine}", flush=True)
        mosquitto = Mosquitto(setup)
        mosquitto.start()
        try:
            said = measured(setup, of_them, mosquitto.port, mosquitto.pid)
        finally:
            mosquitto.close()
        print(f"mosquitto: {said}", flush=True)
        print(f"the embedded one: {embedded(setup, of_them)}", flush=True)


if __name__ == "__main__":
    main()
