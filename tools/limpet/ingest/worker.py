"""Messages in, a batch into the store, the batch acknowledged: in this order, whatever happens.

While the store is away nothing is acknowledged, and not more is held than LIMIT Messages or
MAX_BYTES: then the connection is given up, and the broker queues. kill -9 at any moment leaves
Messages that were not acknowledged, which come again, and those that were stored before are known.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

from limpet.identity.layout import Layout
from limpet.ingest.consumer import MAX_BYTES, WINDOW, Consumer, Message
from limpet.ingest.counts import Counts
from limpet.ingest.intake import Intake, Rejected
from limpet.ingest.store import AwayError, Batch, Outcome, Store, UnstorableError
from limpet.shared.problem import Problem

# A batch is written when so many have come, when the first of them has waited so long, or when no
# more came: at once if there are some, as a broker may send that many ahead and no more; a little
# later if there are few, for the disk's sake.
BATCH = WINDOW
AGE_S = 0.25
FEW = 10
LINGER_S = 0.05
IDLE_S = 1.0
LIMIT = 2 * WINDOW
RETRY_S = (0.5, 30.0)
# Between two looks at what is missing; between two lines of figures.
LOOK_S = 5.0
TELL_S = 60.0


class Registry:
    """The fleet's devices, as the registry says now. layout: None where there is no fleet."""

    def __init__(self, layout: Layout | None, say: Callable[[str], None]) -> None:
        self._layout = layout
        self._say = say
        self._said = ""
        self.bases = layout.bases() if layout else None

    def refresh(self) -> dict[str, str] | None:
        """Return base topics by device id, as provisioned; None: any device counts."""
        if self._layout:
            try:
                self.bases = self._layout.bases()
            except (OSError, Problem) as problem:
                if str(problem) != self._said:
                    self._said = str(problem)
                    self._say(f"{problem} The devices of before still count.")
        return self.bases


