"""What a Reading leaves on the heap for the next collection, and which part of the node leaves it.

Counted on a 32-bit interpreter whose heap is large enough that nothing is collected meanwhile. It
comes out the same each time.
"""

from __future__ import annotations

from typing import Any

from limpet_bench.figure import Figure, Row, Rows, Verdict, at_most
from limpet_bench.tree import Tree
from limpet_bench.world import World

READING = "a Reading, from its sensor to its PUBACK"
IDLE = "a turn with nothing to do"
_COUNT = 100
_HOW = {"form": "frozen", "arch": "i386", "heap": "4m"}
# Methods of the script's Profile, and what their rows are called.
PARTS = {
    "asked": "of that: the sampler",
    "taken": "of that: taken into the Outbox",
    "logged": "of that: a line of the log",
    "made": "of that: written into a packet",
    "sent": "of that: the client, with TLS",
}


def per_reading(world: World, tree: Tree, count: int = _COUNT) -> float:
    """Bytes that a Reading leaves, one after the other."""
    return _left(world, tree, do="garbage", ahead=1, still=True, count=count)


def part(world: World, tree: Tree, what: str, count: int = _COUNT) -> float:
    """Bytes that one of the script's parts leaves each time."""
    return _left(world, tree, do="profile", what=what, garbage=True, own_boot=True, count=count)


def _left(world: World, tree: Tree, **settings: Any) -> float:
    said = tree.run("bench_node", world.flash(), {"window": 16, **settings}, **_HOW)
    return float(said["left"] / said["count"])


def _ours(world: World, tree: Tree) -> list[Row]:
    found: dict[str, float] = {}
    with tree.if_there():
        found[READING] = per_reading(world, tree)
    for what, title in PARTS.items():
        with tree.if_there():
            found[title] = part(world, tree, what)
    if len(found) == 1 + len(PARTS):
        rest = found[READING] - sum(found[title] for title in PARTS.values())
        found["of that: sent, acknowledged, and two turns"] = rest
    found[IDLE] = part(world, tree, "turn")
    return [Row(what, "bytes", (left,)) for what, left in found.items()]


def _judge(rows: Rows) -> list[Verdict]:
    return [at_most(rows[READING], 300, "a Reading: at most 300 bytes")]


FIGURE = Figure(
    "garbage",
    "Garbage per Reading",
    "Differences of gc.mem_alloc() with the collector off, on a 32-bit interpreter, frozen. "
    "Readings one by one, of a sensor that gives a new tuple each time. What is left costs "
    "twice: it has to be collected, and until then each search for room goes through it.",
    _ours,
    judge=_judge,
)
