"""Bytes and TLS records that go up to the broker for a Reading."""

from __future__ import annotations

from collections.abc import Callable

from limpet.trial.wire import Wire

from limpet_bench import backlog, rates
from limpet_bench.figure import Figure, Row, Rows, Verdict, at_most
from limpet_bench.tree import Tree
from limpet_bench.world import World

LIVE = "Limpet, live"
LIVE_RECORDS = "Limpet, live: TLS records"
BACKLOG = "Limpet, backlog"
UMQTT_RECORDS = f"{rates.UMQTT}: TLS records"
# The difference of a long and a short run is what the Readings cost: what is said once is in both.
_LIVE = (20, 120)
_BACKLOG = (200, 1200)


def live(world: World, tree: Tree, counts: tuple[int, int] = _LIVE) -> tuple[float, float]:
    """(bytes, records) per Reading that is sent as it is taken."""

    def run(port: int, count: int) -> None:
        settings = {"do": "flood", "count": count, "ahead": 1, "still": True}
        tree.run("bench_node", world.flash(port), settings)

    return _per_piece(world, run, counts)


def from_backlog(world: World, tree: Tree, counts: tuple[int, int] = _BACKLOG) -> float:
    """Bytes per Reading that was on flash."""
    return _per_piece(world, lambda port, n: backlog.drained(world, tree, port, n), counts)[0]


def _per_piece(
    world: World, run: Callable[[int, int], object], counts: tuple[int, int]
) -> tuple[float, float]:
    found = []
    for count in counts:
        with Wire(world.port) as wire:
            run(wire.port, count)
            found.append((wire.bytes, wire.records))
    pieces = counts[1] - counts[0]
    short, long = found
    return (long[0] - short[0]) / pieces, (long[1] - short[1]) / pieces


def _ours(world: World, tree: Tree) -> list[Row]:
    size, records = live(world, tree)
    return [
        Row(LIVE, "bytes", (size,), "bytes"),
        Row(LIVE_RECORDS, "", (records,), "records"),
        Row(BACKLOG, "bytes", (from_backlog(world, tree),), "bytes"),
    ]


def _peers(world: World) -> list[Row]:
    def run(port: int, count: int) -> None:
        Tree().run("bench_umqtt", world.flash(port), {"count": count})

    size, records = _per_piece(world, run, (5, 25))
    return [
        Row(rates.UMQTT, "bytes", (size,), "bytes"),
        Row(UMQTT_RECORDS, "", (records,), "records"),
    ]


def _judge(rows: Rows) -> list[Verdict]:
    found = [
        Verdict(
            "one TLS record per Message",
            f"{rows[LIVE_RECORDS].median:g}",
            rows[LIVE_RECORDS].median == 1,
        ),
        at_most(rows[BACKLOG], 12, "backlog: at most 12 bytes per Reading"),
    ]
    if rates.UMQTT in rows:
        share = 100 * rows[LIVE].median / rows[rates.UMQTT].median
        target = "live: at most 58 % of umqtt.robust's bytes"
        found.insert(0, Verdict(target, f"{share:.1f} %", share <= 58))
    return found


FIGURE = Figure(
    "upstream",
    "Upstream per Reading: bytes and TLS records",
    "Counted between node and broker in TLS 1.2, all that an ESP32 speaks by default: records that "
    "carry data, with their headers. The difference of a long and a short run, per Reading. Each "
    "Reading's topic and payload are the same for both.",
    _ours,
    _peers,
    _judge,
)
