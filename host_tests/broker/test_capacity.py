"""The sizes of a broker for a fleet, and what it is planned from."""

from __future__ import annotations

from dataclasses import asdict
from itertools import pairwise

import pytest
from limpet.brokers import capacity, plan, rules


@pytest.mark.parametrize(
    ("devices", "services", "monitors", "expected"),
    [(0, 0, 0, 0), (1, 0, 0, 2), (10, 2, 1, 19), (1000, 2, 1, 1207), (5000, 4, 2, 6014)],
)
def test_connections(devices: int, services: int, monitors: int, expected: int) -> None:
    """Devices x 1.2, rounded up, services x 2, monitors x 3; in whole numbers."""
    assert capacity.connections(devices, services, monitors) == expected


def test_limits_grow_with_the_fleet() -> None:
    """No limit is smaller for a larger fleet, and a queue never takes more than its share."""
    sizes = [capacity.limits(devices) for devices in (0, 1, 100, 1_000, 10_000, 100_000)]
    for smaller, larger in pairwise(sizes):
        for name, value in asdict(smaller).items():
            assert value <= getattr(larger, name), name
    for each in sizes:
        assert each.open_files > each.connections + each.silent
        assert each.queued_bytes <= capacity.QUEUE_BYTES_MOST
        assert each.queued_bytes < each.memory_bytes
        assert each.packet_bytes <= each.queued_bytes


def test_a_consumer_may_be_away_for_an_hour() -> None:
    """All that a hundred devices say in it, one Reading per 10 s, is kept for it."""
    of_100 = capacity.limits(100)
    assert (of_100.queued_messages, of_100.queued_bytes) == (36_000, 36_000 * 512)


@pytest.mark.parametrize("numbers", [(-1,), (1, -1), (1, 1, -1)])
def test_there_are_no_negative_fleets(numbers: tuple[int, ...]) -> None:
    """Nor a limit below what a broker takes for `none`."""
    with pytest.raises(ValueError, match="negative"):
        capacity.limits(*numbers)


def test_a_fingerprint_is_of_devices_consumers_and_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one for each change of these; the same for the same in another order."""
    bases = {"node-1": "org/home/desk/climate/node-1", "node-2": "org/home/desk/climate/node-2"}
    first = plan.fingerprint(bases, {"operator": "operate"})
    backwards = dict(reversed(bases.items()))
    assert plan.fingerprint(backwards, {"operator": "operate"}) == first
    found = {first, plan.fingerprint({}, {"operator": "operate"})}
    found.add(plan.fingerprint(bases, {"operator": "read"}))
    found.add(plan.fingerprint(bases | {"node-1": "org/a/b/c/node-1"}, {"operator": "operate"}))
    monkeypatch.setattr(rules, "VERSION", rules.VERSION + 1)
    found.add(plan.fingerprint(bases, {"operator": "operate"}))
    assert len(found) == 5


def test_a_file_says_what_it_was_made_from() -> None:
    """In a comment of any language; one of before has its rules at most."""
    for mark in ("# ", "%% ", "// ", '  "'):
        text = f"first\n{mark}rules 7, registry 0123456789abcdef\nlast"
        assert (plan.rules_of(text), plan.registry_of(text)) == (7, "0123456789abcdef")
    assert (plan.rules_of("# rules 2\n"), plan.registry_of("# rules 2\n")) == (2, None)
    assert (plan.rules_of(""), plan.registry_of("")) == (1, None)
