"""A node as `limpet node` runs it, of any version of its code."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from limpet.node_host.process import NodeProcess

from limpet_bench.tree import Tree


class TreeNode(NodeProcess):
    """One node on `flash`. Its end is a loss of power: no goodbye is waited for.

    said: its lines with the time (time.monotonic) at which each came. `on_change` is called, from a
    thread, after each. how: NodeProcess's own.
    """

    def __init__(
        self, tree: Tree, flash: Path, on_change: Callable[[], None] = lambda: None, **how: Any
    ) -> None:
        tree.prepare(flash)
        super().__init__(flash, folders=tree.node, on_line=self._take, **how)
        self.said: list[tuple[float, str]] = []
        self._on_change = on_change

    def __enter__(self) -> TreeNode:
        self.start()
        return self

    @property
    def ill(self) -> bool:
        """Whether it has ended, or has said that it ran out of memory."""
        return self.returncode is not None or any("MemoryError" in each for each in self.lines)

    def _take(self, line: str) -> None:
        self.said.append((time.monotonic(), line))
        self._on_change()

    def __exit__(self, *_: object) -> None:
        self.kill()
