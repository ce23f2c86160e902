"""How many Messages a second of CPU `limpet ingest` takes, beside loops that do less.

    .venv/bin/python host_tests/ingest_bench.py [--messages 40000] [--store URL]

mosquitto queues all of them first, over TLS; then each consumer takes them, one after another: a
bare loop that reads and acknowledges, paho alone, and `limpet ingest`, into SQLite and into a
PostgreSQL of its own, where there is one. What counts is the CPU time of the consumer, without that
of its start; a database's own is not in there.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import platform
import resource
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from limpet.brokers.setup import open_setup
from limpet.identity import consumers
from limpet.identity.layout import Layout
from support.brokers.running import DEVICES, base, fields
from support.fleets import fleet
from support.ingesting import NAME, QUEUES, Queueing, drained
from support.postgres import Postgres, programs

WINDOW = 500
TELEMETRY = "telemetry"
MORE = QUEUES.replace("100000", "1000000").replace("1000\n", "2000\n")


def packet(kind: int, body: bytes) -> bytes:
    """Return an MQTT packet."""
    length, size = b"", len(body)
    while True:
        length += bytes([size & 127 | (128 if size > 127 else 0)])
        size >>= 7
        if not size:
            return bytes([kind]) + length + body


def text(value: str) -> bytes:
    """Return a string as MQTT has it."""
    return struct.pack(">H", len(value)) + value.encode()


def payloads(count: int, batch: int, boot: int) -> Iterator[tuple[str, bytes]]:
    """Yield topic suffix and payload of `count` Messages: Readings alone, or batches of them."""
    for i in range(count):
        said: dict[str, object] = {"v": 1, "boot": boot, "seq": i * max(batch, 1)}
        said["ts"] = 1_790_000_000 + i * 10 * max(batch, 1)
        if not batch:
            yield TELEMETRY, _json(said | {"temperature": 24.4, "humidity": 46.3})
        else:
            columns = {"temperature": [24.4] * batch, "humidity": [46.3] * batch}
            yield f"{TELEMETRY}/backlog", _json(said | {"dt": 10} | columns)


def _json(said: dict[str, object]) -> bytes:
    return json.dumps(said, separators=(",", ":")).encode()


def connected(layout: Layout, port: int, name: str, pair: tuple[Path, Path]) -> ssl.SSLSocket:
    """Return a TLS connection that has been greeted by the broker, with a session that is kept."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(layout.ca_certificate)
    context.load_cert_chain(pair[1], pair[0])
    raw = socket.create_connection(("127.0.0.1", port))
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link = context.wrap_socket(raw, server_hostname="127.0.0.1")
    link.sendall(packet(0x10, text("MQTT") + bytes([4, 0, 0, 0]) + text(name)))
    assert link.recv(4)[3] == 0
    return link


def publish(layout: Layout, port: int, device: str, count: int, batch: int, boot: int) -> None:
    """Publish as a device, with a window."""
    pem = Path(tempfile.mkdtemp())
    identity = open_setup(layout.root).authority.client(device)
    (pem / "key").write_bytes(identity.key_pem())
    (pem / "crt").write_bytes(identity.pem())
    link = connected(layout, port, device, (pem / "key", pem / "crt"))
    acknowledged = 0
    out = bytearray()
    for sent, (suffix, payload) in enumerate(payloads(count, batch, boot), 1):
        head = text(f"{base(device)}/{suffix}") + struct.pack(">H", sent % 60000 + 1)
        out += packet(0x32, head + payload)
        if sent % WINDOW == 0 or sent == count:
            link.sendall(out)
            out.clear()
            while acknowledged < sent * 4:
                acknowledged += len(link.recv(65536))
    link.close()


def bare(layout: Layout, port: int, count: int) -> None:
    """Read and acknowledge, and nothing else."""
    link = connected(layout, port, NAME, layout.operator_pair(NAME))
    data, got = bytearray(), 0
    while got < count:
        data += link.recv(65536)
        at, acks = 0, bytearray()
        while at + 5 <= len(data):
            size, shift, pos = 0, 0, at + 1
            while True:
                size |= (data[pos] & 127) << shift
                shift += 7
                pos += 1
                if data[pos - 1] < 128:
                    break
            if pos + size > len(data):
                break
            if data[at] & 0xF0 == 0x30:
                topic = data[pos] << 8 | data[pos + 1]
                acks += b"\x40\x02" + data[pos + 2 + topic : pos + 4 + topic]
                got += 1
            at = pos + size
        del data[:at]
        if acks:
            link.sendall(acks)
    link.close()


def paho(layout: Layout, port: int, count: int) -> None:
    """paho as it is used everywhere, with an empty on_message."""
    client = mqtt.Client(
        mqtt.CallbackAPIVersion.VERSION2, NAME, clean_session=False, protocol=mqtt.MQTTv311
    )
    key, certificate = layout.operator_pair(NAME)
    client.tls_set(str(layout.ca_certificate), str(certificate), str(key))
    left, done = [count], threading.Event()

    def arrived(*_: object) -> None:
        left[0] -= 1
        if not left[0]:
            done.set()

    client.on_message = arrived
    client.connect("127.0.0.1", port)
    client.loop_start()
    done.wait(600)
    client.disconnect()
    client.loop_stop()


