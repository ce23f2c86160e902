"""A load run from the first connect to the last Reading: ramp, load with what happens in it, and
the end, when all that was taken has to come through.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from limpet.fleet.load import machine
from limpet.fleet.load.figures import Figures
from limpet.fleet.load.own_broker import OwnBroker
from limpet.fleet.load.own_loop import OwnLoop
from limpet.shared.problem import Problem

# The back-off waits a minute at most, and a handshake may take one: who is not back by then is not
# coming.
BACK_S = 300.0
DRAIN_S = 180.0
QUIET_S = 10.0
LEAVE_S = 10.0
STARTING = "starting"
_LAG_S = 0.1
_RAMP_S = 0.05


class Node(Protocol):
    """A node as a run sees it: light_node.py and real_node.py have them."""

    base: str
    connects: int
    fault: str

    @property
    def up(self) -> bool:
        """Whether it is connected."""

    @property
    def unacknowledged(self) -> int:
        """How many Readings it keeps."""

    def kept(self) -> set[tuple[int, int]]:
        """Return which those are, by (boot, seq)."""

    def start(self) -> None:
        """Power on."""

    def cut(self) -> bool:
        """Lose the connection; whether it did."""

    def look(self) -> None:
        """Look at the deadlines; `fault` says what cannot go on."""

    def rest(self) -> None:
        """Take no more Readings that count."""

    async def end(self, clear: bool) -> None:
        """Power off. clear: leave no status at the broker."""


@dataclass(frozen=True)
class Wanted:
    """What is asked for. real: how many of the nodes are; seconds: of load, once all are connected;
    ramp: how many are switched on a second; churn: connections cut each minute.
    """

    nodes: int
    real: int
    interval_s: float
    seconds: float
    ramp: float
    churn: float
    storm: bool
    restart: bool


class Sample(NamedTuple):
    """The state at one moment, `at` seconds after the start; connects, delivered: a second, since
    the one before.
    """

    at: float
    up: int
    connects: float
    delivered: float
    waiting: int
    lag_ms: float
    broker_mb: float | None


@dataclass
class Event:
    """Something that was done to the run. back_s: until all were connected again; None: they were
    not within BACK_S, or the run ended before.
    """

    name: str
    at: float
    cut: int = 0
    back_s: float | None = None
    away_s: float | None = None


@dataclass
class Measured:
    """What was measured around a phase. memory in KB, CPU in seconds, of broker and of the nodes'
    own process; None where the system, or somebody else's broker, does not say.
    """

    broker_kb: int | None = None
    own_kb: int | None = None
    broker_cpu: float | None = None
    own_cpu: float | None = None


@dataclass
class Record:
    """What is known of a run when it is over."""

    phase: str = STARTING
    samples: list[Sample] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    marks: dict[str, Measured] = field(default_factory=dict)
    ramp_s: float | None = None
    churned: int = 0
    load_s: float = 0.0
    load_delivered: int = 0
    interrupted: bool = False
    cut_short: bool = False
    fault: str = ""


class Play:
    """One run. `record` and `figures` say at any moment how it is; `stop` ends it, asked twice at
    once.
    """

    def __init__(
        self,
        wanted: Wanted,
        nodes: Sequence[Node],
        consumer: OwnLoop,
        figures: Figures,
        broker: OwnBroker | None,
    ) -> None:
        self.wanted = wanted
        self.nodes = nodes
        self.figures = figures
        self.record = Record()
        self.begun = time.monotonic()
        self._consumer = consumer
        self._broker = broker
        self._stopping = asyncio.Event()
        self._cutting = asyncio.Event()
        self._lag = 0.0
        self._restarting = False

    def stop(self) -> None:
        """Take no more Readings, and end when all have come through; the second time: at once."""
        record = self.record
        record.cut_short = record.interrupted
        record.interrupted = True
        (self._cutting if record.cut_short else self._stopping).set()

    async def run(self, shown: Callable[["Play"], None]) -> None:
        """Do it all. `shown` is called each half second."""
        beside = [
            asyncio.create_task(each)
            for each in (self._measure_lag(), self._look(), self._sample(), self._show(shown))
        ]
        try:
            if not await self._listening():
                return
            try:
                await self._ramp()
                if not self._stopping.is_set():
                    await self._load()
                await self._drain()
            except Problem as problem:  # there is a report all the same
                self._fault(problem.cause.rstrip("."))
            await self._leave()
        finally:
            for each in beside:
                each.cancel()
            done = await asyncio.gather(*beside, return_exceptions=True)
        for failed in done:
            if isinstance(failed, Exception):
                raise failed

    async def _listening(self) -> bool:
        """Have the consumer listen; False where `stop` came before the broker answered. Raises
        Problem.
        """
        start = asyncio.create_task(self._consumer.start())
        try:
            while not start.done() and not self._stopping.is_set():
                await asyncio.wait((start,), timeout=0.1)
            if start.done():
                await start
        finally:
            start.cancel()
        if self._stopping.is_set():
            self._consumer.stop()
        return not self._stopping.is_set()

    # -- phases ------------------------------------------------------------------------------------

    async def _ramp(self) -> None:
        self._enter("connecting")
        begun, started = time.monotonic(), 0
        while started < len(self.nodes) and not self._stopping.is_set():
            due = int((time.monotonic() - begun) * self.wanted.ramp) + 1
            for node in self.nodes[started:due]:
                node.start()
            started = max(started, min(due, len(self.nodes)))
            await self._pause(_RAMP_S)
        if await self._until(lambda: self.figures.up == len(self.nodes), BACK_S):
            self.record.ramp_s = time.monotonic() - begun
        elif not self._stopping.is_set():
            self._fault(f"{len(self.nodes) - self.figures.up:,} nodes were never all connected")
        self._mark("connected")

    async def _load(self) -> None:
        wanted, record = self.wanted, self.record
        self._enter("load")
        begun, before = time.monotonic(), self.figures.delivered
        churn = asyncio.create_task(self._churn()) if wanted.churn else None
        what: list[Callable[[], Awaitable[None]]] = []
        what += [self._storm] if wanted.storm else []
        what += [self._restart] if wanted.restart else []
        try:
            for number, each in enumerate(what, 1):
                at = begun + wanted.seconds * number / (len(what) + 1)
                await self._pause(at - time.monotonic())
                if not self._stopping.is_set():
                    await each()
            await self._pause(begun + wanted.seconds - time.monotonic())
        finally:
            if churn:
                churn.cancel()
        record.load_s = time.monotonic() - begun
        record.load_delivered = self.figures.delivered - before
        self._mark("loaded")

    async def _drain(self) -> None:
        """No more Readings are taken; those that were have to come through."""
        self._enter("waiting for what is on its way")
        for node in self.nodes:
            node.rest()
        figures = self.figures
        begun = changed = time.monotonic()
        before = -1
        while figures.delivered < figures.taken or self._waiting():
            now = time.monotonic()
            if figures.delivered != before or self._waiting() or not self._consumer.up:
                before, changed = figures.delivered, now
            # Where every node has its PUBACKs and the consumer hears no more, nothing is to come.
            if self._cutting.is_set() or now - begun > DRAIN_S or now - changed > QUIET_S:
                return
            await _either(self._cutting, 0.2)

    async def _leave(self) -> None:
        self._enter("leaving")
        # A broker of ours is thrown away with all that it keeps.
        await asyncio.gather(*(node.end(clear=self._broker is None) for node in self.nodes))
        if self._broker or self.record.cut_short:
            self._consumer.stop()
            return
        try:
            async with asyncio.timeout(LEAVE_S):
                await self._consumer.forget()
        except (Problem, TimeoutError):
            self._consumer.stop()
            self._fault("the broker does not let the consumer go: it may keep its session")

    # -- what happens ------------------------------------------------------------------------------

    async def _storm(self) -> None:
        await self._happens("all cut at once", self._cut_all)

    async def _cut_all(self) -> Sequence[Node]:
        return [node for node in self.nodes if node.cut()]

    async def _restart(self) -> None:
        await self._happens("the broker restarted", self._restart_broker)

    async def _restart_broker(self) -> Sequence[Node]:
        assert self._broker
        begun = time.monotonic()
        self._restarting = True
        await asyncio.to_thread(self._broker.end)
        # The loop's own threads last as long as it does, and so does what they start.
        await asyncio.to_thread(self._broker.go_on)
        self._restarting = False
        self.record.events[-1].away_s = time.monotonic() - begun
        return self.nodes

    async def _happens(self, name: str, what: Callable[[], Awaitable[Sequence[Node]]]) -> None:
        """Do `what`, which returns whose connections that ends, and wait until these are back."""
        before = {node.base: node.connects for node in self.nodes}
        event = Event(name, self._now(), self.figures.up)
        self.record.events.append(event)
        self.record.phase = name
        begun = time.monotonic()
        hit = await what()

        def back() -> bool:
            return all(node.connects > before[node.base] for node in hit)

        if await self._until(back, BACK_S):
            event.back_s = time.monotonic() - begun
        self.record.phase = "load"

    async def _churn(self) -> None:
        while True:
            await asyncio.sleep(60 / self.wanted.churn)
            up = [node for node in self.nodes if node.up]
            if up:
                self.record.churned += random.choice(up).cut()

    # -- beside it ---------------------------------------------------------------------------------

    async def _measure_lag(self) -> None:
        """How much later than asked for the loop comes: all times are measured by it."""
        while True:
            due = time.monotonic() + _LAG_S
            await asyncio.sleep(_LAG_S)
            late = max(time.monotonic() - due, 0.0)
            self.figures.lag.add(late)
            self._lag = max(self._lag, late)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(1)
            self._consumer.look()
            for number, node in enumerate(self.nodes):
                node.look()
                if node.fault:
                    self._fault(node.fault)
                if number % 500 == 0:
                    await asyncio.sleep(0)
            if self._broker and not self._restarting and not self._broker.runs:
                self._fault(f"mosquitto has ended by itself: {self._broker.log}")
                self._stopping.set()
                self._cutting.set()

    async def _sample(self) -> None:
        figures, last, before = self.figures, (0, 0), time.monotonic() - 1
        while True:
            due = time.monotonic() + 1
            took, before = time.monotonic() - before, time.monotonic()
            kb = machine.memory_kb(self._broker.pid) if self._broker else None
            now = figures.connects, figures.delivered
            lag, self._lag = self._lag, 0.0
            self.record.samples.append(
                Sample(
                    self._now(),
                    figures.up,
                    (now[0] - last[0]) / took,
                    (now[1] - last[1]) / took,
                    self._waiting(),
                    lag * 1000,
                    None if kb is None else kb / 1024,
                )
            )
            last = now
            await asyncio.sleep(max(due - time.monotonic(), 0))

    async def _show(self, shown: Callable[["Play"], None]) -> None:
        while True:
            shown(self)
            await asyncio.sleep(0.5)

    def _waiting(self) -> int:
        return sum(node.unacknowledged for node in self.nodes)

    def _enter(self, phase: str) -> None:
        self.record.phase = phase
        self._mark(phase)

    def _mark(self, name: str) -> None:
        pid = self._broker.pid if self._broker else None
        self.record.marks[name] = Measured(
            machine.memory_kb(pid) if pid else None,
            machine.memory_kb(None),
            machine.cpu_s(pid) if pid else None,
            machine.cpu_s(None),
        )

    def _fault(self, what: str) -> None:
        self.record.fault = self.record.fault or what

    def _now(self) -> float:
        return time.monotonic() - self.begun

    async def _pause(self, seconds: float) -> None:
        await _either(self._stopping, seconds)

    async def _until(self, reached: Callable[[], bool], limit_s: float) -> bool:
        until = time.monotonic() + limit_s
        while not reached():
            if self._stopping.is_set() or time.monotonic() > until:
                return False
            await self._pause(0.1)
        return True


async def _either(event: asyncio.Event, seconds: float) -> None:
    """Wait so long, or until the event."""
    if seconds > 0:
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            pass
