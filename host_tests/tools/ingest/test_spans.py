"""Which seqs are there and which are missing, against a plain set of numbers."""

from __future__ import annotations

import random

from limpet.ingest.spans import MAX_SPANS, Span, Spans


def missing(seqs: set[int]) -> list[tuple[int, int]]:
    """Return the holes of a set of numbers, the slow way."""
    found: list[tuple[int, int]] = []
    for seq in range(min(seqs), max(seqs)):
        if seq in seqs:
            continue
        if found and found[-1][1] == seq - 1:
            found[-1] = (found[-1][0], seq)
        else:
            found.append((seq, seq))
    return found


def test_against_a_set() -> None:
    """Any order, with repeats, written down and loaded again now and then."""
    for seed in range(30):
        chance = random.Random(seed)
        model: set[int] = set()
        stored: dict[int, Span] = {}
        spans = Spans()
        for _ in range(300):
            seq = chance.choice([chance.randrange(150), len(model)])
            assert (seq in spans) == (seq in model)
            assert spans.add(seq, seq * 10) == (seq not in model)
            model.add(seq)
            assert spans.holes() == missing(model)
            if chance.random() < 0.1:
                dropped, written = spans.changes()
                for first in dropped:
                    del stored[first]
                stored |= {each.first: each for each in written}
                spans = Spans(stored.values())
        for each in spans.spans:
            assert (each.first_ts, each.last_ts) == (each.first * 10, each.last * 10)


def test_an_append_writes_one_span() -> None:
    """What nearly all Readings do costs one row, however many holes there are."""
    spans = Spans([Span(i * 10, i * 10 + 5, None, None) for i in range(100)])
    spans.add(996, 7)
    assert spans.changes() == ([], [Span(990, 996, None, 7)])


def test_holes_are_bounded() -> None:
    """A device that passes over every second number has its oldest holes given up."""
    spans = Spans()
    for seq in range(0, 2 * MAX_SPANS + 20, 2):
        spans.add(seq, None)
    assert len(spans.spans) == MAX_SPANS
    assert spans.given_up == 10
    assert spans.spans[0] == Span(0, 20, None, None)
