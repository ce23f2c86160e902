"""The surroundings in which a board is tried: a broker of its own, a wire to it that can be cut, an
operator who listens, and a list of all that the node has said.

The board is for whoever has its port.
"""

import contextlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from limpet.brokers.embedded.broker import EmbeddedBroker
from limpet.operating.operator_client import Arrival, OperatorClient
from limpet.operating.where import Where
from limpet.shared import payloads
from limpet.shared.firmware import topics
from limpet.shared.seen_readings import SeenReading, readings
from limpet.trial.wire import Wire

TELEMETRY = topics.TELEMETRY
# For a Response of a node that is up: what read_now may take, and a slow link.
RESPONSE_S = 15.0


class Said(NamedTuple):
    """A Message of the node: `kind` its topic below the base, `at` seconds on time.monotonic."""

    kind: str
    fields: dict[str, Any]
    at: float


class Stage:
    """A running `broker`, the node of base topic `base`, and the `wire` between the two.

    patience: every wait is so many times as long as it says.
    """

    def __init__(
        self, broker: EmbeddedBroker, wire: Wire, device: str, base: str, patience: int = 1
    ) -> None:
        self._broker = broker
        self._wire = wire
        self._device = device
        self._base = base
        self.patience = patience
        self._said: list[Said] = []
        self._changed = threading.Condition()
        where = Where(broker.layout.root, broker.host, broker.port)
        self._operator = OperatorClient(where, self._arrived)

    @property
    def port(self) -> int:
        """Where the node finds its broker."""
        return self._wire.port

    @contextlib.contextmanager
    def open(self) -> Iterator["Stage"]:
        """Listen until the block ends; raises Problem when the broker does not let us."""
        with self._operator:
            self._operator.connect()
            self._operator.subscribe([f"{self._base}/#"])
            yield self

    def mark(self) -> int:
        """Return the place in what was said from which `wait` and `said` may look on."""
        with self._changed:
            return len(self._said)

    def said(self, kind: str, since: int = 0) -> list[Said]:
        """Return what was said on `kind` since a mark."""
        with self._changed:
            return [each for each in self._said[since:] if each.kind == kind]

    def wait(
        self, kind: str, fits: Callable[[dict[str, Any]], bool], timeout_s: float, since: int = 0
    ) -> Said | None:
        """Return the first Message on `kind` since a mark that fits, or None after `timeout_s`."""

        def found() -> Said | None:
            return next((each for each in self._said[since:] if _is(each, kind, fits)), None)

        with self._changed:
            return self._changed.wait_for(found, timeout_s * self.patience)

    def birth(self, timeout_s: float, since: int = 0) -> Said | None:
        """Return the node's next birth since a mark, or None."""
        return self.wait(
            "status", lambda fields: fields.get("status") == "online", timeout_s, since
        )

    def readings(self, since: int = 0) -> list[SeenReading]:
        """Return the Readings that have arrived since a mark, those of a backlog one by one."""
        found = [one for each in self.said(TELEMETRY, since) for one in readings(each.fields)]
        return [each for each in found if isinstance(each.seq, int)]

    def seqs(self, boot: int) -> set[int]:
        """Return the numbers of all Readings of a boot that have arrived."""
        return {each.seq for each in self.readings() if each.boot == boot}

    def ask(
        self, action: str, params: dict[str, Any] | None = None, request: str | None = None
    ) -> tuple[dict[str, Any] | None, float]:
        """Send a Command; return its Response, or None, and the seconds it took."""
        request = request or secrets.token_hex(4)
        since, began = self.mark(), time.monotonic()
        command = {"id": request, "action": action, "params": params or {}}
        self._operator.publish(f"{self._base}/commands", json.dumps(command).encode())
        answer = self.wait(
            "commands/response", lambda fields: fields.get("id") == request, RESPONSE_S, since
        )
        return (answer.fields if answer else None), time.monotonic() - began

    def throw_out(self) -> None:
        """End the node's connection as if it had broken, for the broker alone."""
        self._broker.throw_out(self._device)

    def cut(self, seconds: float) -> None:
        """Let the node reach nobody for so long."""
        self._wire.cut()
        time.sleep(seconds)
        self._wire.mend()

    def _arrived(self, arrival: Arrival) -> None:
        fields = payloads.decode(arrival.payload)
        if fields is None or arrival.retained:
            return  # what is retained was said before we listened
        with self._changed:
            self._said.append(Said(_kind(arrival.topic), fields, arrival.at))
            self._changed.notify_all()


def _kind(topic: str) -> str:
    """Return what is said on `topic`; Readings are `telemetry`, on whichever topic they come."""
    kind = payloads.kind_of(topic)
    return TELEMETRY if kind in payloads.READINGS else kind


def _is(each: Said, kind: str, fits: Callable[[dict[str, Any]], bool]) -> bool:
    return each.kind == kind and fits(each.fields)
