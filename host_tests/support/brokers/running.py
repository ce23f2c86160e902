"""A running broker, set up by `limpet provision`, and clients for it: what all kinds share.

Ports are free ones, so tests run beside each other.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from limpet.brokers.embedded.broker import LOOPBACK
from limpet.identity import device_config
from limpet.identity.authority import Identity, load
from limpet.identity.operators import Operator, operator_identity
from limpet.identity.provisioning import Setup
from limpet.operating.levers.held import Held
from support.brokers.mqtt_client import Client

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
    """`port` takes certificates, `login_port` passwords besides. `plain_port` speaks no TLS, for
    clients that have to refuse it, and lets nobody in. `kind` is what BROKER calls it.
    """

    kind = ""
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
        config = device_config.read(folder)
        config["port"] = self.login_port if login else self.port
        if login:
            config |= {"username": device_id, "password": PASSWORD}
        device_config.write(folder, config | changes)
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
