"""What `limpet init --from` takes over from a set-up of Limpet 0.1: nothing of a device changes.

The old folder is not changed; from one in which a broker or a node runs nothing is taken.
"""

import contextlib
import os
from pathlib import Path
from typing import Any

from limpet.brokers.mosquitto import files as mosquitto_files
from limpet.brokers.mosquitto import renderer
from limpet.brokers.written import write_mosquitto
from limpet.fleet.devices import unused
from limpet.identity import authority, device_config
from limpet.identity.fleet_folder import is_old_setup
from limpet.identity.layout import Layout, running
from limpet.identity.operators import NAMES
from limpet.identity.provisioning import LOCAL_NAMES, Setup
from limpet.shared import private
from limpet.shared.firmware import errors, rules
from limpet.shared.problem import Problem

# What a broker that runs has in its folder for itself, or holds paths of the old place.
_LEFT = {"port", ".lock", mosquitto_files.CONF, renderer.UNIT}


def opened(folder: Path, root: Path) -> Layout:
    """Return the old set-up in `folder`, to be taken over into `root`; raises Problem."""
    folder = Path(os.path.realpath(folder))
    if not is_old_setup(folder):
        raise Problem(
            f"{folder} is no set-up of Limpet 0.1: it has no ca/ and operator/.",
            "A fleet needs no taking over: move or copy its folder.",
        )
    if folder == root:
        raise Problem(f"{folder} cannot be taken over into itself.", "Name another folder.")
    if running(folder):
        raise Problem(f"A broker runs in {folder}.", "End it, and what uses it, and start again.")
    old = Layout(folder)
    for device in _folders(old):
        with unused(device):
            pass  # what a node writes meanwhile would be lost
    old.bases()  # a registry that cannot be read is refused while nothing is done yet
    authority.load(old.ca / "ca.key", old.ca_certificate)
    return old


def settings(old: Layout) -> dict[str, Any]:
    """Return the fleet's settings as far as the old set-up tells them: by its first device that is
    no laptop's, else by its first one; and by its broker's certificate.
    """
    found = [made for made in map(_config, _folders(old)) if made is not None]
    found.sort(key=lambda made: rules.is_loopback(made.broker))  # stable: else as they come
    said: dict[str, Any] = {}
    if found:
        first = found[0]
        said = {"organisation": first.org, "address": first.broker}
        said["port"] = mosquitto_files.certificate_port(old, first.port)
        place = {"site": first.site, "zone": first.zone, "device_type": first.device_type}
        said["device"] = place
    if old.server_certificate.exists():
        names = authority.names(authority.load_certificate(old.server_certificate))
        known = {*LOCAL_NAMES, said.get("address")}
        said["names"] = tuple(name for name in names if name not in known)
    return said


def copy(old: Layout, new: Layout) -> None:
    """Copy what `old` has into `new`, each folder at once or not at all; what is there stays."""
    _copied(old.ca, new.ca)
    _copied(old.broker, new.broker)
    for name in NAMES:
        _copied_operator(old, new, name)
    for folder in _folders(old):
        _copied(folder, new.device(folder.name))


def renew_broker_files(old: Layout, setup: Setup) -> None:
    """Write mosquitto's files for the new place, where the old one had some, and say so."""
    if not (old.broker / mosquitto_files.CONF).exists():
        return
    configs = setup.configs()
    if not configs:
        return
    layout = setup.layout
    port = mosquitto_files.certificate_port(old, configs[0].port)
    host = renderer.where(configs, port)
    conf = write_mosquitto(layout, host, port)
    print(f"  mosquitto    start it with {conf}, no longer with that of {old.broker}")


def _folders(old: Layout) -> list[Path]:
    with contextlib.suppress(FileNotFoundError):
        return sorted(path for path in old.devices.iterdir() if device_config.there(path))
    return []


def _config(folder: Path) -> Any:
    try:
        return device_config.load(folder)
    except (OSError, errors.ConfigError):
        return None


def _copied(source: Path, target: Path) -> None:
    if target.exists() or not source.is_dir():
        return
    with contextlib.suppress(FileExistsError), private.new_folder(target) as draft:
        for path in sorted(source.rglob("*")):
            at = draft / path.relative_to(source)
            if path.is_dir():
                private.folder(at)
            elif path.is_file() and not (path.parent == source and path.name in _LEFT):
                private.write(at, path.read_bytes())


def _copied_operator(old: Layout, new: Layout, name: str) -> None:
    files = [old.root / "operator" / f"{name}{end}" for end in (".key", ".crt")]
    if new.operator(name).exists() or not all(path.is_file() for path in files):
        return
    with contextlib.suppress(FileExistsError), private.new_folder(new.operator(name)) as draft:
        for path in (*files, old.ca_certificate):
            private.write(draft / path.name, path.read_bytes())
