"""What was measured, as Markdown for docs/benchmarks.md and as text for a terminal.

It judges the rows that it is given, and nothing else.
"""

from __future__ import annotations

import textwrap
from typing import NamedTuple

from limpet_bench import sizes
from limpet_bench.figure import Figure, Row, Verdict, text
from limpet_bench.sizes import Module

_HEAD = """\
# Benchmarks

Written by `make bench`; not to be edited. Peers are measured in the same run, on the same machine,
with the same broker. Times are medians of several runs, with the least and the most; counts
(bytes, records, heap) come out the same each time, instructions nearly; `make test` holds them.
`x` is a row's median as a multiple of ours.
"""
_EARLIER = """\
`at {0}`: the node of that commit, measured by the same scripts, now. Its cell is empty where it has
no such part.
"""
_WIDTH = 100
_TARGETS = """
## What was to be reached

| figure | target | measured | met |
|---|---|---|---|
"""
_MODULES = """
## Size per module

Bytes of byte code, and of heap at import on a 32-bit interpreter, behind what a module imports. One
that makes the pool of names grow is charged with all of it. 0 bytes of .mpy: part of the chip's own
firmware, or of what stands in for it here. No heap: only a chip can import it.

| module | .mpy | heap | loaded |
|---|---|---|---|
"""


class Taken(NamedTuple):
    """A figure with what was measured: ours, peers', at an earlier commit; or why it was not, and
    why not at the earlier commit.
    """

    figure: Figure
    rows: list[Row]
    earlier: list[Row]
    missing: str
    lacking: str = ""

    @property
    def verdicts(self) -> list[Verdict]:
        """What was to be reached, of what was measured."""
        return [] if self.missing else self.figure.judge({row.what: row for row in self.rows})


def markdown(
    taken: list[Taken], modules: list[Module], machine: list[str], against: str | None
) -> str:
    """Return the whole of docs/benchmarks.md."""
    parts = [
        _HEAD,
        _EARLIER.format(against) if against else "",
        "\n",
        *(f"- {line}\n" for line in machine),
        _TARGETS,
    ]
    for each in taken:
        for verdict in each.verdicts:
            met = "yes" if verdict.met else "**no**"
            parts.append(
                f"| {each.figure.name} | {verdict.target} | {verdict.measured} | {met} |\n"
            )
        if each.missing:
            parts.append(f"| {each.figure.name} | | not measured: {each.missing} | |\n")
    for each in taken:
        how = f"`limpet bench --only {each.figure.name}`. {each.figure.how}"
        parts.append(f"\n## {each.figure.title}\n\n{textwrap.fill(how, _WIDTH)}\n")
        parts.append(_table(each, against))
    if modules:
        parts.append(_MODULES)
        for module in sizes.ordered(modules):
            heap = "" if module.heap is None else f"{module.heap:,}"
            loaded = "at boot" if module.at_boot else "on use"
            parts.append(f"| {module.name} | {module.mpy:,} | {heap} | {loaded} |\n")
    return "".join(parts)


def _table(each: Taken, against: str | None) -> str:
    if each.missing:
        return f"\nNot measured: {each.missing}.\n"
    columns = ["what", "unit", "median", "least", "most", "runs", "x"]
    earlier = {row.what: row for row in each.earlier}
    if against:
        columns.append(f"at {against}")
    lines = [columns, ["---"] * len(columns)]
    for row, multiple in zip(each.rows, _multiples(each.rows), strict=True):
        low, high = min(row.samples), max(row.samples)
        one = len(row.samples) == 1
        cells = [row.what, row.unit, text(row.median)]
        cells += ["", ""] if one else [text(low), text(high)]
        cells += [str(len(row.samples)), multiple]
        if against:
            cells.append(text(earlier[row.what].median) if row.what in earlier else "")
        lines.append(cells)
    table = "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
    lacking = f"\nNot measured at {against}: {each.lacking}.\n" if each.lacking else ""
    return f"\n{table}{lacking}"


def _multiples(rows: list[Row]) -> list[str]:
    first: dict[str, float] = {}
    found = []
    for row in rows:
        base = first.setdefault(row.group, row.median)
        compared = row.group and base and row.median
        found.append(_multiple(row.median / base) if compared else "")
    return found


def _multiple(ratio: float) -> str:
    return f"1/{text(1 / ratio)}" if ratio < 0.1 else text(ratio)


def lines(each: Taken, against: str | None) -> list[str]:
    """Return a figure as lines of text."""
    said = [f"{each.figure.title}   [{each.figure.name}]"]
    if each.missing:
        return [*said, f"    not measured: {each.missing}"]
    width = max(len(row.what) for row in each.rows)
    earlier = {row.what: row for row in each.earlier}
    for row, multiple in zip(each.rows, _multiples(each.rows), strict=True):
        spread = ""
        if len(row.samples) > 1:
            spread = f"  ({text(min(row.samples))} to {text(max(row.samples))})"
        before = ""
        if against and row.what in earlier:
            before = f"  {against}: {text(earlier[row.what].median)}"
        value = text(row.median, row.unit)
        more = f"x {multiple}" if multiple else ""
        said.append(f"    {row.what:<{width}}  {value:>22}  {more:<10}{spread}{before}".rstrip())
    if each.lacking:
        said.append(f"    not measured at {against}: {each.lacking}")
    for verdict in each.verdicts:
        said.append(
            f"    {'met   ' if verdict.met else 'MISSED'}  {verdict.target}: {verdict.measured}"
        )
    return said
