"""The smallest heap in which a node starts, connects over TLS, delivers, and takes a Command."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from limpet.operating.operator_client import Arrival, OperatorClient
from limpet.operating.where import Where

from limpet_bench.figure import Figure, Row, Rows, Verdict, at_most
from limpet_bench.tree import Tree
from limpet_bench.tree_node import TreeNode
from limpet_bench.world import World

# Far above what a node with room needs for either; one without mostly says so at once.
_DELIVERED_S = 8.0
_ANSWERED_S = 5.0
# More tries than a search between the bounds can take, each at its longest.
_ALL_S = 1800
_STEP_KB = 1
# What lies on the stack by chance keeps garbage alive: not every try comes out the same.
_RUNS = 3
_NEAR_KB = 4
_BOUNDS_KB = (40, 160)
LEAST = {"frozen": "frozen", "bytecode": "from .mpy"}


class _Ear:
    """Hears what arrives at an operator, and waits for it."""

    def __init__(self) -> None:
        self._topics: set[str] = set()
        self._changed = threading.Condition()
        self.over = False

    def take(self, arrival: Arrival) -> None:
        with self._changed:
            self._topics.add(arrival.topic)
            self._changed.notify_all()

    def wait(self, topic: str, node: TreeNode, timeout_s: float) -> bool:
        """Whether something arrives on that topic, or below it, while the node is well."""
        with self._changed:
            self._changed.wait_for(lambda: self._there(topic) or node.ill or self.over, timeout_s)
            return self._there(topic) and not node.ill

    def stop(self) -> None:
        """Have nobody wait any more."""
        self.over = True
        self.changed()

    def changed(self) -> None:
        """Have those that wait look again."""
        with self._changed:
            self._changed.notify_all()

    def _there(self, topic: str) -> bool:
        return any(each == topic or each.startswith(topic + "/") for each in self._topics)


def enough(world: World, tree: Tree, operator: OperatorClient, ear: _Ear, **how: Any) -> bool:
    """Whether a node does all that it has to in such a heap."""
    flash = world.flash(interval_s=2)
    base = f"limpet/home/desk/climate/{flash.name}"
    with TreeNode(tree, flash, ear.changed, **how) as node:
        if not ear.wait(f"{base}/telemetry", node, _DELIVERED_S):
            return False
        command = {"id": "bench-1", "action": "ping"}
        operator.publish(f"{base}/commands", json.dumps(command).encode())
        return ear.wait(f"{base}/commands/response", node, _ANSWERED_S)


def _least(
    world: World, tree: Tree, form: str, operator: OperatorClient, ear: _Ear
) -> tuple[float, ...]:
    found: list[float] = []
    low, high = _BOUNDS_KB
    for _ in range(_RUNS):
        while high - low > _STEP_KB and not ear.over:
            middle = (low + high) // 2
            how: Mapping[str, Any] = {"arch": "i386", "heap": f"{middle}k", form: True}
            if enough(world, tree, operator, ear, **how):
                high = middle
            else:
                low = middle
        found.append(high)
        low, high = high - _NEAR_KB, high + _NEAR_KB
    return tuple(found)


def _ours(world: World, tree: Tree) -> list[Row]:
    world.flash()  # a set-up without a device is none to the operator
    ear = _Ear()
    where = Where(Path(world.setup.layout.root), port=world.port)
    with OperatorClient(where, ear.take) as operator, ThreadPoolExecutor() as pool:
        operator.connect()
        operator.subscribe(["limpet/#"])
        running = [pool.submit(_least, world, tree, form, operator, ear) for form in LEAST]
        try:
            found = [each.result(_ALL_S) for each in running]
        finally:
            ear.stop()  # after Ctrl-C nobody goes on for the rest of a minute
        return [Row(LEAST[form], "KB", kb) for form, kb in zip(LEAST, found, strict=True)]


def _judge(rows: Rows) -> list[Verdict]:
    return [at_most(rows[LEAST["frozen"]], 64, "frozen: at most 64 KB")]


FIGURE = Figure(
    "least-heap",
    "Smallest heap that does",
    "By bisection with -X heapsize on a 32-bit interpreter, to 1 KB: the node starts, connects "
    "over TLS, delivers a Reading and answers a Command, and never runs out of memory meanwhile. "
    "TLS itself lies outside that heap, as on the chip.",
    _ours,
    judge=_judge,
)
