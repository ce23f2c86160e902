"""Which set-up and which broker an operator's tool works with, and what it has to know of them.

Devices of one set-up may have different brokers: that of the device that is named counts.

It does not connect, and changes nothing in the set-up.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from limpet.brokers.mosquitto import files as mosquitto_files
from limpet.identity.layout import Layout, running
from limpet.shared.firmware import config, errors
from limpet.shared.numbers import Port
from limpet.shared.paths import DEV
from limpet.shared.problem import Problem


@Parameter(name="*")
@dataclass(frozen=True)
class Where:
    """Which set-up and which broker. Everything has its default in the set-up's directory."""

    directory: Annotated[Path, Parameter(name="--dir")] = DEV
    """Directory made by `limpet provision`: certificates and devices."""
    broker: str | None = None
    """Host name or address of the broker [default: the devices' own]."""
    port: Port | None = None
    """Port of the broker [default: that of the running `limpet broker`, else the devices' own]."""
    server_name: str | None = None
    """Name the broker's certificate has to carry [default: the host name]."""


class SetupInfo:
    """What the tools need to know of the set-up in `directory`. Raises Problem where there is none.

    bases: base topic of each device by its id. host, port and server_name: where `device`, else the
    first one, looks for its broker, unless a broker of this very set-up says that it listens there
    on another port.
    """

    def __init__(self, directory: Path, device: str | None = None) -> None:
        layout = Layout(directory)
        self.bases = layout.bases()
        if not self.bases:
            raise Problem(
                f"There is no set-up in {directory}.", "Run `make run` or `limpet provision` first."
            )
        if device is not None and device not in self.bases:
            known = ", ".join(self.bases)
            raise Problem(f"No device is called {device!r} here.", f"There is: {known}.")
        path = layout.device(device or next(iter(self.bases))) / "config.json"
        try:
            found = config.load(str(path))
        except OSError as error:
            raise Problem(f"{path} cannot be read: {error.strerror}.", "See to it.") from None
        except errors.ConfigError as error:
            raise Problem(
                f"{path}: {error.field} {error.text}.", "Provision that device again."
            ) from None
        self.host: str = found.broker
        # We have no password: of mosquitto's two ports the one for certificates is ours.
        port = mosquitto_files.certificate_port(layout, found.port)
        self.port: int = _running_port(directory, self.host) or port
        self.server_name: str | None = found.server_hostname


def _running_port(directory: Path, host: str) -> int | None:
    """Return the port of the broker that runs in the set-up, if it can be met at `host`."""
    found = running(directory)
    if found is None:
        return None
    at, port = found
    here = config.is_loopback(at) and config.is_loopback(host)
    return port if here or at in (host, "0.0.0.0", "::") else None
