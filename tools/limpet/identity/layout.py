"""Where things lie in a set-up, a fleet's or a throw-away one, and the registry of its devices.

    ca/                   ca.key ca.crt
    broker/               server.key server.crt, devices.json (the registry), passwords
    devices/<id>/         identity.json settings.json ca.der cert.der key.der: a node's flash
    operators/<name>/     <name>.key <name>.crt ca.crt: all that this operator needs elsewhere

A device's own folder is not trusted: the node writes there.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from limpet.shared import locks, private
from limpet.shared.firmware import config
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
        self.devices = root / "devices"
        self.operators = root / "operators"

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
        """Return the base topic of every device by its id, as provisioned; raises Problem."""
        try:
            found = json.loads(self.registry.read_bytes())
        except FileNotFoundError:
            return {}
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or not all(_is_entry(*each) for each in found.items()):
            raise Problem(f"{self.registry} is no registry any more.", "Restore it from a backup.")
        return found

    def register(self, device_id: str, base: str) -> None:
        """Enter a device, or its new place, in the registry that brokers believe."""
        with self.changing():
            self._write(self.bases() | {device_id: base})

    def unregister(self, device_id: str) -> bool:
        """Take a device out of the registry; whether it was in there."""
        with self.changing():
            bases = self.bases()
            known = bases.pop(device_id, None) is not None
            if known:
                self._write(bases)
        return known

    def _write(self, bases: dict[str, str]) -> None:
        text = json.dumps(dict(sorted(bases.items())), indent=2) + "\n"
        private.write(self.registry, text.encode())

    def changing(self) -> contextlib.AbstractContextManager[None]:
        """Hold off every other process that changes a file in `broker/`, made if missing."""
        return locks.alone(private.folder(self.broker) / ".lock")


def _is_entry(device_id: str, base: Any) -> bool:
    """Whether the registry may say so. An id names a folder that `fleet remove` deletes, and it has
    to be one in devices/; a wildcard in a base would give the device another's topics.
    """
    if config.fault("device_id", device_id) or not isinstance(base, str):
        return False
    return not set("+#") & set(base)


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
