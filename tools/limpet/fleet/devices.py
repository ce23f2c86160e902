"""`limpet fleet`: what devices a fleet has, and one of them in full. What changes them is in
locking_out.py.

No secret is shown, and no board is touched.
"""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from limpet.brokers import age
from limpet.fleet.report import Json
from limpet.identity import authority, device_config, registry
from limpet.identity.consumers import expires
from limpet.identity.device_folder import DeviceFolder, checked
from limpet.identity.fleet_folder import FleetOption, required
from limpet.identity.layout import Layout
from limpet.shared import locks
from limpet.shared.plain import safe, word
from limpet.shared.problem import Problem, there_is

app = App(
    name="fleet",
    help="List the fleet's devices, show one, lock it out, renew or remove it; run many.",
)

Offline = Annotated[
    bool, Parameter(negative=(), help="Ask no broker: what is said comes from the folder alone.")
]
SECRETS = ("password", "wifi_password")
NOT_SHOWN = "(not shown)"
UNKNOWN = "It is not in the registry: no broker lets it in."


@dataclass(frozen=True)
class Device:
    """A device of the registry, or of the folder `devices/`: what it has, or what is wrong."""

    name: str
    entry: registry.Device | None
    has: DeviceFolder | None
    ends: datetime | None
    problem: str | None

    def summary(self) -> dict[str, Any]:
        """Return what `list` says of it."""
        config = self.has.config if self.has else None
        entry = self.entry
        return {
            "device": self.name,
            "base": entry.base if entry else None,
            "added": entry.added if entry else None,
            "auth": entry.auth if entry else None,
            "revoked": entry.revoked if entry else None,
            "broker": config.broker if config else None,
            "port": config.port if config else None,
            "more_brokers": config.more_brokers or [] if config else None,
            "wifi": config.wifi_ssid if config else None,
            "login": config.username is not None if config else None,
            "expires": registry.stamp(self.ends) if self.ends else None,
            "problem": self.problem,
        }


def devices(layout: Layout) -> list[Device]:
    """Return every device of a fleet, by name."""
    known = layout.registered().devices
    folders = layout.devices.iterdir() if layout.devices.is_dir() else ()
    # A draft of private.new_folder that a cut has left begins with a dot, as no device does.
    names = {path.name for path in folders if not path.name.startswith(".")}
    return [_device(layout, name, known.get(name)) for name in sorted(names | known.keys())]


def _device(layout: Layout, name: str, entry: registry.Device | None) -> Device:
    try:
        has = checked(layout.device(name), name)
    except Problem as problem:
        return Device(name, entry, None, _ends(layout, name), problem.cause)
    return Device(name, entry, has, has.expires, None if entry else UNKNOWN)


def _ends(layout: Layout, name: str) -> datetime | None:
    """Return when a certificate ends whose device has something else that is wrong, such as that
    it has ended.
    """
    try:
        return authority.load_certificate(layout.device(name) / "cert.der").not_valid_after_utc
    except Problem:
        return None


def one(layout: Layout, name: str) -> Device:
    """Return the device `name`; raises Problem where there is none."""
    known = devices(layout)
    for each in known:
        if each.name == name:
            return each
    raise Problem(
        f"No device is called {name!r} in the fleet {layout.root}.",
        there_is((each.name for each in known), name),
    )


@app.command(name="list")
def list_devices(
    *, fleet: FleetOption = None, offline: Offline = False, as_json: Json = False
) -> None:
    """List the devices: place, broker, until when their certificates are good, and whether their
    broker has them online.
    """
    root = required(fleet).root
    layout = Layout(root)
    found = [each.summary() for each in devices(layout)]
    faults = [] if offline else _see(layout, found)
    if as_json:
        print(json.dumps(found, indent=2))
        for fault in faults:
            print(f"limpet: {fault}", file=sys.stderr)
        age.tell(layout, sys.stderr)
        return
    print(f"fleet {root}")
    if not found:
        print("No devices yet: limpet provision node-1 --broker ADDRESS --wifi-ssid NAME")
        return
    rows = [("device", "topics below", "broker", "certificate until", "seen")]
    for each in found:
        where = f"{each['broker']}:{each['port']}" if each["broker"] else "?"
        where += f" +{len(each['more_brokers'])}" if each["more_brokers"] else ""
        until = (each["expires"] or "?")[:10]
        status = each.get("status")
        seen = "revoked" if each["revoked"] else (status or {}).get("status", "-")
        rows.append((each["device"], each["base"] or "?", where, until, seen))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row, shown in zip(rows, [None, *found], strict=True):
        print(
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        )
        if shown and shown["problem"]:
            print(f"    {shown['problem']}")
    for fault in faults:
        print(f"Who is online is not known: {fault}")
    print(_ends_of_others(layout))
    age.tell(layout)


