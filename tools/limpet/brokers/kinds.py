"""The kinds of brokers for which files can be written, by the name that `limpet broker-config` has.

A line here and a module with these names is all that another one needs.
"""

from pathlib import Path
from typing import Protocol

from limpet.brokers.aws import renderer as aws
from limpet.brokers.emqx import renderer as emqx
from limpet.brokers.mosquitto import renderer as mosquitto
from limpet.brokers.nats import renderer as nats
from limpet.brokers.plan import Plan
from limpet.brokers.rabbitmq import renderer as rabbitmq


class Renderer(Protocol):
    """What the module `renderer` of a broker offers; pure.

    STATE: folders, below the plan's, that the broker writes to. RELOAD: what has a running one read
    its files anew, after `Have it `.
    """

    @property
    def STATE(self) -> tuple[str, ...]: ...  # noqa: D102 - a module's constant

    @property
    def RELOAD(self) -> str: ...  # noqa: D102 - another

    def render(self, plan: Plan) -> dict[str, str]:
        """Return the text of each file by its name, in the plan's folder."""

    def start(self, plan: Plan) -> list[str]:
        """Return the commands, for a shell, that start it on the machine that has the files."""


KINDS: dict[str, Renderer] = {
    "mosquitto": mosquitto,
    "rabbitmq": rabbitmq,
    "nats": nats,
    "emqx": emqx,
    "aws": aws,
}

# No broker of ours: it listens where it likes, and needs no size.
HOSTED = ("aws",)
# Its files lie in broker/ itself, where `limpet provision` of before has put them.
FIRST = "mosquitto"


# Where a broker of ours shows its own figures by HTTP, on 127.0.0.1: the ports of their manuals.
# mosquitto has them below $SYS.
FIGURES = {"rabbitmq": 15692, "nats": 8222}


def own_folder(broker: Path, kind: str) -> Path:
    """Return where the files of a kind lie in a fleet whose folder broker/ is `broker`."""
    return broker if kind == FIRST else broker / kind
