"""Values of a while ago: from the store of `limpet ingest` where there is one, else from what the
page has heard.

What is shown has at most so many points, each with the least, the mean and the most of a stretch of
time. Where there is nothing for longer than the device's interval allows there is an empty entry
between two others, so that a line that is drawn through them is broken there.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from statistics import median
from typing import Any, NamedTuple

from limpet.page.model.model import Model
from limpet.page.model.series import Series

POINTS = (10, 4000)
MOST_FIELDS = 32
MOST_GAPS = 1000
# Two values are of one line when they are no further apart than this, in intervals.
_APART = 2.5


class Asked(NamedTuple):
    """What is wanted: fields of a device from `since` up to, and without, `until`, Unix seconds."""

    device: str
    fields: tuple[str, ...]
    since: float
    until: float
    points: int

    @property
    def step(self) -> float:
        """How long a stretch is that becomes one point."""
        return (self.until - self.since) / self.points


class Point(NamedTuple):
    """What a field was from `ts` on, for a step."""

    ts: float
    least: float
    mean: float
    most: float


def of_memory(model: Model, asked: Asked) -> dict[str, Any]:
    """Return the answer out of what the page has heard."""
    with model.lock:
        series = model.nodes[asked.device].series
        interval_s = model.fleet.devices[asked.device].health.get("interval_s")
        numbers = series.between(asked.since, asked.until)
        every = len(numbers) <= asked.points
        found = {
            field: (_raw if every else _reduced)(series, field, numbers, asked)
            for field in asked.fields
        }
        gaps = _missing(series, numbers)
        late = series.late(numbers)
        since = series.times[0] if len(series) else None
    step = 0.0 if every else asked.step
    return {
        "from": asked.since,
        "to": asked.until,
        "step": step,
        "source": "memory",
        "since": since,
        "fields": {name: columns(points, step, interval_s) for name, points in found.items()},
        "late": late,
        "gaps": gaps[:MOST_GAPS],
    }


def _raw(series: Series, field: str, numbers: range, asked: Asked) -> list[Point]:
    column = series.column(field)
    return [
        Point(series.times[i], value, value, value)
        for i in numbers
        if (value := column[i]) == value
    ]


def _reduced(series: Series, field: str, numbers: range, asked: Asked) -> list[Point]:
    column = series.column(field)
    stretches: dict[int, list[float]] = {}
    for i in numbers:
        if (value := column[i]) == value:
            stretches.setdefault(int((series.times[i] - asked.since) / asked.step), []).append(
                value
            )
    return [
        Point(asked.since + n * asked.step, min(values), sum(values) / len(values), max(values))
        for n, values in stretches.items()
    ]


def _missing(series: Series, numbers: range) -> list[tuple[int, int, int]]:
    """Return stretches without Readings that there were: after when, before when, how many."""
    found = []
    before = None
    for row in series.rows(numbers):
        if before and row.boot == before.boot and row.seq > before.seq + 1:
            found.append((before.ts, row.ts, row.seq - before.seq - 1))
        before = row
    return found


def columns(points: Iterable[Point], step: float, interval_s: float | None) -> dict[str, list[Any]]:
    """Return points as lists for a chart, with an empty entry wherever the line is to break."""
    given = list(points)
    apart = [b.ts - a.ts for a, b in pairwise(given)]
    usual = interval_s or (median(apart) if apart else 0.0)
    limit = max(_APART * usual, 1.5 * step)
    found: dict[str, list[Any]] = {"ts": [], "min": [], "mean": [], "max": []}
    for i, each in enumerate(given):
        if i and apart[i - 1] > limit:
            _enter(found, given[i - 1].ts + max(step, min(usual, limit)), None, None, None)
        _enter(found, each.ts, each.least, each.mean, each.most)
    return found


def _enter(into: dict[str, list[Any]], ts: float, least: Any, mean: Any, most: Any) -> None:
    into["ts"].append(ts)
    into["min"].append(_short(least))
    into["mean"].append(_short(mean))
    into["max"].append(_short(most))


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.7g}")
