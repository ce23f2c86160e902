"""Where things lie in a set-up, a fleet's or a throw-away one, and the registry of its devices.

    ca/                   ca.key ca.crt
    broker/               server.key server.crt, devices.json (the registry), passwords, and
                          crl.pem: which certificates are revoked, by the CA
    devices/<id>/         identity.json settings.json ca.der cert.der key.der: a node's flash
    operators/<name>/     <name>.key <name>.crt ca.crt: all that this consumer needs elsewhere
    page/                 password (a hash), https.key https.crt: of `limpet page` beyond loopback

A device's own folder is not trusted: the node writes there.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from limpet.identity.registry import (
    OPERATORS,
    BadRegistryError,
    Device,
    NewerError,
    Registry,
    Role,
    stamp,
)
from limpet.shared import locks, private
from limpet.shared.problem import Problem


class Layout:
    """The set-up in the directory `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ca = root / "ca"
        self.ca_certificate = self.ca / "ca.crt"
        self.broker = root / "broker"
        self.server_key = self.broker / "server.key"
        self.server_certificate = self.broker / "server.crt"
        self.passwords = self.broker / "passwords"
        self.registry = self.broker / "devices.json"
        self.crl = self.broker / "crl.pem"
        self.devices = root / "devices"
        self.operators = root / "operators"
        self._read: tuple[tuple[int, int, int], Registry] | None = None

    def device(self, device_id: str) -> Path:
        """Return the folder of a device: its flash image."""
        return self.devices / device_id

    def operator(self, name: str) -> Path:
        """Return the folder of an operator."""
        return self.operators / name

    def operator_pair(self, name: str) -> tuple[Path, Path]:
        """Return key and certificate of an operator."""
        folder = self.operator(name)
        return folder / f"{name}.key", folder / f"{name}.crt"

    def bases(self) -> dict[str, str]:
        """Return the base topic of every device by its id, as provisioned, without those that are
        revoked; raises Problem.
        """
        devices = self.registered().devices
        return {name: each.base for name, each in devices.items() if each.revoked is None}

    def consumers(self) -> dict[str, Role]:
        """Return the role of each consumer, which is what it may do, by its name; raises Problem.

        The operators that every set-up has, which the tools lease, are among them.
        """
        own: dict[str, Role] = dict.fromkeys(OPERATORS, "operate")
        return own | {name: each.role for name, each in self.registered().consumers.items()}

    def registered(self) -> Registry:
        """Return all that the registry says, not to be changed; raises Problem. What has not
        changed on the disk is not read again: brokers ask at every login.
        """
        try:
            # Opened, then looked at: another file may come by this name at any time.
            with open(self.registry, "rb") as file:
                status = os.fstat(file.fileno())
                mark = (status.st_ino, status.st_mtime_ns, status.st_size)
                if self._read is None or self._read[0] != mark:
                    self._read = mark, self._parsed(file.read())
        except FileNotFoundError:
            return Registry()
        return self._read[1]

    def _parsed(self, data: bytes) -> Registry:
        try:
            return Registry.parse(data)
        except NewerError as error:
            cause = f"{self.registry}: v {error.args[0]} is that of a later Limpet."
            raise Problem(cause, "Use that one.") from None
        except BadRegistryError:
            cause = f"{self.registry} is no registry any more."
            raise Problem(cause, "Restore it from a backup.") from None

    @contextlib.contextmanager
    def edited(self) -> Iterator[Registry]:
        """Yield what the registry says, to be changed; written at the end, once and if it differs.

        Nobody else changes a file in `broker/` meanwhile. After an error nothing is written.
        """
        with self.changing():
            before = self.registry.read_bytes() if self.registry.exists() else None
            found = Registry() if before is None else self._parsed(before)
            yield found
            if (text := found.text()) != before:
                private.write(self.registry, text)

    def register(self, device_id: str, base: str) -> None:
        """Enter a device, or its new place, in the registry that brokers believe."""
        with self.edited() as registry:
            known = registry.devices.get(device_id) or Device(base, stamp())
            registry.devices[device_id] = replace(known, base=base)

    def changing(self) -> contextlib.AbstractContextManager[None]:
        """Hold off every other process that changes a file in `broker/`, made if missing."""
        waiting = f"waiting for another process that changes {self.broker}"
        return locks.alone(private.folder(self.broker) / ".lock", waiting)


@contextlib.contextmanager
def announced(layout: Layout, host: str, port: int) -> Iterator[None]:
    """Say while the block runs that a broker of this set-up listens on `host` and `port`.

    With a second broker in the same set-up the first one's word stands.
    """
    descriptor = os.open(private.folder(layout.broker) / "port", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if locks.take(descriptor):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{port} {host}".encode())
        yield
    finally:
        os.close(descriptor)


def running_port(root: Path) -> int | None:
    """Return the port of the broker that runs in the set-up `root`, or None when none does."""
    found = running(root)
    return found[1] if found else None


def running(root: Path) -> tuple[str, int] | None:
    """Return address and port of the broker that runs in the set-up `root`; None: none does."""
    try:
        descriptor = os.open(root / "broker" / "port", os.O_RDWR)
    except OSError:
        return None
    try:
        # The lock goes with the process, however it ends; the file alone may be years old.
        if locks.take(descriptor):
            return None
        port, _, host = os.read(descriptor, 300).decode().partition(" ")
        return (host, int(port)) if port else None
    finally:
        os.close(descriptor)