class Worker:
    """One connection and one store. open_store: raises AwayError while there is none. counts: is
    told of each batch. stopped: whether it shall end, asked between two batches.
    """

    def __init__(
        self,
        consumer: Consumer,
        open_store: Callable[[], Store],
        registry: Registry,
        say: Callable[[str], None],
        counts: Counts,
        *,
        keep_s: int | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self.counts = counts
        self.on_figures: Callable[[Counts], None] = lambda counts: None
        self._consumer = consumer
        self._open_store = open_store
        self._store: Store | None = None
        self._registry = registry
        self._intake = Intake(registry.bases)
        self._say = say
        self._keep_s = keep_s
        self._stopped = stopped
        self._held: list[Message] = []
        self._away = ""
        self._retry = 0.0
        self._delay_s = RETRY_S[0]
        self._first_at = 0.0
        self._newest = 0  # of the Readings' times, in Unix seconds
        self._looked = self._told = self._busy = time.monotonic()
        self._said = ""

    def run(self, idle_s: float | None = None) -> bool:
        """Work until it is interrupted or stopped; with `idle_s` until for so long nothing has
        come, while there was a connection: True then.
        """
        idle = False
        try:
            self._write([])  # a store that is none of ours is refused before anything is taken
            while not idle and not self._stopped():
                self._turn()
                if not self._consumer.up or self._away or self._consumer.arrived:
                    self._busy = time.monotonic()
                self._look()
                idle = idle_s is not None and time.monotonic() - self._busy >= idle_s
            return idle
        finally:
            self._consumer.close(for_good=idle and self._consumer.leaving)
            if self._store:
                self._store.close()
            self._figures()

    def _turn(self) -> None:
        consumer, now = self._consumer, time.monotonic()
        if self._away:
            self._wait_for_store(now)
            return
        before = len(consumer.arrived)
        wait_s = 0.0 if before >= FEW else LINGER_S if before else IDLE_S
        consumer.step(wait_s)
        count, now = len(consumer.arrived), time.monotonic()
        if not count:
            return
        if not before:
            self._first_at = now
        full = count >= BATCH or consumer.bytes >= MAX_BYTES
        if full or count == before or now - self._first_at >= AGE_S:
            self._write(consumer.take())
            self._busy = time.monotonic()

    def _wait_for_store(self, now: float) -> None:
        """The store was away when `_held`, perhaps nothing, was to be written."""
        if now >= self._retry:
            held, self._held = self._held, []
            self._write(held)
            return
        consumer = self._consumer
        room = len(consumer.arrived) < LIMIT and consumer.bytes < MAX_BYTES
        if room:
            consumer.step(min(self._retry - now, IDLE_S))
            return
        if consumer.up:
            self._say("the broker queues until the store is back")
        # What has no acknowledgement to wait for, health, is lost here; the rest comes again.
        consumer.close()
        self.counts.all["let_go"] += sum(not each.mid for each in consumer.take())
        time.sleep(min(max(self._retry - now, 0), IDLE_S))

    def _write(self, messages: list[Message]) -> None:
        """Store Messages and acknowledge them, or hold them."""
        try:
            if self._store is None:
                self._store = self._open_store()
            self._store_all(messages)
        except AwayError as error:
            self._held = messages or self._held
            self._failed(str(error))
            return
        if self._away:
            self._say("the store is back")
        self._away, self._delay_s = "", RETRY_S[0]

    def _failed(self, why: str) -> None:
        if self._store:
            self._store.close()
            self._store = None
        if why != self._away:
            self._away = why
            self._say(f"the store is away: {why}; nothing is acknowledged until it is back")
        self._retry = time.monotonic() + self._delay_s * random.uniform(0.7, 1.3)
        self._delay_s = min(self._delay_s * 2, RETRY_S[1])

    def _store_all(self, messages: Sequence[Message]) -> None:
        assert self._store
        if not messages:
            return
        batch = self._batch(messages)
        try:
            outcome = self._store.write(batch)
        except UnstorableError as error:
            if len(messages) > 1:
                # Halves, until the one that nothing can be done about is alone.
                middle = len(messages) // 2
                self._store_all(messages[:middle])
                self._store_all(messages[middle:])
                return
            batch, outcome = self._unstorable(messages[0], str(error))
        if self._keep_s is not None:
            self._newest = max([self._newest, *(each.ts or 0 for each in batch.readings)])
        self.counts.add(batch, outcome, len(messages))
        self._consumer.acknowledge(messages)

    def _batch(self, messages: Sequence[Message]) -> Batch:
        bases = self._intake.known = self._registry.refresh()
        now = int(time.time())
        batch = Batch(now, bases=bases or {})
        take = self._intake.take
        for each in messages:
            readings, events, rejected = take(each.topic, each.payload, now)
            batch.readings += readings
            batch.events += events
            batch.rejected += rejected
        return batch

    def _unstorable(self, message: Message, why: str) -> tuple[Batch, Outcome]:
        assert self._store
        size, topic = len(message.payload), (message.topic or "")[:256].replace("\0", "?")
        reject = Rejected(topic, "unstorable", size, message.payload[:2048])
        batch = Batch(int(time.time()), rejected=[reject])
        self._say(f"the database refuses a Message: {why}")
        return batch, self._store.write(batch)

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked < LOOK_S:
            return
        self._looked = now
        self.counts.look()
        # By the nodes' clocks too: by ours alone, set wrongly, everything would be too old.
        before = min(int(time.time()), self._newest) - (self._keep_s or 0)
        if self._keep_s is not None and self._newest and self._store and not self._away:
            try:
                self._store.forget_before(before)
            except AwayError as error:
                self._failed(str(error))
        if now - self._told >= TELL_S:
            self._told = now
            self._figures()

    def _figures(self) -> None:
        self.counts.check()
        text = self.counts.text()
        if text != self._said:
            self._said = text
            self.on_figures(self.counts)
