"""The page's connection to the broker, on a thread of its own: Messages into the model, Commands
out. While the broker is away, or others are tried, what was heard stays.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

from limpet.ingest.asked import Address, Wanted
from limpet.ingest.consumer import Consumer, Message
from limpet.page.model.model import Broker, Model

# The longest wait for the broker: so long may a Command lie here.
STEP_S = 0.05
# Messages are taken together for so long: a wake-up for each would cost more than they do.
TOGETHER_S = 0.02
# Between two looks at the registry and at who has fallen silent.
LOOK_S = 1.0
# Taken in one go, as the browser's side waits meanwhile.
PIECE = 100
MOST_WAITING = 100
_CLOSE_S = 3.0

Say = Callable[[str], None]


class Listening:
    """Hears all of the fleet while the block runs.

    on_heard: called with the Messages that came, on this thread. say: for a person.
    """

    def __init__(
        self,
        address: Address,
        filters: tuple[str, ...],
        model: Model,
        say: Say,
        on_heard: Callable[[list[Message]], None],
    ) -> None:
        self._consumer = Consumer(address, Wanted(filters, kept=False), self._said)
        self._model = model
        self._say = say
        self._text = "connecting"
        self._on_heard = on_heard
        self._out: queue.Queue[tuple[str, bytes]] = queue.Queue(MOST_WAITING)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="broker", daemon=True)

    def __enter__(self) -> Listening:
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

    def _said(self, text: str) -> None:
        self._text = text
        self._say(text)

    def _run(self) -> None:
        consumer, model = self._consumer, self._model
        looked, connects, shown = 0.0, 0, (False, "")
        try:
            while not self._ended.is_set():
                consumer.step(STEP_S)
                messages = consumer.take()
                if consumer.connects != connects or shown != (consumer.up, self._text):
                    at = f"{consumer.address.host}:{consumer.address.port}"
                    anew = consumer.connects != connects
                    connects, shown = consumer.connects, (consumer.up, self._text)
                    model.connection(Broker(consumer.up, at, time.time(), self._text), anew=anew)
                for at_once in range(0, len(messages), PIECE):
                    model.hear(messages[at_once : at_once + PIECE], time.time())
                if messages:
                    consumer.acknowledge(messages)
                    self._on_heard(messages)
                if (now := time.monotonic()) - looked >= LOOK_S:
                    looked = now
                    model.look(time.time())
                self._send()
                if messages:
                    self._ended.wait(TOGETHER_S)
        finally:
            consumer.close()

    def _send(self) -> None:
        while self._consumer.up:
            try:
                topic, payload = self._out.get_nowait()
            except queue.Empty:
                return
            self._consumer.publish(topic, payload)
