"""Which set-up and which broker an operator's tool works with, and what it has to know of them.

It will NOT connect, or change anything in the set-up.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from limpet.firmware import config, errors
from limpet.layout import Layout, running_port
from limpet.numbers import Port
from limpet.paths import DEV
from limpet.problem import Problem


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

    bases: base topic of each device by its id. host, port and server_name: where its devices look
    for their broker, unless a broker of this very set-up says that it listens on another port.
    """

    def __init__(self, directory: Path) -> None:
        layout = Layout(directory)
        self.bases = layout.bases()
        if not self.bases:
            raise Problem(
                f"There is no set-up in {directory}.", "Run `make run` or `limpet provision` first."
            )
        first = layout.device(next(iter(self.bases))) / "config.json"
        try:
            found = config.load(str(first))
        except errors.ConfigError as error:
            raise Problem(
                f"{first}: {error.field} {error.text}.", "Provision that device again."
            ) from None
        self.host: str = found.broker
        self.port: int = running_port(directory) or found.port
        self.server_name: str | None = found.server_hostname
