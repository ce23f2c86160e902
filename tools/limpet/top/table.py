"""Which columns fit a width, and the cells in them. Pure.

The widths go by the fleet and not by what is in view, so nothing jumps when it scrolls.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

from limpet.top.rows import Row

GAP = "  "
_CUT = "…"


class _Of(NamedTuple):
    """A column. weight: who has less goes first where there is no room. least and most: its width;
    where they differ it gets of what is left over. right: numbers.
    """

    name: str
    title: str
    weight: int
    least: int
    most: int
    right: bool = False


# In the order of the table. Those of names are as wide as the fleet's longest, at most `most`.
COLUMNS = (
    _Of("device", "device", 100, 6, 32),
    _Of("state", "state", 99, 9, 19),
    _Of("seen", "seen", 90, 6, 6, True),
    _Of("fields", "fields", 80, 14, 40),
    _Of("alerts", "alerts", 75, 14, 40),
    _Of("queue", "queue", 60, 6, 6, True),
    _Of("dropped", "dropped", 25, 7, 7, True),
    _Of("losses", "losses", 55, 12, 40),
    _Of("place", "place", 50, 5, 24),
    _Of("heap", "heap", 30, 7, 7, True),
    _Of("rssi", "rssi", 40, 4, 4, True),
    _Of("since", "since", 20, 6, 6, True),
    _Of("firmware", "firmware", 10, 8, 12),
)
_NAMES = ("device", "place")


class Column(NamedTuple):
    """A column that is shown, and its width in cells."""

    name: str
    title: str
    width: int
    right: bool


def fitting(width: int, names: Sequence[str], places: Sequence[str]) -> list[Column]:
    """Return the columns for so many cells, the less important ones left out. names, places: of
    the whole fleet.
    """
    longest = {
        "device": max(map(cell_len, names), default=0),
        "place": max(map(cell_len, places), default=0),
    }
    least = {
        each.name: min(max(each.least, longest.get(each.name, 0)), each.most) for each in COLUMNS
    }
    shown = list(COLUMNS)
    while len(shown) > 1 and _wide(shown, least) > width:
        shown.remove(min(shown, key=lambda each: each.weight))
    widths = {each.name: least[each.name] for each in shown}
    left = width - _wide(shown, widths)
    # A cell at a time to each that may have more: what is important first.
    growing = sorted(
        (each for each in shown if each.name not in _NAMES), key=lambda each: -each.weight
    )
    while left > 0 and (growing := [each for each in growing if widths[each.name] < each.most]):
        for each in growing[:left]:
            widths[each.name] += 1
            left -= 1
    if len(shown) == 1:
        widths[shown[0].name] = max(min(widths[shown[0].name], width), 1)
    return [Column(each.name, each.title, widths[each.name], each.right) for each in shown]


def natural(rows: Iterable[Row]) -> list[Column]:
    """Return all columns in which something is, as wide as these rows take: for a pipe."""
    found = []
    rows = list(rows)
    for each in COLUMNS:
        longest = max((cell_len(getattr(row, each.name)) for row in rows), default=0)
        if longest or each.weight > 50:
            title = cell_len(each.title)
            found.append(Column(each.name, each.title, max(longest, title), each.right))
    return found


def _wide(columns: Sequence[_Of], widths: dict[str, int]) -> int:
    return sum(widths[each.name] for each in columns) + len(GAP) * (len(columns) - 1)


def head(columns: Sequence[Column]) -> list[str]:
    """Return the titles as cells."""
    return [cell(each.title, each) for each in columns]


def cells(row: Row, columns: Sequence[Column]) -> list[str]:
    """Return the row's cells, each as wide as its column."""
    return [cell(getattr(row, each.name), each) for each in columns]


def line(cells: Sequence[str]) -> str:
    """Return the cells as a line of plain text."""
    return GAP.join(cells).rstrip()


def cell(text: str, column: Column) -> str:
    """Return a text as wide as its column: filled, or cut with a sign that it is."""
    width, long = column.width, cell_len(text)
    if long > width:
        return set_cell_size(text, width - 1) + _CUT
    return " " * (width - long) + text if column.right else text + " " * (width - long)
