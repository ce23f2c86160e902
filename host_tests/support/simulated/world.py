"""A node without sensor and Commands, and its Broker, in simulated time. Both Pythons."""

from backoff import Backoff
from node.readings.outbox import Live, Messages
from node.readings.telemetry import Telemetry
from node.reporting.status import Status
from node.session.causes import FLOORS_MS
from node.session.link import Link
from node.shared.pair_file import PairFile
from node.shared.reading import Reading
from recordlog import RecordLog
from ring import Ring
from support.fuzz.fuzz import Random
from support.parts.backlogs import backlog
from support.parts.due import run_due
from support.parts.layouts import LAYOUT, SIZE, unpack_from
from support.simulated.lossy_network import Broken
from support.simulated.strict_broker import BASE, RESPONSES, STATUS, Broker
from umqtt_tls import MQTTClient

BOOT = 7
NOW_S = 1780000000


class WatchedLog(RecordLog):
    """A log that tells the Broker which Readings its bound takes."""

    broker: Broker
    _seqs: dict

    def append(self, records: bytes, count: int = 1) -> None:
        """As the RecordLog's."""
        for index in range(count):
            self._seqs[self.next + index] = unpack_from(records, index * SIZE).seq
        super().append(records, count)

    def drop_oldest(self) -> None:
        """As the RecordLog's."""
        first = self.first
        super().drop_oldest()
        self.broker.dropped.update([self._seqs[each] for each in range(first, self.first)])


class WatchedLink(Link):
    """A Link that tells the Broker what it is about to do."""

    broker: Broker

    def _send(self, flight):  # type: ignore[no-untyped-def]
        self.broker.source = flight.source
        super()._send(flight)

    def on_up(self, session_present: bool) -> None:
        """As the Link's."""
        self.broker.greeted(session_present)
        super().on_up(session_present)

    def on_ack(self, packet_id: int) -> None:
        """As the Link's."""
        self.broker.confirmed(packet_id)
        super().on_ack(packet_id)


class Client(MQTTClient):
    """The client, for CPython, whose bytearrays take no str."""

    def begin(self, topic, *more):  # type: ignore[no-untyped-def]
        """As the client's."""
        return super().begin(topic.encode(), *more)


class Bystander:
    """A Board whose network and time are always there, and a recovery that nobody needs."""

    cause = due = None

    def __init__(self, backoff: Backoff) -> None:
        self.backoff = backoff
        self.downs: dict = {}

    @property
    def network(self) -> "Bystander":
        """The network."""
        return self

    clock = network

    def sync(self) -> bool:
        """The time is known."""
        return True

    def failed(self, cause: str) -> None:
        """It is not the time's fault."""

    def idf_heap(self) -> None:
        """No chip's."""

    def up(self, now: int) -> None:
        """Not interested: nothing is told of an outage."""

    def down(self, now: int, cause: str, kind: str) -> int:
        """Count it. Return when to try again, in ms."""
        self.downs[cause] = self.downs.get(cause, 0) + 1
        return self.backoff.next_ms(kind)


class World:
    """A node without sensor and Commands, its Broker, and their common time."""

    def __init__(
        self, seed: int, window: int, commit_s: int, ring: int, capacity: int, rate: int
    ) -> None:
        self.now = 0
        self.seq = self.responses_made = 0
        self.rng = Random(seed)
        self.broker = Broker(self.rng, window)
        telemetry = Telemetry(BASE, 1, BOOT, None, LAYOUT)
        log = WatchedLog("readings", SIZE, capacity)
        log.broker, log._seqs = self.broker, {}
        self.backlog = backlog(log, telemetry, rate)
        self.live = Live(Ring(SIZE, ring), self.backlog, telemetry, commit_s)
        store = PairFile("responses", lambda path, how: None, lambda path, *pieces: None)
        self.responses = Messages(24, store, commit_s, lambda: self.now)
        status = Status(BASE, BOOT, lambda: self.now, [("fw", "0.1.0"), ("reset", "hard")])
        self.client = client = Client("node-1", "broker", window=window)
        client._transport = self.broker  # type: ignore[assignment]
        client.on_message = status.on_message  # type: ignore[method-assign]
        client.subscribe(STATUS, 1)
        client.subscribe(BASE + "/commands", 1)
        sources = (status, self.responses, self.live, self.backlog)
        backoff = Backoff(lambda: self.rng.below(1000) / 1000, floors_ms=FLOORS_MS)
        other = Bystander(backoff)
        self.downs = other.downs
        self.link = WatchedLink(client, other, sources, other, lambda *words: None)
        self.link.alarm = lambda alert, raised: None
        self.link.broker = self.broker

    def take_reading(self) -> None:
        """Put the next Reading in."""
        ts = NOW_S + self.now // 1000
        self.live.put(Reading(BOOT, self.seq, ts, self.now // 1000, (244, 463)))
        self.seq += 1

    def make_response(self) -> None:
        """Put a Response in, if there is room for it."""
        if self.responses.queued < 8:
            self.responses_made += 1
            self.responses.put(RESPONSES, b'{"id":%d}' % self.responses_made)

    def step(self, until: int) -> None:
        """Let the node do what it can now, and time pass to what comes next, at most `until`."""
        self.broker.now = self.now
        for source in self.link.sources:
            run_due(source, self.now)
        self.link.due = min(self.link.due, self.now)  # whatever wakes it
        run_due(self.link, self.now)
        dues = [each.due for each in self.link.sources if each.due is not None]
        dues.append(self.link.due)
        due = self.broker.due()
        if due is not None:
            dues.append(due)
        self.now = min(max(min(dues), self.now + 1), until)

    def settle(self) -> None:
        """In a perfect world all is delivered, within ten minutes."""
        self.broker.trouble = 0
        deadline = self.now + 600000
        while self.live.queued or self.backlog.queued or self.responses.queued:
            if self.now >= deadline:
                raise Broken(f"left: {self.live.queued} {self.backlog.queued}")
            self.step(deadline)
        wanted = set(range(self.seq)) | {-n - 1 for n in range(self.responses_made)}
        lost = wanted - self.broker.acknowledged
        if lost - self.broker.dropped or self.live.dropped:
            raise Broken(f"lost: {sorted(lost - self.broker.dropped)}")
        if self.broker.arrived - wanted:
            raise Broken(f"made up: {sorted(self.broker.arrived - wanted)}")
