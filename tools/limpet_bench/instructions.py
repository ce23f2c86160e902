"""Instructions of the processor per Reading and per idle second, counted by valgrind's callgrind.

A part of them is no work of the node's: MicroPython looks for room in the heap. What takes more
than one block of it (four words) is looked for from the lowest block that was freed lately on,
through all that was used since the last collection. So the figure hangs on the heap's layout, and
grows until it collects.

What another process does changes how often the node looks at its socket, and how much it finds
there: whoever asserts a count fixes that. What an ESP32 needs is not known by that.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from limpet_bench import rates
from limpet_bench.figure import Figure, Row, Rows, Verdict, at_most, text
from limpet_bench.tree import Tree, Unmeasured
from limpet_bench.world import World

NODE = "Limpet, the whole node, one by one"
NODE_FRESH = "the same, while there is little garbage"
NODE_FLOOD = "Limpet, the whole node, window 16"
CLIENT = "Limpet's client alone, window 16"
CLIENT_ONE = "Limpet's client alone, one by one"
BACKLOG = "Limpet, backlog in batches"
IDLE = "Limpet, up and idle, per second"
TURNS = "Limpet, up and idle: turns of the main loop"
UMQTT_MADE = f"{rates.UMQTT}, JSON made and logged"
_UNIT = "k instructions"
_EACH = "per Reading"
# As near to a chip as 64 bits come: byte code outside the heap, and a heap that is 128 KB there. In
# the 2 MB that the unix port takes by itself, looking for a free block is what costs most.
_CHIP = {"form": "frozen", "heap": "256k"}
# Bytes of each of the 20 holes in the heap below the node, which what lives for a moment finds at
# once; without any, all of it is looked for behind the node.
LAYOUTS = (0, 200, 1000)
_IDLE_S = (60, 660)


def collected(
    world: World,
    tree: Tree,
    script: str,
    settings: Mapping[str, Any],
    flash: Path | None = None,
) -> float:
    """Thousands of instructions from the interpreter's start to its end. Raises Unmeasured."""
    if not shutil.which("valgrind"):
        raise Unmeasured("there is no valgrind here (Debian: apt install valgrind)")
    under = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")
    settings = {"window": rates.WINDOW, **settings}
    _, errors = tree.measured(script, flash or world.flash(), settings, under=under, **_CHIP)
    found = re.search(r"Collected : (\d+)", errors)
    if not found or int(found[1]) < 10**6:
        raise Unmeasured("valgrind cannot run this interpreter")
    return int(found[1]) / 1000


def per_piece(
    world: World,
    tree: Tree,
    script: str,
    counts: tuple[int, int],
    port: int | None = None,
    **settings: Any,
) -> float:
    """Thousands of instructions per Reading: the difference of a long and a short run.

    Two handshakes differ by up to 1,000 thousand: the counts have to be that far apart.
    """
    short, long = [
        collected(world, tree, script, {"count": n, **settings}, world.flash(port)) for n in counts
    ]
    return (long - short) / (counts[1] - counts[0])


def node_one_by_one(
    world: World,
    tree: Tree,
    counts: tuple[int, int] = (50, 300),
    holes: int = 0,
    logged: bool = True,
) -> float:
    """Thousands of instructions per Reading that is sent as it is taken, with its line of the log
    or without; holes: of LAYOUTS.
    """
    how: dict[str, Any] = {"do": "flood", "ahead": 1, "still": True, "holes": holes}
    return per_piece(world, tree, "bench_node", counts, own_boot=True, logged=logged, **how)


def client(
    world: World,
    tree: Tree,
    counts: tuple[int, int] = (100, 1100),
    port: int | None = None,
    plain: bool = False,
) -> float:
    """Thousands of instructions per Message of the client alone, with a window.

    How many PUBACKs it finds at once is the broker's doing: up to twice as many where they come one
    by one. port: of a broker that answers in batches of a fixed size. plain: without TLS.
    """
    return per_piece(world, tree, "bench_client", counts, port, plain=plain)


