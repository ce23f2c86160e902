"""How soon nodes are back after their broker was restarted."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator

from limpet.trial.wire import Wire

from limpet_bench.figure import Figure, Row, Rows, Verdict
from limpet_bench.tree import Tree, Unmeasured
from limpet_bench.tree_node import TreeNode
from limpet_bench.world import World

ROUND_TRIP_S = 0.1
_NODES = 6
_AWAY_S = (0.5, 1.0, 2.0, 4.0)  # one restart each
_BACK_S = 30.0
BACK = "broker listens, until up"
BEYOND = "beyond the back-off in force and the handshake"
_DOWN = re.compile(r"link down cause=\S+ retry_ms=(\d+)")
_UP = re.compile(r"link up .*handshake_ms=(\d+)")


def _ours(world: World, tree: Tree) -> list[Row]:
    found: list[tuple[float, float]] = []
    with Wire(world.port, ROUND_TRIP_S / 2) as wire:
        for away_s in _AWAY_S:
            found += _restarted(world, tree, wire, away_s)
    back, beyond = zip(*found, strict=True)
    return [Row(BACK, "s", back), Row(BEYOND, "s", beyond)]


def _restarted(
    world: World, tree: Tree, wire: Wire, away_s: float
) -> Iterator[tuple[float, float]]:
    """Seconds, see _came_back, of each of some nodes that have never been thrown out before."""
    with contextlib.ExitStack() as stack:
        nodes = [stack.enter_context(TreeNode(tree, world.flash(wire.port))) for _ in range(_NODES)]
        for node in nodes:
            node.wait_for("link up")
        since = [len(node.said) for node in nodes]
        world.broker.stop()
        for node, line in zip(nodes, since, strict=True):
            node.wait_for("link down", since=line)
        time.sleep(away_s)
        world.broker.start()
        listening = time.monotonic()
        for node, line in zip(nodes, since, strict=True):
            node.wait_for("link up", _BACK_S, since=line)
            yield _came_back(node.said[line:], listening)


def _came_back(said: list[tuple[float, str]], listening: float) -> tuple[float, float]:
    """Seconds since the broker listens, and what of that was neither back-off nor handshake."""
    try_at = 0.0
    for at, line in said:
        if down := _DOWN.search(line):
            try_at = at + int(down[1]) / 1000
        elif up := _UP.search(line):
            waited_until = max(listening, try_at)
            return at - listening, max(0.0, at - waited_until - int(up[1]) / 1000)
    raise Unmeasured("a node did not come back")


def p95(samples: tuple[float, ...]) -> float:
    """The value that 95 % of the samples do not exceed."""
    return sorted(samples)[-(-95 * len(samples) // 100) - 1]


def _judge(rows: Rows) -> list[Verdict]:
    bound = 5 * ROUND_TRIP_S
    found = p95(rows[BEYOND].samples)
    return [
        Verdict(
            "p95 under the back-off in force + handshake + 5 round trips",
            f"{found:.3f} s of {bound:g} s; since the broker listens: "
            f"median {rows[BACK].median:.2f} s, p95 {p95(rows[BACK].samples):.2f} s",
            found < bound,
        )
    ]


FIGURE = Figure(
    "reconnect",
    "Reconnect after a broker restart",
    f"{_NODES} nodes over a wire with a round trip of 100 ms; the broker is away for "
    f"{', '.join(f'{each:g}' for each in _AWAY_S)} s. The back-off in force is the wait that the "
    "node had begun when the broker listened again.",
    _ours,
    judge=_judge,
)
