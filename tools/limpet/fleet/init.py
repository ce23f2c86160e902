"""`limpet init`: makes a fleet's folder, with its CA, its broker's certificate and its operators.

    limpet.toml           what a new device begins with; written last: it makes the folder a fleet
    ca/ broker/ devices/ operators/     see identity/layout.py
    boards/               Boards of the user's own, which go before ours
    .gitignore            lets into git what is no secret, and nothing else

What a cut leaves has no limpet.toml, and the next run goes on from there. A fleet that is there is
not changed.
"""

import os
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from limpet.brokers.setup import open_setup
from limpet.fleet import adopting
from limpet.identity import authority, fleet_settings
from limpet.identity.fleet_folder import (
    MARK,
    VARIABLE,
    data_folder,
    is_fleet,
    is_old_setup,
    quoted,
)
from limpet.identity.fleet_settings import Settings
from limpet.identity.layout import Layout
from limpet.shared import locks, private
from limpet.shared.numbers import Port
from limpet.shared.problem import Problem

IGNORE = """\
# Keys and passwords stay out of git. What may be committed is named here, and nothing else: a new
# file is a secret until somebody has looked at it. (devices/ID/identity.json may hold passwords.)
/*
!/.gitignore
!/limpet.toml
!/boards/
!/ca/
/ca/*
!/ca/ca.crt
!/broker/
/broker/*
!/broker/devices.json
*.key
*.der
*.pem
"""
# What an init that was cut short leaves; and what is not looked at.
_FOLDERS = {"ca", "broker", "devices", "operators", "boards"}
_OURS = _FOLDERS | {".gitignore"}
_HARMLESS = {".git", ".DS_Store", "lost+found", ".lock"}
# There while a set-up is taken over, with its path: who goes on without would make another CA.
_ADOPTING = ".adopting"


def init(
    folder: Path = Path(),
    /,
    *,
    org: str | None = None,
    broker: Annotated[list[str] | None, Parameter(negative=())] = None,
    port: Port | None = None,
    server_name: Annotated[list[str] | None, Parameter(negative=())] = None,
    old: Annotated[Path | None, Parameter(name="--from")] = None,
) -> int:
    """Make the folder of a fleet: the devices, keys and broker that belong together.

    A folder that is a fleet already stays as it is.

    Parameters
    ----------
    folder
        The fleet's folder: a new one, or one with nothing in it; `.` is the working directory.
    org
        First level of all topics, the organisation [default: limpet].
    broker
        Host name or address at which devices find the broker [default: 127.0.0.1, the device
        itself]. Can be repeated: they turn to the next one, HOST or HOST:PORT, where one cannot be
        had.
    port
        The broker's port [default: 8883].
    server_name
        Further name or address of the broker, for its certificate. Can be repeated.
    old
        Take over what Limpet 0.1 made in this folder: CA, broker, operators, devices. That folder
        stays as it is.
    """
    # Absolute: it is said to the user, and goes into a broker's configuration.
    root = Path(os.path.realpath(folder.expanduser()))
    said = {"organisation": org, "port": port}
    given: dict[str, Any] = {name: value for name, value in said.items() if value is not None}
    if broker:
        given |= {"address": broker[0], "more": tuple(broker[1:])}
    if server_name:
        given["names"] = tuple(server_name)
    if is_fleet(root):
        return _there(root, given, old)
    source = adopting.opened(old.expanduser(), root) if old else None
    _refuse(root, adopting=source is not None)
    settings = Settings(**((adopting.settings(source) if source else {}) | given))
    if fault := fleet_settings.faults(settings):
        key, rule = fault
        raise Problem(f"{key.rpartition('.')[2]}: {rule}.", "Nothing was made; give another.")
    _make(root, settings, source)
    return 0


