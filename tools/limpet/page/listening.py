"""The page's connection to the broker, on a thread of its own: Messages into the model, Commands
out.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from limpet.heard.listening import listen
from limpet.ingest.asked import Address, Wanted
from limpet.ingest.consumer import Consumer
from limpet.page.model.model import Model

# The longest wait for the broker: so long may a Command lie here.
STEP_S = 0.05
# Messages are taken together for so long: a wake-up for each would cost more than they do.
TOGETHER_S = 0.05
MOST_WAITING = 100
_CLOSE_S = 3.0

Say = Callable[[str], None]


class Listening:
    """Hears all of the fleet while the block runs. say: for a person. settled: whether that one was
    told how the connection is; where only a person can put it right the thread fails instead.
    """

    def __init__(self, address: Address, filters: tuple[str, ...], model: Model, say: Say) -> None:
        self._consumer = Consumer(address, Wanted(filters, kept=False), self._said)
        self._model = model
        self._say = say
        self.settled = False
        self._out: queue.Queue[tuple[str, bytes]] = queue.Queue(MOST_WAITING)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="broker", daemon=True)

    def __enter__(self) -> Listening:
        self._said("connecting", quiet=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join(_CLOSE_S)

    def publish(self, topic: str, payload: bytes) -> bool:
        """Send that soon, QoS 1, not retained; False where there is no connection, or too much
        waits.
        """
        if not self._consumer.up:
            return False
        try:
            self._out.put_nowait((topic, payload))
        except queue.Full:
            return False
        return True

    def _said(self, text: str, quiet: bool = False) -> None:
        address = self._consumer.address
        with self._model.lock:
            self._model.at, self._model.said = f"{address.host}:{address.port}", text
        if not quiet:
            self._say(text)
            self.settled = True

    def _run(self) -> None:
        try:
            listen(self._consumer, self._model, self._turn, STEP_S)
        finally:
            self._consumer.close()

    def _turn(self) -> bool:
        """Send what waits; return whether it is over."""
        while self._consumer.up:
            try:
                topic, payload = self._out.get_nowait()
            except queue.Empty:
                break
            self._consumer.publish(topic, payload)
        return self._ended.wait(TOGETHER_S)
