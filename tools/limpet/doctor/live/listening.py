"""What a broker tells an operator: its figures below `$SYS`, where it has them, and who speaks."""

import contextlib
import threading
from collections.abc import Callable

from limpet.brokers.rules import BROKER_FIGURES, organisations
from limpet.doctor.figures import Numbers
from limpet.doctor.live import parsed
from limpet.doctor.live.strangers import Strangers
from limpet.identity.layout import Layout
from limpet.operating.operator_client import Arrival, OperatorClient
from limpet.operating.where import Where
from limpet.shared.problem import Problem


class Listening:
    """A connection to the broker of `where`, which is settled, and of `device`, where one is named.
    QoS 0: nothing waits for it.

    on_stranger, on_change: called on the network's thread with the base topic of a device that
    nobody knows, when it is first heard, and with a line for a person (lost, back).
    """

    def __init__(
        self,
        where: Where,
        on_stranger: Callable[[str], None] = lambda base: None,
        on_change: Callable[[str], None] = lambda text: None,
        device: str | None = None,
    ) -> None:
        self._layout = Layout(where.root)
        self._lock = threading.Lock()
        self._said: dict[str, bytes] = {}
        self._strangers = Strangers(self._layout.bases(), self._layout.consumers())
        self._on_stranger = on_stranger
        self.client = OperatorClient(where, self._arrived, on_change, device)

    def __enter__(self) -> "Listening":
        try:
            self.client.connect()
            self.client.subscribe(self._filters(), qos=0)
            with contextlib.suppress(Problem):  # a broker without any, such as RabbitMQ
                self.client.subscribe([BROKER_FIGURES], qos=0)
        except BaseException:
            self.client.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.client.close()

    def _filters(self) -> list[str]:
        return [f"{org}/+/+/+/+/#" for org in organisations(self._layout.bases())]

    def numbers(self) -> Numbers:
        """Return what the broker says of itself by MQTT."""
        with self._lock:
            return parsed.of_sys(self._said)

    def strangers(self) -> tuple[list[str], int]:
        """Return who is heard and not known, and how many Messages came from further ones."""
        with self._lock:
            return self._strangers.names(), self._strangers.more

    def over(self, silent_since: float) -> list[str]:
        """Return which strangers are none any more, or were not heard since then; both once."""
        with self._lock, contextlib.suppress(Problem):  # no registry just now: by that of before
            known = self._strangers.known(self._layout.bases(), self._layout.consumers())
            return [*known, *self._strangers.silent(silent_since)]
        return []

    def _arrived(self, arrival: Arrival) -> None:
        if arrival.topic.startswith("$"):
            if arrival.topic in parsed.WANTED:
                with self._lock:
                    self._said[arrival.topic] = arrival.payload
            return
        if arrival.retained:  # what was said once is not traffic
            return
        with self._lock:
            base = self._strangers.take(arrival.topic, arrival.at)
        if base:
            self._on_stranger(base)
