"""`limpet fleet`: what devices a fleet has, one of them in full, and one taken out of it.

No secret is shown, and no board is touched.
"""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from limpet.brokers import age
from limpet.brokers.setup import open_setup
from limpet.fleet import reload
from limpet.identity import device_config
from limpet.identity.device_folder import DeviceFolder, checked
from limpet.identity.fleet_folder import FleetOption, required
from limpet.identity.layout import Layout
from limpet.shared import locks, private
from limpet.shared.problem import Problem

app = App(name="fleet", help="List the fleet's devices, show one, or take one out of the fleet.")

Json = Annotated[bool, Parameter(name="--json", negative=(), help="Print it as JSON.")]
SECRETS = ("password", "wifi_password")
NOT_SHOWN = "(not shown)"
UNKNOWN = "It is not in the registry: no broker lets it in."


@dataclass(frozen=True)
class Device:
    """A device of the registry, or of the folder `devices/`: what it has, or what is wrong."""

    name: str
    base: str | None
    has: DeviceFolder | None
    problem: str | None

    def summary(self) -> dict[str, Any]:
        """Return what `list` says of it."""
        config = self.has.config if self.has else None
        expires = self.has.expires if self.has else None
        return {
            "device": self.name,
            "base": self.base,
            "broker": config.broker if config else None,
            "port": config.port if config else None,
            "wifi": config.wifi_ssid if config else None,
            "login": config.username is not None if config else None,
            "expires": f"{expires.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if expires else None,
            "problem": self.problem,
        }


def devices(layout: Layout) -> list[Device]:
    """Return every device of a fleet, by name."""
    bases = layout.bases()
    folders = layout.devices.iterdir() if layout.devices.is_dir() else ()
    # A draft of private.new_folder that a cut has left begins with a dot, as no device does.
    names = {path.name for path in folders if not path.name.startswith(".")}
    return [_device(layout, name, bases.get(name)) for name in sorted(names | bases.keys())]


def _device(layout: Layout, name: str, base: str | None) -> Device:
    try:
        has = checked(layout.device(name), name)
    except Problem as problem:
        return Device(name, base, None, problem.cause)
    return Device(name, base, has, None if base else UNKNOWN)


def _one(layout: Layout, name: str) -> Device:
    """Return the device `name`; raises Problem where there is none."""
    known = devices(layout)
    for each in known:
        if each.name == name:
            return each
    names = ", ".join(each.name for each in known) or "none"
    raise Problem(
        f"No device is called {name!r} in the fleet {layout.root}.", f"There is: {names}."
    )


@app.command(name="list")
def list_devices(*, fleet: FleetOption = None, as_json: Json = False) -> None:
    """List the devices: place, broker, and until when their certificates are good."""
    root = required(fleet).root
    found = [each.summary() for each in devices(Layout(root))]
    if as_json:
        print(json.dumps(found, indent=2))
        age.tell(Layout(root), sys.stderr)
        return
    print(f"fleet {root}")
    if not found:
        print("No devices yet: limpet provision node-1 --broker ADDRESS --wifi-ssid NAME")
        return
    rows = [("device", "topics below", "broker", "certificate until")]
    for each in found:
        where = f"{each['broker']}:{each['port']}" if each["broker"] else "?"
        until = (each["expires"] or "?")[:10]
        rows.append((each["device"], each["base"] or "?", where, until))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row, shown in zip(rows, [None, *found], strict=True):
        print(
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        )
        if shown and shown["problem"]:
            print(f"    {shown['problem']}")
    age.tell(Layout(root))


@app.command
def show(device: str, /, *, fleet: FleetOption = None, as_json: Json = False) -> None:
    """Show one device: where it is, its certificate, and its config without passwords.

    Parameters
    ----------
    device
        The device's id.
    """
    layout = Layout(required(fleet).root)
    found = _one(layout, device)
    said: dict[str, Any] = found.summary() | {"folder": str(layout.device(device))}
    config = _config(found)
    if as_json:
        print(json.dumps(said | {"config": config}, indent=2))
        return
    for name, value in said.items():
        if value is not None:
            print(f"{name:<10} {value}")
    for name, value in (config or {}).items():
        print(f"  {name} = {json.dumps(value, ensure_ascii=False)}")


def _config(found: Device) -> dict[str, Any] | None:
    if found.has is None:
        return None
    said = device_config.read(found.has.folder)
    return said | {name: NOT_SHOWN for name in SECRETS if said.get(name) is not None}


@app.command
def remove(
    device: str,
    /,
    *,
    yes: Annotated[bool, Parameter(negative=())] = False,
    fleet: FleetOption = None,
) -> None:
    """Take a device out of the fleet: out of the brokers' registry, and its folder with its key.

    Parameters
    ----------
    device
        The device's id.
    yes
        Do not ask.
    """
    layout = Layout(required(fleet).root)
    _one(layout, device)
    folder = layout.device(device)
    if not yes:
        _ask(f"Remove {device} from the fleet {layout.root}, and {folder} with its key?")
    with unused(folder):
        # The registry first: what is cut short here is a device that no broker lets in.
        setup = open_setup(layout.root)
        setup.forget(device)
        private.remove(folder)
    print(f"{device} is out of the registry, and {folder} is gone.")
    print("Its certificates are revoked.")
    reload.tell(setup, device)
    print("The board keeps its key until it is erased: limpet flash BOARD --erase")


@contextlib.contextmanager
def unused(folder: Path) -> Iterator[None]:
    """Keep nodes on this PC from running in `folder`; raises Problem while one does."""
    if os.name == "nt" or not folder.is_dir():  # on Windows no node runs, and no folder is opened
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if not locks.take(descriptor):
            raise Problem(f"A node runs in {folder}.", "End it, and start again.")
        yield
    finally:
        os.close(descriptor)


def _ask(question: str) -> None:
    """Raise Problem unless the answer is yes."""
    kept = "Nothing was removed."
    if not sys.stdin.isatty():
        raise Problem(f"There is nobody to ask. {kept}", "Say --yes.")
    try:
        answer = input(f"{question} [y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise Problem(kept, "Say y, or --yes.")
