"""What all stores have in common: a batch goes in as a whole, a Reading only once, and what is
missing is known.

A Reading is stored under (device, ts, boot, seq): so what is asked for most, a device's values
between two times, lies together. That it is there only once is the key's doing; which seqs of a
boot are there, and which are missing, is in `span` (spans.py), written in the same transaction.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from limpet.ingest.intake import Event, Reading, Rejected
from limpet.ingest.spans import Span, Spans

# Counts the changes of the tables. A store of a newer one is left alone.
VERSION = 1
MAX_COLUMNS = 200
# Of what was rejected so many are kept, the newest; all are counted.
MAX_REJECTED = 10_000


class AwayError(Exception):
    """The store takes nothing at present: it is gone, full, or locked. The text is the cause."""


class UnstorableError(Exception):
    """The store is there, and refuses what it was given."""


@dataclass
class Batch:
    """What is written as a whole. now: Unix seconds; bases: base topic by device."""

    now: int
    readings: list[Reading] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    bases: dict[str, str] = field(default_factory=dict)


@dataclass
class Outcome:
    """What became of a batch. recounted: by device, Readings whose (boot, seq) was there before, of
    another time: the device counts anew. opened, filled: by (device, boot), seqs that are missing
    since, and those that are there now. given_up: seqs that are not looked for any more.
    """

    new: int = 0
    duplicates: int = 0
    dated: int = 0
    given_up: int = 0
    recounted: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    opened: list[tuple[str, int, int, int]] = field(default_factory=list)
    filled: dict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    too_many_fields: int = 0


class Undated(NamedTuple):
    """A Reading without a time, as it is stored."""

    device: int
    boot: int
    seq: int
    up: int
    arrived: int
    values: dict[str, float | None]


class Store:
    """A store that is opened. A base class: what differs from database to database is below."""

    name = ""
    _devices: dict[str, int]
    _columns: set[str]

    def write(self, batch: Batch) -> Outcome:
        """Store a batch, all of it or nothing; when this returns, it is on the disk.

        Raises AwayError, after which the same batch is to be tried again, and UnstorableError.
        """
        made = Outcome()
        with self._transaction():
            new_devices = self._add_devices(batch)
            ids = self._devices | new_devices
            columns = self._add_columns(batch, made)
            if batch.readings:
                self._write_readings(batch, ids, columns, made)
            if batch.events:
                self._put_events([(ids[e.device], *e[1:]) for e in batch.events])
            if batch.rejected:
                self._put_rejected(batch.now, batch.rejected)
        # Only now: what was rolled back has no id, and no column.
        self._devices.update(new_devices)
        self._columns |= columns
        return made

    def close(self) -> None:
        """Let go of it. Twice does no harm."""
        raise NotImplementedError

    def _write_readings(
        self, batch: Batch, ids: dict[str, int], columns: set[str], made: Outcome
    ) -> None:
        # A boot's spans are looked at once for all that a batch has of it.
        parts: dict[tuple[str, int], list[Reading]] = defaultdict(list)
        for reading in batch.readings:
            parts[reading.device, reading.boot].append(reading)
        loaded = self._spans([(ids[device], boot) for device, boot in parts])
        rows: dict[tuple[str, ...], list[tuple[Any, ...]]] = defaultdict(list)
        undated: list[Undated] = []
        suspects: list[tuple[Reading, bool]] = []
        kept: list[tuple[int, int, Spans]] = []
        for (device, boot), readings in parts.items():
            number = ids[device]
            spans = Spans(loaded.get((number, boot), ()))
            before = spans.holes()
            for each in readings:
                if not spans.add(each.seq, each.ts):
                    suspects.append((each, spans.fits(each.seq, each.ts)))
                elif each.ts is None:
                    values = {k: v for k, v in each.values.items() if k in columns}
                    undated.append(Undated(number, boot, each.seq, each.up or 0, batch.now, values))
                else:
                    _row(rows, number, each, columns)
            kept.append((number, boot, spans))
            _compare(made, device, boot, before, spans)
        rest = self._again(suspects, ids, columns, rows)
        expected = sum(map(len, rows.values()))
        stored = self._put_readings(rows) if rows else 0
        made.duplicates += expected - stored
        made.new += stored + len(undated)
        if undated:
            self._put_undated(undated)
        self._put_spans(kept)
        for each in rest:
            self._suspect(each, ids[each.device], columns, made)

    def _again(
        self,
        suspects: list[tuple[Reading, bool]],
        ids: dict[str, int],
        columns: set[str],
        rows: dict[tuple[str, ...], list[tuple[Any, ...]]],
    ) -> list[Reading]:
        """Put what comes again at the time that its seq has beside the rest: the key tells whether
        it is there, or was given up and comes after all. Return the others.
        """
        if not suspects:
            return []
        undated = self._undated({(ids[each.device], each.boot) for each, _ in suspects})
        rest = []
        for each, fits in suspects:
            number = ids[each.device]
            if fits and (number, each.boot, each.seq) not in undated:
                _row(rows, number, each, columns)
            else:
                rest.append(each)
        return rest

    def _suspect(self, each: Reading, device: int, columns: set[str], made: Outcome) -> None:
        """A Reading whose name was there before: it comes again, now perhaps with its time, or its
        device has lost count.
        """
        dated = each.ts is not None and self._drop_undated(device, each.boot, each.seq)
        rows: dict[tuple[str, ...], list[tuple[Any, ...]]] = defaultdict(list)
        _row(rows, device, each, columns)
        if each.ts is None or not self._put_readings(rows):
            made.duplicates += 1
        elif dated:
            made.dated += 1
        else:
            made.new += 1
            made.recounted[each.device] += 1

    def _add_devices(self, batch: Batch) -> dict[str, int]:
        named = {each.device for each in batch.readings} | {each.device for each in batch.events}
        names = sorted(named - self._devices.keys())
        return self._put_devices([(n, batch.bases.get(n, "")) for n in names]) if names else {}

    def _add_columns(self, batch: Batch, made: Outcome) -> set[str]:
        named: set[str] = set()
        shapes = set()
        for reading in batch.readings:
            shape = tuple(reading.values)
            if shape not in shapes:
                shapes.add(shape)
                named.update(shape)
        missing = sorted(named - self._columns)
        if not missing:
            return self._columns
        room = MAX_COLUMNS - len(self._columns)
        made.too_many_fields = len(missing[room:])
        if missing[:room]:
            self._put_columns(missing[:room])
        return self._columns | set(missing[:room])

    # What each database does in its own way. All but _transaction are called within one.

    def _transaction(self) -> AbstractContextManager[None]:
        """One writer at a time; commits at the end of the block, rolls back after an error."""
        raise NotImplementedError

    def _put_devices(self, named: Sequence[tuple[str, str]]) -> dict[str, int]:
        raise NotImplementedError

    def _put_columns(self, names: Sequence[str]) -> None:
        raise NotImplementedError

    def _spans(self, of: Iterable[tuple[int, int]]) -> dict[tuple[int, int], list[Span]]:
        raise NotImplementedError

    def _put_spans(self, all_of: Iterable[tuple[int, int, Spans]]) -> None:
        raise NotImplementedError

    def _put_readings(self, rows: dict[tuple[str, ...], list[tuple[Any, ...]]]) -> int:
        """Store what is not there yet; return how many that were. rows: by names of the fields,
        each (device, ts, boot, seq, *values).
        """
        raise NotImplementedError

    def _put_undated(self, rows: Sequence[Undated]) -> None:
        raise NotImplementedError

    def _undated(self, of: Iterable[tuple[int, int]]) -> set[tuple[int, int, int]]:
        """Return which there are of these (device, boot), as (device, boot, seq)."""
        raise NotImplementedError

    def _drop_undated(self, device: int, boot: int, seq: int) -> bool:
        raise NotImplementedError

    def _put_events(self, rows: Sequence[tuple[Any, ...]]) -> None:
        raise NotImplementedError

    def _put_rejected(self, now: int, rejected: Sequence[Rejected]) -> None:
        raise NotImplementedError

    def forget_before(self, ts: int) -> int:
        """Drop Readings and events from before `ts`, some thousands at a time; return how many."""
        raise NotImplementedError


def _row(
    rows: dict[tuple[str, ...], list[tuple[Any, ...]]],
    device: int,
    reading: Reading,
    columns: set[str],
) -> None:
    values = reading.values
    if not columns.issuperset(values):
        values = {name: value for name, value in values.items() if name in columns}
    row = (device, reading.ts, reading.boot, reading.seq, *values.values())
    rows[tuple(values)].append(row)


def _compare(
    made: Outcome, device: str, boot: int, before: list[tuple[int, int]], spans: Spans
) -> None:
    after = spans.holes()
    made.given_up += spans.given_up
    if before == after:
        return
    old, new = set(before), set(after)
    missed = sum(last - first + 1 for first, last in old - new)
    left = 0
    for first, last in sorted(new - old):
        at = bisect_right(before, first, key=lambda hole: hole[0]) - 1
        if at >= 0 and last <= before[at][1]:
            left += last - first + 1
        else:
            made.opened.append((device, boot, first, last))
    if filled := missed - left - spans.given_up:
        made.filled[device, boot] += max(filled, 0)


def tally(rejected: Iterable[Rejected]) -> Iterator[tuple[str, str, int]]:
    """Yield reason, device and how many of each there are."""
    counted: dict[tuple[str, str], int] = defaultdict(int)
    for each in rejected:
        counted[each.reason, each.device] += 1
    yield from ((reason, device, n) for (reason, device), n in counted.items())
