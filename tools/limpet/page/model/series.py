"""The newest Readings of one device, by time, in arrays: a float costs a list four times as much.

Late ones are put where they belong. One that is there already, by boot and seq at its time, is not
taken again.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from typing import NamedTuple

NAN = math.nan


class Row(NamedTuple):
    """A Reading: ts in Unix seconds; late: it came long after it was measured; values: by field,
    None where there is none.
    """

    ts: int
    boot: int
    seq: int
    late: bool
    values: dict[str, float | None]


class Series:
    """Starts empty; whoever adds says how many Readings are kept. full: whether older ones went."""

    def __init__(self) -> None:
        self.full = False
        self.times = array("I")
        self._boots = array("I")
        self._seqs = array("I")
        self._late = array("b")
        self._values: dict[str, array[float]] = {}

    def __len__(self) -> int:
        return len(self.times)

    @property
    def fields(self) -> list[str]:
        """The names of the fields, in the order in which they came."""
        return list(self._values)

    def add(
        self,
        ts: int,
        boot: int,
        seq: int,
        values: Mapping[str, float | None],
        *,
        late: bool,
        most: int,
    ) -> bool:
        """Enter a Reading; the oldest ones go where there are more than `most`. False where it is
        there already, or is older than all of a full series.
        """
        at = bisect_right(self.times, ts)
        if at == 0 and len(self.times) >= most:
            self.full = True
            return False
        for i in range(bisect_left(self.times, ts), at):
            if self._seqs[i] == seq and self._boots[i] == boot:
                return False
        for name in values:
            if name not in self._values:
                self._values[name] = array("d", [NAN]) * len(self.times)
        self.times.insert(at, ts)
        self._boots.insert(at, boot)
        self._seqs.insert(at, seq)
        self._late.insert(at, late)
        for name, column in self._values.items():
            value = values.get(name)
            column.insert(at, NAN if value is None else value)
        # An eighth at once, as each removal moves all that is behind it.
        if len(self.times) > most + most // 8:
            self.full = True
            self._drop(len(self.times) - most)
        return True

    def _drop(self, count: int) -> None:
        for whole in (self.times, self._boots, self._seqs, self._late):
            del whole[:count]
        for column in self._values.values():
            del column[:count]

    def between(self, since: float, until: float) -> range:
        """Return the numbers of the Readings from `since` up to, and without, `until`."""
        return range(bisect_left(self.times, since), bisect_left(self.times, until))

    def column(self, field: str) -> array[float]:
        """Return all values of a field, NaN where there is none; not to be changed."""
        return self._values.get(field) or array("d", [NAN]) * len(self.times)

    def rows(self, numbers: range) -> Iterator[Row]:
        """Yield these Readings."""
        for i in numbers:
            values = {name: _value(column[i]) for name, column in self._values.items()}
            yield Row(self.times[i], self._boots[i], self._seqs[i], bool(self._late[i]), values)

    def late(self, numbers: range) -> list[tuple[int, int]]:
        """Return the stretches of Readings that came late, each by its first and last time."""
        found: list[tuple[int, int]] = []
        before = False
        for i in numbers:
            if self._late[i]:
                begin = found.pop()[0] if before else self.times[i]
                found.append((begin, self.times[i]))
            before = bool(self._late[i])
        return found

    def spark(self, most: int) -> list[tuple[int, float]]:
        """Return at most `most` values of the first field, evenly taken, the newest among them."""
        if not self._values:
            return []
        column = next(iter(self._values.values()))
        step = -(-len(column) // most) if column else 1
        numbers = range(len(column) - 1, -1, -step)
        return [(self.times[i], column[i]) for i in reversed(numbers) if column[i] == column[i]]


def _value(number: float) -> float | None:
    return None if number != number else number
