"""Values of a while ago: from the store of `limpet ingest` where there is one, else from what the
page has heard.

What is shown has at most so many points, each with the least, the mean and the most of a stretch of
time. Where there is nothing for longer than the device's interval allows there is an empty entry
between two others, so that a line that is drawn through them is broken there.

What the page has heard without a break it knows as well as a store, and which of it came late
besides; so that is asked first, and it follows what the store has, which may not be written to now.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from limpet.ingest import reader
from limpet.ingest.files import rows
from limpet.ingest.places import Place
from limpet.ingest.reader import Reader
from limpet.page.model.model import Model
from limpet.page.model.series import Series
from limpet.shared.problem import Problem

POINTS = (10, 4000)
MOST_FIELDS = 32
MOST_GAPS = 1000
# Two values are of one line when they are no further apart than this, in intervals.
_APART = 2.5

Gap = tuple[int, int, int]


class Asked(NamedTuple):
    """What is wanted: fields of a device, all where none is named, from `since` up to, and without,
    `until`, Unix seconds; at most so many points.
    """

    device: str
    fields: tuple[str, ...]
    since: int
    until: int
    points: int = 800

    @property
    def step(self) -> int:
        """How long a stretch is that becomes one point, in seconds."""
        return max(-(-(self.until - self.since) // self.points), 1)


class Point(NamedTuple):
    """What a field was from `ts` on, for a step."""

    ts: int
    least: float
    mean: float
    most: float


class _Heard(NamedTuple):
    """What the page has heard of that. whole: whether that is all there was. first: the time of the
    oldest that is remembered. every: whether a point is a Reading.
    """

    fields: dict[str, list[Point]]
    late: list[tuple[int, int]]
    gaps: list[Gap]
    first: int | None
    interval_s: float | None
    whole: bool
    every: bool


class History:
    """place: the store; None where there is none. Used by any thread."""

    def __init__(self, model: Model, place: Place | None) -> None:
        self._model = model
        self._place = place

    @property
    def stored(self) -> bool:
        """Whether there is a store by now."""
        place = self._place
        return place is not None and (place.kind != "sqlite" or Path(place.url).exists())

    def answer(self, asked: Asked) -> dict[str, Any]:
        """Return what a chart is made of, from the first that there is on. Raises KeyError for a
        device that is not known.
        """
        heard = self._heard(asked, reduced=False)
        if heard.whole or not self.stored:
            return self._remembered(asked, heard)
        assert self._place
        try:
            with reader.reader(self._place) as store:
                first = store.began(asked.device)
                asked = _begun(asked, first)
                points_of = _stored(store, asked)
                gaps = _gaps(store, asked)
        except Problem as problem:
            # One that cannot be read just now, or knows nothing of this device.
            return self._remembered(asked, heard) | {"note": problem.cause}
        heard = self._heard(asked, reduced=True)
        last = max((points[-1].ts for points in points_of.values() if points), default=-1)
        for field, points in heard.fields.items():
            newer = [each for each in points if each.ts > last]
            points_of[field] = [*points_of.get(field, ()), *newer]
        gaps += [each for each in heard.gaps if each[0] > last]
        heard = heard._replace(gaps=gaps)
        return _answer(
            asked, points_of, heard, "store", first if first is not None else heard.first
        )

    def _remembered(self, asked: Asked, heard: _Heard) -> dict[str, Any]:
        """Return what a chart is made of where that is what the page has heard."""
        begun = _begun(asked, heard.first)
        if begun != asked and not heard.every:
            heard = self._heard(begun, reduced=False)
        return _answer(begun, heard.fields, heard, "memory", heard.first)

    def rows(self, asked: Asked, fields: list[str]) -> Iterator[tuple[Any, ...]]:
        """Yield (device, ts, boot, seq, *values) of all Readings, by time; `fields` is filled with
        their names before the first. Raises Problem.
        """
        with self._model.lock:
            series = self._model.nodes[asked.device].series
            fields += series.fields
            heard = list(series.rows(series.between(asked.since, asked.until)))
        last = (-1, -1, -1)
        if self.stored:
            assert self._place
            with reader.reader(self._place) as store:
                own = store.fields(asked.device)
                fields += [name for name in own if name not in fields]
                lacking = [name for name in fields if name not in own]
                there = [name for name in fields if name in own]
                for row in rows.stored(store, [asked.device], there, asked.since, asked.until):
                    last = row[1:4]
                    values = dict(zip(there, row[4:], strict=True)) | dict.fromkeys(lacking)
                    yield *row[:4], *(values[name] for name in fields)
        for each in heard:
            if each.ts > last[0]:
                own_values = [each.values.get(name) for name in fields]
                yield asked.device, each.ts, each.boot, each.seq, *own_values

    def _heard(self, asked: Asked, *, reduced: bool) -> _Heard:
        model = self._model
        with model.lock:
            series = model.nodes[asked.device].series
            interval_s = model.fleet.devices[asked.device].health.get("interval_s")
            numbers = series.between(asked.since, asked.until)
            every = len(numbers) <= asked.points and not reduced
            found = {
                field: (_raw if every else _reduced)(series, field, numbers, asked)
                for field in asked.fields or series.fields
            }
            first = series.times[0] if len(series) else None
            complete = max(model.heard_since, series.times[0] if series.full else 0)
            return _Heard(
                found,
                series.late(numbers),
                _missing(series, numbers),
                first,
                interval_s,
                asked.since >= complete,
                every,
            )


def _begun(asked: Asked, first: int | None) -> Asked:
    """Return what is asked for without the time before the first Reading: its points would be so
    much the fewer.
    """
    if first is None or not asked.since < first < asked.until:
        return asked
    return asked._replace(since=first)


def _answer(
    asked: Asked, found: dict[str, list[Point]], heard: _Heard, source: str, since: int | None
) -> dict[str, Any]:
    step = 0 if heard.every else asked.step
    return {
        "from": asked.since,
        "to": asked.until,
        "step": step,
        "source": source,
        "since": since,
        "fields": {name: columns(points, step, heard.interval_s) for name, points in found.items()},
        "late": heard.late,
        "gaps": heard.gaps[-MOST_GAPS:],
    }


def _raw(series: Series, field: str, numbers: range, asked: Asked) -> list[Point]:
    column = series.column(field)
    times = series.times
    return [Point(times[i], value, value, value) for i in numbers if (value := column[i]) == value]


def _reduced(series: Series, field: str, numbers: range, asked: Asked) -> list[Point]:
    column = series.column(field)
    stretches: dict[int, list[float]] = {}
    for i in numbers:
        if (value := column[i]) == value:
            stretches.setdefault((series.times[i] - asked.since) // asked.step, []).append(value)
    return [
        Point(asked.since + n * asked.step, min(values), sum(values) / len(values), max(values))
        for n, values in stretches.items()
    ]


def _missing(series: Series, numbers: range) -> list[Gap]:
    """Return stretches without Readings that there were: after when, before when, how many."""
    found = []
    for before, row in pairwise(series.rows(numbers)):
        if row.boot == before.boot and row.seq > before.seq + 1:
            found.append((before.ts, row.ts, row.seq - before.seq - 1))
    return found


def _stored(store: Reader, asked: Asked) -> dict[str, list[Point]]:
    there = set(store.fields())
    return {
        field: [
            Point(each.ts, each.least, each.mean, each.most)
            for each in store.downsampled(
                asked.device, field, asked.since, asked.until, asked.points
            )
        ]
        for field in asked.fields or store.fields(asked.device)[:MOST_FIELDS]
        if field in there
    }


def _gaps(store: Reader, asked: Asked) -> list[Gap]:
    found = []
    for each in store.gaps(asked.device):
        after, before = each.after, each.before
        if after is None or before is None or before < asked.since or after >= asked.until:
            continue
        found.append((after, before, each.last - each.first + 1))
    return sorted(found)


def columns(points: Iterable[Point], step: int, interval_s: float | None) -> dict[str, list[Any]]:
    """Return points as lists for a chart, with an empty entry wherever the line is to break."""
    given = list(points)
    apart = [b.ts - a.ts for a, b in pairwise(given)]
    usual = interval_s or (median(apart) if apart else 0.0)
    limit = max(_APART * usual, 1.5 * step)
    found: dict[str, list[Any]] = {"ts": [], "min": [], "mean": [], "max": []}
    for i, each in enumerate(given):
        if i and apart[i - 1] > limit:
            _enter(found, given[i - 1].ts + max(step, math.ceil(usual)), None, None, None)
        _enter(found, each.ts, each.least, each.mean, each.most)
    return found


def _enter(into: dict[str, list[Any]], ts: int, least: Any, mean: Any, most: Any) -> None:
    into["ts"].append(ts)
    into["min"].append(_short(least))
    into["mean"].append(_short(mean))
    into["max"].append(_short(most))


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.7g}")
