"""What the levers of one `limpet run` move, put together: made ahead of the node, at work when its
broker is there.
"""

import contextlib
import tempfile
from pathlib import Path
from typing import Self

from limpet.brokers.embedded.broker import EmbeddedBroker
from limpet.node_host.process import NodeProcess
from limpet.operating.levers import faults, sensors
from limpet.operating.levers.levers import Levers
from limpet.operating.levers.relay import Relay


class Bench:
    """A bench with the sensors of `table`, as LIMPET_SENSORS has it.

    `file` is for the node, before it starts: NodeProcess's `levers`. `port` is where it has to look
    for its broker, once `wired` was called.
    """

    def __init__(self, table: str) -> None:
        self._table = table or "dht22"
        self._stack = contextlib.ExitStack()
        self._wanted: sensors.Wanted | None = None
        self.levers: Levers | None = None
        self.port = 0

    def __enter__(self) -> Self:
        # Not on the node's flash: it is none of its files.
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="limpet-levers-"))
        self._wanted = sensors.Wanted(Path(folder) / "wanted.json")
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def file(self) -> Path:
        """Of what is wanted of the sensors."""
        assert self._wanted
        return self._wanted.path

    def wired(self, node: NodeProcess, port: int, broker: EmbeddedBroker | None) -> Levers:
        """Return the levers of the node and its way to the broker on `port` of loopback; broker:
        that one, where it is ours to stop and start.
        """
        assert self._wanted
        relay = self._stack.enter_context(Relay(port))
        self.port = relay.port
        way = faults.Faults(relay, broker)
        self._stack.callback(way.close)
        self.levers = Levers(
            [*sensors.levers(self._table, self._wanted), *way.levers(), faults.power(node)]
        )
        return self.levers

    def node_said(self, line: str) -> None:
        """Take a line of the node's log."""
        if self.levers:
            self.levers.node_said(line)