def subscribed(layout: Layout, port: int) -> None:
    """Make the session, and what it is subscribed to."""
    link = connected(layout, port, NAME, layout.operator_pair(NAME))
    filters = b"".join(text(f"limpet/+/+/+/+/{each}") + b"\x01" for each in SUFFIXES)
    link.sendall(packet(0x82, b"\x00\x01" + filters))
    assert link.recv(100)[0] == 0x90
    link.close()


SUFFIXES = (TELEMETRY, f"{TELEMETRY}/backlog")
LOOPS = {"bare": bare, "paho": paho}


def cpu_of(function: object, *given: object) -> tuple[float, float]:
    """Return CPU and real seconds of a function, run in a process of its own."""
    line = [sys.executable, __file__, "--child", *map(str, (function, *given))]
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(line, check=True, timeout=1200)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent(before, after), time.monotonic() - begun


def spent(before: resource.struct_rusage, after: resource.struct_rusage) -> float:
    """Return CPU seconds, of user and system, between two."""
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def ingested(broker: Queueing, store: str, *more: str) -> tuple[float, float, int]:
    """Return CPU and real seconds that `limpet ingest` took, and how many Readings it stored."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    figures = drained(broker, store, *more)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent(before, after), time.monotonic() - begun - 2, int(figures["readings"])


def measure(folder: Path, messages: int, stores: list[tuple[str, str]]) -> None:
    """Print the table. stores: what each is called, and its URL."""
    setup = open_setup(fleet(folder / "fleet"))
    for device in DEVICES:
        setup.device(fields(device))
    consumers.add(setup, f"{NAME}-2", "read")
    broker = Queueing(setup)
    broker.more = MORE
    broker.start()
    machine = f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    print(f"{machine}, Python {platform.python_version()}")
    print(f"{messages} Messages, TLS, QoS 1, through mosquitto\n")
    try:
        _loops(broker, setup.layout, messages)
        boots = itertools.count(1)
        for called, url in stores:
            for batch, workers in ((0, 0), (20, 0), (0, 1), (0, 2)):
                count = messages if not batch else messages // 4
                more = ("--workers", str(workers)) if workers else ()
                what = f"ingest into {called}" + (f", batches of {batch}" if batch else "")
                what += f", --workers {workers}" if workers else ""
                _ingest(broker, (url, more), (count, batch, next(boots)), what)
            # What is left for the second worker would be taken in the time of what comes next.
            ingested(broker, url, "--workers", "1")
    finally:
        broker.close()


def _loops(broker: Queueing, layout: Layout, messages: int) -> None:
    root = str(layout.root)
    for name in LOOPS:
        subscribed(layout, broker.port)
        publish(layout, broker.port, DEVICES[0], messages, 0, 1)
        cpu_s, real_s = cpu_of(name, root, broker.port, messages)
        line(name, messages, cpu_s - start_cpu(root), real_s)


def _ingest(
    broker: Queueing, into: tuple[str, tuple[str, ...]], sent: tuple[int, int, int], what: str
) -> None:
    url, more = into
    start_s = ingested(broker, url, *more)[0]
    count, batch, boot = sent
    publish(broker.setup.layout, broker.port, DEVICES[0], count, batch, boot)
    cpu_s, real_s, readings = ingested(broker, url, *more)
    assert readings == count * max(batch, 1), readings
    line(what, count, cpu_s - start_s, real_s, readings)


def start_cpu(root: str) -> float:
    """What a process costs that imports the same and does nothing."""
    return cpu_of("nothing", root, 0, 0)[0]


def line(what: str, messages: int, cpu_s: float, real_s: float, readings: int = 0) -> None:
    """Print a row."""
    more = f", {readings / cpu_s:9,.0f} Readings" if readings else ""
    print(
        f"{what:44} {messages / cpu_s:9,.0f} Messages per CPU second{more};"
        f" {messages / real_s:8,.0f} per second",
        flush=True,
    )


def main() -> None:
    """Measure, or be the process that is measured."""
    if sys.argv[1:2] == ["--child"]:
        name, root, port, count = sys.argv[2:]
        if name in LOOPS:
            LOOPS[name](Layout(Path(root)), int(port), int(count))
        return
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--messages", type=int, default=40_000)
    parser.add_argument("--store", help="URL of a store, instead of one of each kind")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        stores = [("SQLite", str(Path(folder) / "limpet.db"))]
        if asked.store:
            stores = [(asked.store.partition("://")[0], asked.store)]
        else:
            with contextlib.suppress(pytest.skip.Exception):
                server = Postgres(*programs(), durable=True)
                stack.callback(server.close)
                stores.append(("PostgreSQL", server.database("bench")))
        measure(Path(folder), asked.messages, stores)


if __name__ == "__main__":
    main()