def backlog(world: World, tree: Tree, counts: tuple[int, int] = (200, 1200)) -> float:
    """Thousands of instructions per Reading that was on flash."""
    found = []
    for count in counts:
        flash = world.flash()
        tree.run("bench_fill", flash, {"count": count})
        found.append(collected(world, tree, "bench_node", {"do": "drain"}, flash))
    return (found[1] - found[0]) / (counts[1] - counts[0])


def idle_turns(world: World, tree: Tree, seconds: int) -> int:
    """Turns of the main loop in so many seconds in which nothing happens."""
    settings = {"do": "idle", "seconds": seconds, "still": True}
    return int(tree.run("bench_node", world.flash(), settings)["turns"])


def idle(world: World, tree: Tree, holes: int = 0) -> float:
    """Thousands of instructions per second; holes: of LAYOUTS."""
    settings = {"do": "idle", "still": True, "holes": holes}
    short, long = [
        collected(world, tree, "bench_node", {"seconds": seconds, **settings})
        for seconds in _IDLE_S
    ]
    return (long - short) / (_IDLE_S[1] - _IDLE_S[0])


def _turns(world: World, tree: Tree) -> float:
    """Turns of the main loop per idle minute."""
    few, many = [idle_turns(world, tree, seconds) for seconds in _IDLE_S]
    return 60 * (many - few) / (_IDLE_S[1] - _IDLE_S[0])


def _ours(world: World, tree: Tree) -> list[Row]:
    def each(what: Callable[..., float], **how: Any) -> tuple[float, ...]:
        return tuple(what(world, tree, holes=holes, **how) for holes in LAYOUTS)

    found = {
        NODE: each(node_one_by_one),
        NODE_FRESH: each(node_one_by_one, counts=(10, 50)),
        NODE_FLOOD: (per_piece(world, tree, "bench_node", (200, 1200), do="flood", ahead=48),),
        BACKLOG: (backlog(world, tree),),
        CLIENT: (client(world, tree),),
        CLIENT_ONE: (per_piece(world, tree, "bench_client", (50, 300), window=1),),
    }
    rows = [Row(what, _UNIT, samples, _EACH) for what, samples in found.items()]
    return [
        *rows,
        Row(IDLE, _UNIT, each(idle)),
        Row(TURNS, "per minute", (_turns(world, tree),)),
    ]


def _peers(world: World) -> list[Row]:
    counts = (10, 160)
    return [
        Row(rates.UMQTT, _UNIT, (per_piece(world, Tree(), "bench_umqtt", counts),), _EACH),
        Row(UMQTT_MADE, _UNIT, (per_piece(world, Tree(), "bench_umqtt", counts, made=1),), _EACH),
    ]


def _judge(rows: Rows) -> list[Verdict]:
    turns = rows[TURNS].median
    found = [
        Verdict("idle: wakes for deadlines only", f"{turns:.3g} turns a minute", turns <= 12),
        at_most(rows[IDLE], 22, "idle: at most 22 k a second"),
        at_most(rows[NODE], 330, "one by one: at most 330 k"),
    ]
    if rates.UMQTT not in rows:
        return found
    for what in (NODE, BACKLOG, CLIENT):
        share = rows[what].median / rows[rates.UMQTT].median
        found.append(Verdict(f"{what}: below umqtt.robust", f"{text(share)} x", share < 1))
    return found


FIGURE = Figure(
    "instructions",
    "Instructions per Reading delivered, and per idle second",
    "Of the 64-bit interpreter under valgrind's callgrind, frozen, in a heap of 256 KB (an ESP32's "
    "128 KB), TLS included; the difference of a long and a short run, so that start-up and "
    "handshake cancel. Where there are several runs, each is in another layout of the heap: the "
    "least and the most tell what that makes. umqtt.robust is given a payload that is ready, and "
    "once more has it made by json.dumps and logs it; the node makes its own, keeps the Reading in "
    "the Outbox, and logs; what measures it is counted with it. Idle: with a clock that jumps from "
    "deadline to deadline.",
    _ours,
    _peers,
    _judge,
)
