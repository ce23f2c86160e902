"""Which seqs of one boot of one device are there: as spans without a hole, so that what is missing
is what lies between them. Pure.

It will not say what is missing behind the last one: a boot's end announces itself nowhere.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

# A boot with more holes has the oldest ones given up: what is kept of a device is bounded. Of
# several workers each makes a hole where another one has the Message in its batch.
MAX_SPANS = 10_000


class Span(NamedTuple):
    """All seqs from `first` to `last`, and when these two were measured (Unix seconds, or None)."""

    first: int
    last: int
    first_ts: int | None
    last_ts: int | None


class Spans:
    """The spans of one boot, in order, with what has changed since they were loaded. most: how many
    are kept, if not MAX_SPANS.
    """

    def __init__(self, loaded: Iterable[Span] = (), most: int | None = None) -> None:
        self._most = MAX_SPANS if most is None else most
        self._loaded = sorted(loaded)
        self.spans = list(self._loaded)
        self.given_up = 0

    def __contains__(self, seq: int) -> bool:
        at = bisect_right(self.spans, seq, key=_first) - 1
        return at >= 0 and seq <= self.spans[at].last

    def fits(self, seq: int, ts: int | None) -> bool:
        """Whether a seq that is there, or was given up, can have been measured at that time: a
        device that counts anew has a later one.
        """
        span = self.spans[bisect_right(self.spans, seq, key=_first) - 1]
        if ts is None or span.first_ts is None or span.last_ts is None:
            return False
        return span.first_ts <= ts <= span.last_ts

    def add(self, seq: int, ts: int | None) -> bool:
        """Enter one; False if it is there already."""
        spans = self.spans
        if spans and seq == spans[-1].last + 1:  # as nearly all are
            spans[-1] = Span(spans[-1].first, seq, spans[-1].first_ts, ts)
            return True
        at = bisect_right(spans, seq, key=_first)
        if at and seq <= spans[at - 1].last:
            return False
        new = Span(seq, seq, ts, ts)
        begin, end = at, at
        if at and spans[at - 1].last == seq - 1:
            begin, new = at - 1, Span(spans[at - 1].first, seq, spans[at - 1].first_ts, ts)
        if at < len(spans) and spans[at].first == seq + 1:
            end, new = at + 1, Span(new.first, spans[at].last, new.first_ts, spans[at].last_ts)
        spans[begin:end] = [new]
        if len(spans) > self._most:
            self.given_up += spans[1].first - spans[0].last - 1
            spans[:2] = [Span(spans[0].first, spans[1].last, spans[0].first_ts, spans[1].last_ts)]
        return True

    def holes(self) -> list[tuple[int, int]]:
        """Return what is missing between the first and the last: pairs of first and last seq."""
        return [(a.last + 1, b.first - 1) for a, b in zip(self.spans, self.spans[1:], strict=False)]

    def changes(self) -> tuple[list[int], list[Span]]:
        """Return what the store has to drop, by `first`, and what it has to write."""
        before, now = set(self._loaded), set(self.spans)
        kept = {span.first for span in now}
        dropped = [span.first for span in self._loaded if span.first not in kept]
        return dropped, sorted(now - before)


def _first(span: Span) -> int:
    return span.first
