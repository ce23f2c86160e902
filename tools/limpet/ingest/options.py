"""Which fleet, and who we are to its broker, as a command line says it: of `limpet ingest`, and of
what else hears all devices.

Its annotations are no texts: a class that inherits from Source lies where their names mean nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from limpet.identity import fleet_folder
from limpet.identity.fleet_folder import FleetOption
from limpet.identity.layout import Layout
from limpet.ingest.asked import Address
from limpet.operating.where import SetupInfo
from limpet.shared.firmware import more_brokers
from limpet.shared.numbers import Port
from limpet.shared.problem import Problem

MQTT_PORT = 8883
NAME = "ingest"
_EVERY = "+/+/+/+"


@Parameter(name="*")
@dataclass(frozen=True)
class Source:
    """Which fleet, and who we are to its broker."""

    fleet: FleetOption = None
    identity: Path | None = None
    """Folder with NAME.crt, NAME.key and ca.crt, where there is no fleet [default: the fleet's
    operators/NAME]."""
    name: Annotated[str, Parameter(name="--as")] = NAME
    """Name of that identity; it is good for one program at a time."""
    broker: Annotated[list[str] | None, Parameter(negative=())] = None
    """Host name or address of the broker [default: the devices' own]. Can be repeated: the next
    one, HOST or HOST:PORT, is tried where one cannot be had."""
    port: Port | None = None
    """Port of the broker [default: the devices' own]."""
    server_name: str | None = None
    """Name the broker's certificate has to carry [default: the host name]."""
    organisation: str | None = None
    """First level of the topics [default: those of the fleet's devices]."""


def fleet_of(asked: Source, needed: bool) -> Path | None:
    """Return the folder of the fleet; None where there is none: an identity alone was given.
    needed: raise Problem where there is neither.
    """
    if asked.fleet is None and asked.identity is not None:
        return None
    found = fleet_folder.required(asked.fleet) if needed else fleet_folder.current(asked.fleet)
    if found is None:
        return None
    fleet_folder.tell(found)
    return found.root


def key_of(asked: Source, fleet: Path | None, name: str) -> Path:
    """Return where the key of an identity is to be; beside it are ca.crt and its certificate."""
    folder = asked.identity
    if folder is None:
        assert fleet
        folder = Layout(fleet).operator(name)
    return folder / f"{name}.key"


def address_of(asked: Source, fleet: Path | None, name: str, role: str = "--read") -> Address:
    """Return where the brokers are, and who `name` is there. role: what `limpet operator add` is
    told of it. Raises Problem.
    """
    key = key_of(asked, fleet, name)
    files = [key.with_name("ca.crt"), key.with_name(f"{name}.crt"), key]
    for path in files:
        if not path.exists():
            raise Problem(
                f"There is no {path}.",
                f"Make it: limpet operator add {name} {role}; then restart the broker.",
            )
    port, server_name = asked.port, asked.server_name
    brokers = more_brokers.split(asked.broker or (), port or MQTT_PORT)
    if fleet:
        info = SetupInfo(fleet)
        brokers = [(host, port or its) for host, its in info.brokers]
        if asked.broker:
            brokers = more_brokers.split(asked.broker, port or info.port)
        server_name = server_name or info.server_name
    if not brokers:
        raise Problem("Without a fleet nothing says where the broker is.", "Give --broker.")
    if wrong := [host for host, number in brokers if not 0 < number < 65536]:
        raise Problem(f"--broker: a port of {wrong[0]} is none.", "Say HOST or HOST:PORT.")
    ca, certificate, key = files
    return Address(tuple(brokers), server_name, name, ca, certificate, key)


def filters(asked: Source, layout: Layout | None, suffixes: Iterable[str]) -> tuple[str, ...]:
    """Return the topic filters of these suffixes, of all devices. Raises Problem."""
    bases = layout.bases().values() if layout else ()
    organisations = {base.split("/")[0] for base in bases}
    if asked.organisation:
        organisations = {asked.organisation}
    if not organisations:
        raise Problem("Without a fleet nothing says whose topics.", "Give --organisation.")
    if any(set("/+#$") & set(each) for each in organisations):
        raise Problem(f"{asked.organisation!r} is no organisation.", "Such as limpet.")
    every = [f"{each}/{_EVERY}" for each in sorted(organisations)]
    return tuple(f"{base}/{suffix}" for base in every for suffix in suffixes)
