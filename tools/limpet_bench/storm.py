"""How many of a thousand nodes come back at once: simulated from the node's own lib/backoff.py."""

from __future__ import annotations

import importlib.util
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

from limpet_bench.figure import Figure, Row, Rows, Verdict, text
from limpet_bench.tree import Tree
from limpet_bench.world import World

NODES = 1000
_BIN_MS = 100
_AWAY_S = (0, 1, 5, 30, 300)
_PER_S = "connects/s"


def _name(away_s: int, jitter: bool) -> str:
    return f"broker away for {away_s} s{'' if jitter else ', without jitter'}"


def peak(tree: Tree, away_s: int, draw: Callable[[], float]) -> int:
    """The most connects in any 100 ms, as connects/s. `draw()` is in [0, 1)."""
    bins: Counter[int] = Counter()
    backoff = _backoff(tree)
    for _ in range(NODES):
        mine, at_ms = backoff.Backoff(draw), 0
        while True:
            at_ms += mine.next_ms("network")
            if at_ms >= away_s * 1000:
                break
        bins[at_ms // _BIN_MS] += 1
    return max(bins.values()) * 1000 // _BIN_MS


def _backoff(tree: Tree) -> Any:
    path = tree.folders[1] / "backoff.py"
    spec = importlib.util.spec_from_file_location("bench_backoff", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _ours(world: World, tree: Tree) -> list[Row]:
    rows = []
    for away_s in _AWAY_S:
        # Chance, but the same in each run.
        drawn = tuple(float(peak(tree, away_s, random.Random(n).random)) for n in range(20))
        rows.append(Row(_name(away_s, True), _PER_S, drawn))
        rows.append(Row(_name(away_s, False), _PER_S, (peak(tree, away_s, lambda: 0.999),)))
    return rows


def _judge(rows: Rows) -> list[Verdict]:
    worst = max(
        rows[_name(each, True)].median / rows[_name(each, False)].median for each in _AWAY_S
    )
    target = "at most 1/10 of that without jitter, whatever the outage"
    return [Verdict(target, f"1/{text(1 / worst)}", worst <= 0.1)]


FIGURE = Figure(
    "storm",
    f"Peak connects per second of {NODES:,} nodes after a broker restart",
    "Simulated from lib/backoff.py, the most in any 100 ms, times ten; all nodes lose the broker "
    "at the same moment and try until it is back. Without jitter: each waits the longest that its "
    "back-off allows. Twenty times with different chance, always the same twenty.",
    _ours,
    judge=_judge,
)
