"""The power goes at each operation of the flash, one after the other, until all is through."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from support.virtual_board.board import VirtualBoard


def cut_anywhere(
    folder: Path,
    runs: str,
    ready: Callable[[VirtualBoard], None] = lambda board: None,
    **how: Any,
) -> Iterator[VirtualBoard]:
    """Yield boards, made by `how`, that had their power cut at the first operation in a start, at
    the second, and so on. The last one has got through: it has said `runs`. All are without power.

    ready: does to each what comes before that start.
    """
    cut, through = 0, False
    while not through:
        cut += 1
        with contextlib.closing(VirtualBoard(folder / f"{cut}", **how)) as board:
            ready(board)
            since = len(board.lines)
            board.power_on(sum(board.counters()) + cut)
            _ended(board, runs, since)
            through = board.powered
            board.power_cut()
            yield board


def _ended(board: VirtualBoard, runs: str, since: int) -> None:
    board.wait(lambda: not board.powered or any(runs in line for line in board.lines[since:]))
