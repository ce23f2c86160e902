"""Cases of node/reporting/health.py: what a node says of itself, and when."""

import json

from node.reporting.health import Health
from support.parts.due import peeked

MINUTE = 60_000


class Part:
    """Whatever health asks: what it was told to have, by name."""

    def __init__(self, **has: object) -> None:
        self.has(**has)

    def has(self, **more: object) -> None:
        """From now on it has these."""
        for name, value in more.items():
            setattr(self, name, value)


class Desk:
    """A node's parts, whose figures a case may change before it asks."""

    def __init__(self, every_s: int = 300) -> None:
        self.now = 0
        self.heap = 50_000
        self.idf: tuple | None = None
        self.downs: dict = {}
        self.client = Part(
            handshake_took_ms=700, ping_took_ms=None, oversized=0, refused_subscriptions=0
        )
        self.sampler = Part(reads=5, errors={}, interval_ms=10_000)
        self.live = Part(queued=2, dropped=30, errors=500)
        self.backlog = Part(queued=40, dropped=1, errors=6, commits=8, foreign=0)
        clock = Part(unix=lambda: 1780000000, now=lambda: self.now)
        board = Part(
            clock=clock,
            heap_free=lambda: self.heap,
            idf_heap=lambda: self.idf,
            network=Part(rssi=lambda: -61),
        )
        parts = (self.client, self.sampler, self.live, self.backlog)
        watch = Part(bugs=3, longest_ms=270), Part(downs=self.downs)
        self.health = Health("o/s/z/t/d", every_s, board, parts + watch)


def case_snapshot() -> None:
    """Every member, by itself: what live and backlog have in common is added up."""
    desk = Desk()
    desk.now = 61_999
    assert desk.health.snapshot() == {
        "v": 1,
        "ts": 1780000000,
        "up": 61,
        "heap": 50_000,
        "heap_min": 50_000,
        "rssi": -61,
        "downs": {},
        "handshake_ms": 700,
        "ping_ms": None,
        "queued": 42,
        "dropped": 31,
        "foreign": 0,
        "commits": 8,
        "flash_errors": 506,
        "reads": 5,
        "read_errors": {},
        "bugs": 3,
        "longest_step_ms": 270,
        "interval_s": 10,
        "commands_dropped": None,
        "oversized": 0,
        "refused_subscriptions": 0,
    }


def case_least_heap_since_boot() -> None:
    """`heap_min` is the least of all snapshots, whoever asked for them, and not the last."""
    desk = Desk()
    for heap, least in ((50_000, 50_000), (30_000, 30_000), (45_000, 30_000), (29_999, 29_999)):
        desk.heap = heap
        said = desk.health.snapshot()
        assert (said["heap"], said["heap_min"]) == (heap, least)
    desk.heap = 60_000
    assert json.loads(peeked(desk.health, 0)[1].payload)["heap_min"] == 29_999


def case_what_is_rare_is_said_only_where_there_is_some() -> None:
    """Counters that most nodes never need, and the heap that only a chip has."""
    desk = Desk()
    desk.health.dropped = {"no-id": 2}
    desk.client.has(oversized=4, refused_subscriptions=1)
    desk.idf = (61_000, 33_000, 12_500)
    desk.backlog.has(foreign=9)
    desk.downs["closed"] = 7
    desk.sampler.has(errors={"no-response": 9})
    said = desk.health.snapshot()
    assert said["commands_dropped"] == {"no-id": 2}
    assert (said["oversized"], said["refused_subscriptions"]) == (4, 1)
    assert (said["idf"], said["idf_largest"], said["idf_min"]) == (61_000, 33_000, 12_500)
    assert said["foreign"] == 9
    assert said["downs"] == {"closed": 7}
    assert said["read_errors"] == {"no-response": 9}


def case_at_its_own_pace() -> None:
    """At once, then a period after the last one was sent; QoS 0, not retained, and never again."""
    desk = Desk(every_s=300)
    key, message = peeked(desk.health, 0)
    assert (message.topic, message.qos) == ("o/s/z/t/d/health", 0)
    desk.health.sent(key)
    desk.health.rewind()
    assert peeked(desk.health, 5 * MINUTE - 1) is None
    assert desk.health.due == 5 * MINUTE
    # Nobody could take it for ten minutes: then one goes out, and no other to make up for it.
    desk.now = 15 * MINUTE
    key, _ = peeked(desk.health, desk.now)
    assert desk.health.due is None  # what waits for the Link wakes nobody
    desk.health.sent(key)
    assert peeked(desk.health, 20 * MINUTE - 1) is None
    assert peeked(desk.health, 20 * MINUTE) is not None


def case_off() -> None:
    """A period of 0 is none: nothing is ever due, and nobody is woken."""
    desk = Desk(every_s=0)
    for now in (0, 1, MINUTE, 10**9):
        assert peeked(desk.health, now) is None
        assert desk.health.due is None
