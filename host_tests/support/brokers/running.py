"""Fixtures: a running broker of either kind, set up by `limpet provision`, and clients for it.

BROKER=mosquitto takes mosquitto instead of the embedded one, with the configuration that provision
writes. Ports are free ones, so tests run beside each other.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from limpet.brokers.embedded.broker import LOOPBACK, EmbeddedBroker
from limpet.brokers.mosquitto import files as mosquitto_files
from limpet.brokers.mosquitto import renderer
from limpet.brokers.setup import open_setup
from limpet.identity import passwords
from limpet.identity.authority import Authority, Identity, load
from limpet.identity.device_config import encoded
from limpet.identity.operators import Operator, operator_identity
from limpet.identity.provisioning import Setup
from limpet.shared import private
from support.brokers.mqtt_client import TIMEOUT_S, Client
from support.ports import Held

KIND = os.environ.get("BROKER") or "amqtt"
# There from the start, with a password; any other device is made when it is asked for.
DEVICES = ("node-1", "node-2")
PASSWORD = "correct horse battery staple"  # noqa: S105 - of devices that exist in tests alone


def base(device_id: str = "node-1") -> str:
    """Return the base topic of a device of these fixtures."""
    return f"limpet/home/desk/climate/{device_id}"


def fields(device_id: str) -> dict[str, Any]:
    """Return the config of a device of these fixtures."""
    return {
        "device_id": device_id,
        "org": "limpet",
        "site": "home",
        "zone": "desk",
        "device_type": "climate",
        "broker": LOOPBACK,
    }


class RunningBroker:
    """What both kinds have in common. `port` takes certificates, `login_port` passwords besides.

    `plain_port` speaks no TLS, for clients that have to refuse it, and lets nobody in.
    """

    kind = KIND
    host = LOOPBACK
    port = 0
    login_port = 0
    plain_port = 0

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.authority = setup.authority
        self._clients: list[Client] = []
        self._leases: list[Operator] = []
        self._held = Held()

    def start(self) -> None:
        """Start on the ports of last time, or on free ones."""
        raise NotImplementedError

    def stop(self) -> None:
        """Stop listening and close all connections."""
        raise NotImplementedError

    def crash(self) -> None:
        """End as a process does that is killed: no goodbyes, and nothing more is put on disk."""
        raise NotImplementedError

    def fill_disk(self) -> None:
        """From now on the disk takes nothing; `empty_disk` ends it."""

    def empty_disk(self) -> None:
        """The disk takes everything again."""

    def reload(self) -> None:
        """Have it read anew who is who, if it does not do so by itself."""

    def restart(self) -> None:
        """Stop and start on the same ports."""
        self.stop()
        self.start()

    def image(
        self, folder: Path, device_id: str = "node-1", *, login: bool = False, **changes: Any
    ) -> Path:
        """Make `folder` a node's flash as provisioned, told to use this broker; return it.

        login: with username and password too. changes: fields of the config.
        """
        if self.setup.device(fields(device_id)):
            self.reload()
        shutil.copytree(self.setup.layout.device(device_id), folder)
        config = json.loads((folder / "config.json").read_text())
        config["port"] = self.login_port if login else self.port
        if login:
            config |= {"username": device_id, "password": PASSWORD}
        private.write(folder / "config.json", encoded(config | changes))
        return folder

    def client(
        self,
        device_id: str = "node-1",
        *,
        name: str | None = None,
        identity: Identity | None = None,
        certificate: bool = True,
        **options: Any,
    ) -> Client:
        """Return a client, not yet connected, with the certificate of a device.

        name: client id, if another. identity: the certificate, if another; certificate=False: none.
        """
        if identity is None and certificate:
            identity = self.authority.client(device_id)
        port = self.login_port if "username" in options else self.port
        ca = self.setup.layout.ca_certificate
        client = Client((self.host, port), name or device_id, identity, ca, **options)
        self._clients.append(client)
        return client

    def operator(self, subscribe: str | None = "limpet/#") -> Client:
        """Return a connected operator that has subscribed to everything, or to `subscribe`."""
        lease = operator_identity(self.setup.layout.root)
        self._leases.append(lease)
        client = self.client(lease.name, identity=load(lease.key, lease.cert)).connect()
        if subscribe:
            client.subscribe(subscribe)
        return client

    def close(self) -> None:
        """Close every client and stop."""
        for client in self._clients:
            client.close()
        for lease in self._leases:
            lease.release()
        self.stop()
        self._held.release()


class Embedded(RunningBroker):
    """The embedded broker, in this process."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.embedded = EmbeddedBroker(setup.layout.root, plain=True)

    def start(self) -> None:
        """Start on the port of last time, or on a free one."""
        self._held.release()
        self.port = self.login_port = self.embedded.start()
        self.plain_port = self.embedded.plain_port or 0

    def stop(self) -> None:
        """Stop listening and close all connections."""
        self.embedded.stop()
        self._held.hold(self.port, self.plain_port)

    def crash(self) -> None:
        """Stop: it lives in this process, and has everything in memory, so more cannot be lost."""
        self.stop()


