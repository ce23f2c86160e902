"""What a figure is: how it was taken, its rows, and what was to be reached."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from typing import NamedTuple

from limpet_bench.tree import Tree
from limpet_bench.world import World


class Row(NamedTuple):
    """One thing that was measured, in one or more runs, each a sample in `unit`.

    group: rows of one group, if any, are compared with its first.
    """

    what: str
    unit: str
    samples: tuple[float, ...]
    group: str = ""

    @property
    def median(self) -> float:
        """The middle one of the samples."""
        return statistics.median(self.samples)


class Verdict(NamedTuple):
    """What was to be reached, what was, and whether that is enough."""

    target: str
    measured: str
    met: bool


Rows = Mapping[str, Row]


class Figure(NamedTuple):
    """One figure of the table; `limpet bench --only NAME` takes it alone.

    ours, peers: measure. judge: of all rows by their names; it leaves out what was not measured.
    """

    name: str
    title: str
    how: str
    ours: Callable[[World, Tree], list[Row]]
    peers: Callable[[World], list[Row]] = lambda world: []
    judge: Callable[[Rows], list[Verdict]] = lambda rows: []


def at_least(row: Row, bound: float, target: str) -> Verdict:
    """Whether the median of a row reaches `bound`."""
    return Verdict(target, text(row.median, row.unit), row.median >= bound)


def at_most(row: Row, bound: float, target: str) -> Verdict:
    """Whether the median of a row stays within `bound`."""
    return Verdict(target, text(row.median, row.unit), row.median <= bound)


def text(value: float, unit: str = "") -> str:
    """Return a value with as many digits as mean something, and its unit."""
    if (value == int(value) and abs(value) < 1e6) or abs(value) >= 100:
        digits = f"{value:,.0f}"
    else:
        digits = f"{value:.3g}"
    return f"{digits} {unit}".rstrip()