def _there(root: Path, given: dict[str, Any], old: Path | None) -> int:
    """Say that the fleet `root` is there; raises Problem where that is not what was asked for."""
    settings = fleet_settings.read(root)
    other = [name for name, value in given.items() if getattr(settings, name) != value]
    if other or old:
        what = f"with another {other[0]}" if other else f"and nothing is taken over from {old}"
        raise Problem(
            f"{root} is a fleet already, {what}.", f"Edit {root / MARK}, or name another folder."
        )
    print(f"{root} is a fleet already; nothing was changed.")
    return 0


def _refuse(root: Path, *, adopting: bool) -> None:
    """Raise Problem where no fleet is to be: among other things, or inside another fleet."""
    if above := next((each for each in root.parents if is_fleet(each)), None):
        raise Problem(
            f"{root} is inside the fleet {above}.", "A fleet has a folder of its own: name another."
        )
    if is_old_setup(root):
        raise Problem(
            f"{root} is a set-up of Limpet 0.1.",
            f"Take it over: limpet init FOLDER --from {quoted(root)}",
        )
    allowed = _OURS | _HARMLESS | ({_ADOPTING} if adopting else set())
    found = sorted(os.listdir(root)) if root.exists() else []
    others = [name for name in found if name not in allowed and not private.is_draft(name)]
    if _ADOPTING in others:
        whence = (root / _ADOPTING).read_text("utf-8", "surrogateescape").strip()
        raise Problem(
            f"In {root} a set-up was being taken over, and that was cut short.",
            f"Have it done: limpet init {quoted(root)} --from {quoted(Path(whence))}",
        )
    if others:
        names = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
        raise Problem(f"{root} holds other things: {names}.", "Name a folder of its own.")


def _make(root: Path, settings: Settings, source: Layout | None) -> None:
    with locks.alone(private.folder(root) / ".lock"):
        _fill(root, settings, source)
    _report(Layout(root), settings, source)


def _fill(root: Path, settings: Settings, source: Layout | None) -> None:
    print(f"Making the fleet {root}", flush=True)
    for each in (root, *(root / name for name in _FOLDERS)):
        if each.is_dir():
            private.sweep(each)
    private.write(root / ".gitignore", IGNORE.encode())
    private.folder(root / "boards")
    layout = Layout(root)
    private.folder(layout.devices)
    if source:
        private.write(root / _ADOPTING, os.fsencode(source.root) + b"\n")
        adopting.copy(source, layout)
    setup = open_setup(root, settings.server_names())
    if source:
        adopting.renew_broker_files(source, setup)
    private.write(root / MARK, fleet_settings.text(settings).encode())
    if source:
        (root / _ADOPTING).unlink()


def _report(layout: Layout, settings: Settings, source: Layout | None) -> None:
    server = authority.load_certificate(layout.server_certificate)
    ca = authority.load_certificate(layout.ca_certificate)
    until = f"{ca.not_valid_after_utc:%Y-%m-%d}"
    print(f"  {MARK:<12} organisation {settings.organisation}, and what a new device begins with")
    print(f"  {'ca/':<12} until {until}; whoever has ca.key can be any device: keep a copy, safely")
    print(f"  {'broker/':<12} its certificate is for {', '.join(authority.names(server))}")
    print(f"  {'operators/':<12} for `limpet watch` and `send`, and for tools of your own")
    if source:
        print(f"  {'devices/':<12} {', '.join(layout.bases()) or 'none'}")
        print(f"{source.root} is as it was: remove it once this fleet works.")
    print("Next, in that folder:")
    if settings.address == fleet_settings.LOOPBACK:
        print(
            "  limpet provision node-1 --broker ADDRESS --wifi-ssid NAME     ADDRESS: the broker's"
        )
    else:
        print("  limpet provision node-1 --wifi-ssid NAME     a device: its key and its config")
    if os.path.realpath(data_folder()) == str(layout.root):
        print("It is found from everywhere.")
    else:
        place = quoted(layout.root)
        print(f"From elsewhere: --fleet {place}, or {VARIABLE}={place} for all commands.")