class Mosquitto(RunningBroker):
    """mosquitto, configured by `limpet provision --broker-config mosquitto`."""

    more = ""  # configuration

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._process: subprocess.Popen[str] | None = None
        self._drain: threading.Thread | None = None
        self.log: list[str] = []
        shutil.rmtree(setup.layout.broker / "mosquitto", ignore_errors=True)

    def start(self) -> None:
        """Start and wait until it says that it runs."""
        # Its ports are numbers in a file: what is free now may be taken in a moment, hence three
        # tries.
        tries = 1 if self.port else 3
        self._held.release()
        for _ in range(tries):
            if not self.port:
                self.port, self.plain_port = _free_ports()
                self.login_port = renderer.login_port(self.port)
            if self._started():
                return
            if tries > 1:
                self.port = 0
        raise RuntimeError("mosquitto does not start:\n" + "\n".join(self.log))

    def _started(self) -> bool:
        from limpet.brokers.mosquitto.program import mosquitto

        conf = mosquitto_files.write(self.setup.layout, self.host, self.port)
        with open(conf, "a") as file:
            file.write(f"\nlog_dest stderr\nlistener {self.plain_port} {self.host}\n{self.more}")
        # Python ignores SIGXFSZ, and so shall mosquitto: a full disk is an error, no signal.
        self._process = subprocess.Popen(
            [*mosquitto(), "-v", "-c", str(conf)],
            stderr=subprocess.PIPE,
            text=True,
            restore_signals=False,
        )
        assert self._process.stderr
        for line in self._process.stderr:
            self.log.append(line.rstrip())
            if line.rstrip().endswith("running"):
                self._drain = threading.Thread(target=self.log.extend, args=(self._process.stderr,))
                self._drain.start()
                return True
        self._process.wait()
        return False

    def stop(self) -> None:
        """Stop it with SIGTERM; sessions and retained Messages are kept on disk."""
        if self._process and self._drain:
            self._terminate(self._process)
            self._drain.join()
            self._held.hold(self.port, self.plain_port, self.login_port)
        self._process = None

    def crash(self) -> None:
        """SIGKILL: what it has said since it last wrote its file is forgotten."""
        if self._process:
            self._process.kill()
        self.stop()

    def fill_disk(self) -> None:
        """The kernel lets it write no byte to any file (setrlimit(2), RLIMIT_FSIZE)."""
        self._limit_files(0)
        if self._process:
            self._process.send_signal(signal.SIGUSR1)  # write what is in memory now

    def empty_disk(self) -> None:
        """The disk takes everything again."""
        self._limit_files(resource.RLIM_INFINITY)

    def _limit_files(self, size: int) -> None:
        if self._process:
            limits = size, resource.RLIM_INFINITY
            resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, limits)

    def reload(self) -> None:
        """Send it SIGHUP, which it obeys before it looks at the next packet."""
        if self._process:
            self._process.send_signal(signal.SIGHUP)

    def _terminate(self, process: subprocess.Popen[str]) -> None:
        # mosquitto 2.0 forgets a SIGTERM that comes right after it said that it runs.
        deadline = time.monotonic() + TIMEOUT_S
        while process.poll() is None and time.monotonic() < deadline:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
        process.kill()  # does nothing to one that ended
        process.wait()


def _free_ports() -> tuple[int, int]:
    """Return a port whose successor is free too, and a third one."""
    while True:
        with (
            socket.create_server((LOOPBACK, 0)) as first,
            socket.create_server((LOOPBACK, 0)) as third,
        ):
            port = int(first.getsockname()[1])
            try:
                socket.create_server((LOOPBACK, renderer.login_port(port))).close()
            except OSError:
                continue
            return port, int(third.getsockname()[1])


@pytest.fixture(scope="session")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    """Make one set-up per session: certificates are not what most tests are about."""
    made = open_setup(tmp_path_factory.mktemp("setup") / "dev")
    for device_id in DEVICES:
        made.device(fields(device_id))
        passwords.set_password(made.layout, device_id, PASSWORD)
    return made


@pytest.fixture(scope="session")
def foreign() -> Authority:
    """Make a CA that no broker here knows."""
    return Authority.new("Foreign CA")


@pytest.fixture
def broker(setup: Setup) -> Iterator[RunningBroker]:
    """Run a broker of the kind that BROKER names, empty."""
    running: RunningBroker = Mosquitto(setup) if KIND == "mosquitto" else Embedded(setup)
    running.start()
    yield running
    running.close()