def _ends_of_others(layout: Layout) -> str:
    """Return until when what is no device's is good."""
    said = []
    for whose, path in (
        ("broker", layout.server_certificate),
        ("authority", layout.ca_certificate),
    ):
        with contextlib.suppress(Problem):
            until = authority.load_certificate(path).not_valid_after_utc
            said.append(f"{whose} {until:%Y-%m-%d}")
    ends = ((end, name) for name in layout.consumers() if (end := expires(layout, name)))
    if soonest := min(ends, default=None):
        said.append(f"programs {soonest[0]:%Y-%m-%d} ({soonest[1]} is the first)")
    return f"certificates until: {', '.join(said)}"


def _see(layout: Layout, found: list[dict[str, Any]]) -> list[str]:
    """Enter into each device's summary its retained status; return why some are not known."""
    # Loaded here: it takes paho and TLS, and what is asked of no broker needs neither.
    from limpet.fleet import seen

    names = [each["device"] for each in found if each["broker"] and not each["revoked"]]
    statuses, faults = seen.statuses(layout, names)
    for each in found:
        each["status"] = statuses.get(each["device"])
    return faults


@app.command
def show(
    device: str, /, *, fleet: FleetOption = None, offline: Offline = False, as_json: Json = False
) -> None:
    """Show one device: where it is, its certificates, its status, and its config without passwords.

    Parameters
    ----------
    device
        The device's id.
    """
    layout = Layout(required(fleet).root)
    found = one(layout, device)
    said: dict[str, Any] = found.summary() | {"folder": str(layout.device(device))}
    said["certificates"] = found.entry.certificates if found.entry else {}
    faults = [] if offline else _see(layout, [said])
    config = _config(found)
    if as_json:
        print(json.dumps(said | {"config": config}, indent=2))
        for fault in faults:
            print(f"limpet: {fault}", file=sys.stderr)
        return
    _print_page(said, config or {}, faults)


def _print_page(said: dict[str, Any], config: dict[str, Any], faults: list[str]) -> None:
    place, name = said["base"] or "in no registry", said["device"]
    print(f"{name}: {place}")
    where = f"{said['broker']}:{said['port']}" if said["broker"] else "not known"
    login = "by its certificate" + (" and a password" if said["login"] else "")
    rows = [
        ("problem", said["problem"]),
        ("revoked", _day(said["revoked"])),
        ("broker", f"{where}, {login}"),
        ("Wi-Fi", said["wifi"]),
        ("status", _status(said.get("status"), faults)),
        ("added", _day(said["added"])),
        ("certificate", f"until {_day(said['expires']) or 'nobody knows when'}"),
        ("folder", said["folder"]),
    ]
    given = said["certificates"].items()
    rows += [("given", f"{serial}, until {_day(end)}") for serial, end in given]
    for title, text in rows:
        if text is not None:
            print(f"  {title:<13}{safe(text)}")
    print("config, without passwords:" if config else "config: it cannot be read")
    for title, value in config.items():
        print(f"  {title:<22} {word(value)}")


def _day(stamp: str | None) -> str | None:
    return stamp[:10] if stamp else None


def _status(status: dict[str, Any] | None, faults: list[str]) -> str | None:
    """Return a status as a line: `online; boot 3, ...`; why it is not known; None: not asked."""
    if faults:
        return f"not known: {faults[0]}"
    if status is None:
        return None
    more = ", ".join(f"{name} {word(value)}" for name, value in status.items() if name != "status")
    return f"{word(status['status'])}; {more}" if more else word(status["status"])


def _config(found: Device) -> dict[str, Any] | None:
    if found.has is None:
        return None
    said = device_config.read(found.has.folder)
    return said | {name: NOT_SHOWN for name in SECRETS if said.get(name) is not None}


@contextlib.contextmanager
def unused(folder: Path) -> Iterator[None]:
    """Keep nodes on this PC from running in `folder`; raises Problem while one does."""
    if os.name == "nt" or not folder.is_dir():  # on Windows no node runs, and no folder is opened
        yield
        return
    with locks.held(folder, f"A node runs in {folder}.", "End it, and start again."):
        yield


app.command("limpet.fleet.load.run:run", name="run")
for _verb in ("revoke", "renew", "remove"):
    app.command(f"limpet.fleet.locking_out:{_verb}", name=_verb)
app.command("limpet.fleet.retiring:decommission", name="decommission")
