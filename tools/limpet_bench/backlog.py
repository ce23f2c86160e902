"""How long it takes to hand over what an outage has left."""

from __future__ import annotations

from limpet.trial.wire import Wire

from limpet_bench import rates
from limpet_bench.figure import Figure, Row, Rows, Verdict, text
from limpet_bench.tree import Tree
from limpet_bench.world import World

READINGS = 1000
ROUND_TRIP_S = 0.1
_ASKED_OF_UMQTT = 30


def drained(world: World, tree: Tree, port: int, count: int) -> float:
    """Seconds from CONNACK until `count` Readings that were on flash are acknowledged."""
    flash = world.flash(port)
    tree.run("bench_fill", flash, {"count": count})
    return float(tree.run("bench_node", flash, {"do": "drain"})["s"])


def _ours(world: World, tree: Tree) -> list[Row]:
    with Wire(world.port, ROUND_TRIP_S / 2) as wire:
        took = tuple(drained(world, tree, wire.port, READINGS) for _ in range(3))
    return [Row(rates.NODE, "s", took, "backlog")]


def _peers(world: World) -> list[Row]:
    with Wire(world.port, ROUND_TRIP_S / 2) as wire:
        found = rates.rate(world, Tree(), "bench_umqtt", _ASKED_OF_UMQTT, 1, wire.port)
    return [Row(rates.UMQTT, "s", tuple(READINGS / each for each in found), "backlog")]


def _judge(rows: Rows) -> list[Verdict]:
    if rates.UMQTT not in rows:
        return []
    ratio = rows[rates.UMQTT].median / rows[rates.NODE].median
    return [Verdict("at least 200 x faster than umqtt.robust", f"{text(ratio)} x", ratio >= 200)]


FIGURE = Figure(
    "backlog",
    f"Backlog of {READINGS:,} Readings at a round trip of 100 ms",
    "The Readings are on flash when the node starts; from CONNACK to the last PUBACK, birth and "
    f"subscriptions included. umqtt.robust sends them one by one: {_ASKED_OF_UMQTT} were sent, and "
    f"the time taken times {READINGS / _ASKED_OF_UMQTT:.0f}.",
    _ours,
    _peers,
    _judge,
)
