"""`limpet operator`: identities for programs that are no device: add, list, renew, remove.

A broker lets in one client of a name. Two programs with one certificate throw each other out, so
each gets its own here.
"""

import json
from datetime import UTC
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from limpet.brokers.rules import ROLES, organisations
from limpet.brokers.setup import open_setup
from limpet.fleet import reload
from limpet.fleet.report import Json, Yes, reported
from limpet.identity import authority, consumers
from limpet.identity.fleet_folder import FleetOption, quoted, required
from limpet.identity.layout import Layout
from limpet.identity.operators import NAMES
from limpet.identity.registry import Role, stamp
from limpet.operating.where import SetupInfo
from limpet.shared import asked
from limpet.shared.numbers import Days
from limpet.shared.problem import Problem

_ROLE = max(map(len, ROLES))
_DOES: dict[Role, str] = {
    "operate": "hears everything, and sends Commands",
    "read": "hears everything, and says nothing",
    "discovery": "hears everything, and tells Home Assistant which devices there are",
    "home-assistant": "hears everything, as Home Assistant, and sends Commands",
}

app = App(
    name="operator",
    help="Make identities for programs of your own, list, renew, or take one out of the fleet.",
)


@app.command
def add(
    name: str,
    /,
    *,
    read: Annotated[bool, Parameter(negative=())] = False,
    role: Role | None = None,
    fleet: FleetOption = None,
    as_json: Json = False,
) -> None:
    """Make an identity for a program: a certificate and a key, in operators/NAME of the fleet.

    The program's client id has to be NAME, and two programs need two names. One that is there stays
    as it is.

    Parameters
    ----------
    name
        Its name: the certificate's, and the client id.
    read
        It may hear what an operator hears, and say nothing: no Commands. The same as --role read.
    role
        What it may do: operate (hear everything, send Commands), read, discovery (`limpet
        homeassistant`), home-assistant (Home Assistant itself) [default: operate].
    """
    if read and role not in (None, "read"):
        raise Problem(f"--read and --role {role} contradict each other.", "Give one of them.")
    role = role or ("read" if read else "operate")
    root = required(fleet).root
    with reported(as_json) as said:
        setup = open_setup(root)
        made = consumers.add(setup, name, role)
        folder = setup.layout.operator(name)
        print(f"{name} {_DOES[role]}: {folder}" + ("" if made else " (was there already)"))
        print(f"Its client id is {name}; a second program with this name throws the first one out.")
        org = next(iter(organisations(setup.layout.bases())), "ORGANISATION")
        print(
            f"Such as: cd {quoted(folder)} && mosquitto_sub {_broker(root)} -i {name} "
            f"--cafile ca.crt --cert {name}.crt --key {name}.key -v -t '{org}/#'"
        )
        said |= {"made": made, **_said(setup.layout, name, setup.layout.consumers()[name])}
        said["to_do"] = reload.tell(setup)


def _broker(root: Path) -> str:
    """Return the words that name the devices' broker to mosquitto_sub."""
    try:
        info = SetupInfo(root)
    except Problem:  # no device yet, which would say where
        return "-h BROKER -p 8883"
    return f"-h {info.host} -p {info.port}"


@app.command(name="list")
def list_consumers(*, fleet: FleetOption = None, as_json: Json = False) -> None:
    """List the operators that every fleet has, and the programs that were added: what each may do,
    and until when its certificate is good.
    """
    layout = Layout(required(fleet).root)
    found = [_said(layout, name, role) for name, role in layout.consumers().items()]
    if as_json:
        print(json.dumps(found, indent=2))
        return
    width = max(len(str(each["name"])) for each in found)
    for each in found:
        until = str(each["expires"] or "?")[:10]
        note = f"  {each['problem']}" if each["problem"] else ""
        whose = "every fleet's" if each["name"] in NAMES else ""
        print(f"{each['name']:<{width}}  {each['role']:<{_ROLE}}  {until}  {whose}{note}".rstrip())


def _said(layout: Layout, name: str, role: str) -> dict[str, str | None]:
    key, certificate = layout.operator_pair(name)
    expires = problem = None
    try:
        expires = stamp(authority.load(key, certificate).expires.astimezone(UTC))
    except Problem as found:
        problem = found.cause
    folder: Path = layout.operator(name)
    return {
        "name": name,
        "role": role,
        "expires": expires,
        "folder": str(folder),
        "problem": problem,
    }


@app.command
def renew(
    *name: str,
    within: Days = 30,
    all_: Annotated[bool, Parameter(name="--all", negative=())] = False,
    fleet: FleetOption = None,
    as_json: Json = False,
) -> None:
    """Give programs and operators new keys and certificates: those that are named, else those that
    end soon. The old ones stay good until their end; no broker has to be told.

    Copies elsewhere, such as on another machine, have to be copied anew. `limpet fleet renew` does
    it too.

    Parameters
    ----------
    name
        Their names, as in `limpet operator list`.
    within
        Without names: those whose certificates end within so many days.
    all_
        All of them.
    """
    root = required(fleet).root
    layout = Layout(root)
    with reported(as_json) as said:
        due = list(name) or consumers.due(layout, None if all_ else within)
        renewed, in_use = consumers.renew(open_setup(root), due)
        print(f"new keys and certificates: {', '.join(renewed) or 'none due'}")
        if renewed:
            print(f"They lie in {layout.operators}; copies elsewhere are the old ones.")
        said |= {"renewed": renewed, "in_use": in_use}
    if in_use:
        raise Problem(
            f"Not renewed, as a program has it: {', '.join(in_use)}.",
            "End that program, and start again.",
        )


@app.command
def remove(
    name: str, /, *, yes: Yes = False, fleet: FleetOption = None, as_json: Json = False
) -> None:
    """Take a program out of the fleet: its certificate is revoked, and its folder removed.

    Parameters
    ----------
    name
        Its name, as in `limpet operator list`.
    """
    layout = Layout(required(fleet).root)
    consumers.removable(layout, name)
    if not yes:
        folder = layout.operator(name)
        asked.agreed(
            f"Remove {name} from the fleet {layout.root}, and {folder} with its key?",
            "Nothing was removed.",
        )
    with reported(as_json) as said:
        setup = open_setup(layout.root)
        consumers.remove(setup, name)
        print(f"{name} is out of the fleet, and its certificate is revoked.")
        said["removed"] = name
        said["to_do"] = reload.tell(setup)
