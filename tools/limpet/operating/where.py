"""Which set-up and which broker an operator's tool works with, and what it has to know of them.

Devices of one set-up may have different brokers: that of the device that is named counts.

It does not connect, and changes nothing in the set-up.
"""

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from cyclopts import Parameter

from limpet.brokers.mosquitto import files as mosquitto_files
from limpet.identity import device_config, fleet_folder
from limpet.identity.fleet_folder import FleetOption
from limpet.identity.layout import Layout, running
from limpet.shared.firmware import errors, rules
from limpet.shared.numbers import Port
from limpet.shared.paths import RUN
from limpet.shared.problem import Problem, there_is


@Parameter(name="*")
@dataclass(frozen=True)
class Where:
    """Which fleet and which broker. Everything but the fleet has its default in there."""

    fleet: FleetOption = None
    broker: str | None = None
    """Host name or address of the broker [default: the devices' own]."""
    port: Port | None = None
    """Port of the broker [default: that of the running `limpet broker`, else the devices' own]."""
    server_name: str | None = None
    """Name the broker's certificate has to carry [default: the host name]."""

    @property
    def root(self) -> Path:
        """The folder of the fleet, or of another set-up, once it is settled."""
        assert self.fleet is not None
        return self.fleet

    def settled(self, device: str | None = None, *, tell: bool = False) -> "Where":
        """Return the same with its fleet found; `device`: the one that is meant, if one is. tell:
        say which it is, where nothing that the user sees does.

        A `limpet run` that is running is asked where there is no fleet, or none with that device.
        Raises Problem where there is neither.
        """
        if self.fleet is not None:
            own = os.path.realpath(self.fleet) == os.path.realpath(RUN)
            return self if own else replace(self, fleet=fleet_folder.required(self.fleet).root)
        there = fleet_folder.current()
        runs = running(RUN) is not None
        if there is None and not runs:
            raise Problem(
                "There is no fleet here, and no `limpet run` is running.",
                "Start `limpet run`, or name a fleet: --fleet FOLDER.",
            )
        elsewhere = device is not None and runs and device in Layout(RUN).bases()
        if there is None:
            return replace(self, fleet=RUN)
        if elsewhere and device not in Layout(there.root).bases():
            if tell:
                of = f"of `limpet run`; the fleet {there.root} has none of that name"
                print(f"limpet: {device} {of}", file=sys.stderr)
            return replace(self, fleet=RUN)
        if tell:
            fleet_folder.tell(there)
        return replace(self, fleet=there.root)

    def brokers(self, info: "SetupInfo") -> list[tuple[str, int]]:
        """Return hosts and ports of the brokers, in the order in which they are tried."""
        found = [(self.broker, info.port)] if self.broker else info.brokers
        return [(host, self.port or port) for host, port in found]


def found_without(root: Path, device: str) -> bool:
    """Whether `limpet send DEVICE`, typed here and now, would mean the device in `root`."""
    try:
        return os.path.realpath(Where().settled(device).root) == os.path.realpath(root)
    except Problem:
        return False


class SetupInfo:
    """What the tools need to know of the set-up in `root`. Raises Problem where it has no device.

    bases: base topic of each device by its id. device: which one counts, the first where none is
    named. brokers: hosts and ports where that one looks for its broker, in its order; host and port
    are the first's, unless a broker of this very set-up says that it listens there on another port.
    server_name: that of the device.
    """

    def __init__(self, root: Path, device: str | None = None) -> None:
        layout = Layout(root)
        self.bases = layout.bases()
        if not self.bases:
            raise Problem(
                f"The fleet {root} has no device yet.", "Make one: limpet provision node-1."
            )
        if device is not None and device not in self.bases:
            cause = f"No device is called {device!r} in {root}."
            raise Problem(cause, there_is(self.bases, device))
        self.device = device or next(iter(self.bases))
        folder = layout.device(self.device)
        try:
            found = device_config.load(folder)
        except OSError as error:
            path = device_config.where(folder, error)
            raise Problem(f"{path} cannot be read: {error.strerror}.", "See to it.") from None
        except errors.ConfigError as error:
            path = device_config.where(folder, error)
            raise Problem(
                f"{path}: {error.field} {error.text}.", "Provision that device again."
            ) from None
        # We have no password: of mosquitto's two ports the one for certificates is ours.
        self.host: str = found.broker
        port = mosquitto_files.certificate_port(layout, found.port)
        self.port: int = _running_port(root, self.host) or port
        _, *others = device_config.brokers(found)
        others = [(host, mosquitto_files.certificate_port(layout, each)) for host, each in others]
        self.brokers = [(self.host, self.port), *others]
        self.server_name: str | None = found.server_hostname


def _running_port(root: Path, host: str) -> int | None:
    """Return the port of the broker that runs in the set-up, if it can be met at `host`."""
    found = running(root)
    if found is None:
        return None
    at, port = found
    here = rules.is_loopback(at) and rules.is_loopback(host)
    return port if here or at in (host, "0.0.0.0", "::") else None
