"""Cases of lib/backoff.py: how long is waited after which failure, and what is forgiven."""

from backoff import Backoff


def _waits(random: float, kind: str, count: int, **more: object) -> list[int]:
    backoff = Backoff(lambda: random, **more)
    return [backoff.next_ms(kind) for _ in range(count)]


def case_ceiling_doubles_up_to_the_cap() -> None:
    """The most that is waited doubles from `first_ms` to `cap_ms`, and stays there."""
    assert _waits(0.5, "n", 7) == [1000, 2000, 4000, 8000, 16000, 30000, 30000]
    assert _waits(0.5, "n", 4, first_ms=100, cap_ms=300) == [50, 100, 150, 150]
    backoff = Backoff(lambda: 0.5)
    for _ in range(1000):
        last = backoff.next_ms("n")
    assert last == 30000
    assert backoff.attempts == {"n": 20}


def case_jitter_is_full() -> None:
    """The wait is any part of the ceiling, from nothing up to all of it but a moment."""
    assert _waits(0, "n", 7) == [0] * 7
    assert _waits(0.25, "n", 7) == [500, 1000, 2000, 4000, 8000, 15000, 15000]
    assert _waits(0.9999, "n", 6) == [1999, 3999, 7999, 15998, 31996, 59994]


def case_each_wait_is_drawn_anew() -> None:
    """Randomness is asked once for each wait, so that no two waits hang together."""
    drawn = [0.5, 0.125, 0.75, 0.25]
    backoff = Backoff(lambda: drawn.pop(0), cap_ms=2000)
    assert [backoff.next_ms("n") for _ in range(3)] == [1000, 250, 1500]
    assert backoff.resume_ms() == 500
    assert drawn == []


def case_thousand_clients_spread_out() -> None:
    """Clients that are thrown out at once do not come back in step: even, a tenth in each tenth."""
    seed = 1

    def random() -> float:
        nonlocal seed
        seed = seed * 75 % 65537  # of the whole period, as in the ZX81
        return (seed - 1) / 65536

    tenths = [0] * 10
    for _ in range(1000):
        tenths[Backoff(random, first_ms=1000).next_ms("n") // 100] += 1
    assert sum(tenths) == 1000
    assert 60 < min(tenths) <= max(tenths) < 140, tenths


def case_classes_are_counted_apart() -> None:
    """A failure of one class makes no wait for another one longer."""
    backoff = Backoff(lambda: 0.5)
    assert [backoff.next_ms("network") for _ in range(4)] == [1000, 2000, 4000, 8000]
    assert backoff.next_ms("refused") == 1000
    assert backoff.next_ms("network") == 16000
    assert backoff.attempts == {"network": 5, "refused": 1}


def case_floor_is_the_least() -> None:
    """A class with a floor waits that long, and its jitter besides; the others do not."""
    floors = {"refused": 60000}
    assert _waits(0, "refused", 7, floors_ms=floors) == [60000] * 7
    assert _waits(0.5, "refused", 3, floors_ms=floors) == [61000, 62000, 64000]
    assert _waits(0.5, "refused", 9, floors_ms=floors)[-1] == 90000
    assert _waits(0, "network", 2, floors_ms=floors) == [0, 0]


def case_full_minutes_of_rest_halve_the_counts() -> None:
    """Each full minute up halves every count; less than one forgives nothing."""
    for up_ms, left in (
        (0, {"network": 20, "refused": 5, "rival": 1}),
        (59_999, {"network": 20, "refused": 5, "rival": 1}),
        (60_000, {"network": 10, "refused": 2, "rival": 0}),
        (119_999, {"network": 10, "refused": 2, "rival": 0}),
        (120_000, {"network": 5, "refused": 1, "rival": 0}),
        (240_000, {"network": 1, "refused": 0, "rival": 0}),
        (300_000, {"network": 0, "refused": 0, "rival": 0}),
        (10**12, {"network": 0, "refused": 0, "rival": 0}),
    ):
        backoff = Backoff(lambda: 0.5, attempts={"network": 20, "refused": 5, "rival": 1})
        backoff.rested(up_ms)
        assert backoff.attempts == left, up_ms


def case_wait_after_a_rest_is_shorter_and_not_the_shortest() -> None:
    """What is left of the counts is where the next failure goes on."""
    backoff = Backoff(lambda: 0.5)
    for _ in range(4):
        backoff.next_ms("network")
    backoff.rested(30_000)
    assert backoff.next_ms("network") == 16000
    backoff.rested(70_000)  # 5 >> 1
    assert backoff.next_ms("network") == 4000
    backoff.rested(600_000)
    assert backoff.next_ms("network") == 1000


def case_first_try_waits_only_after_failures_of_an_earlier_life() -> None:
    """Without counts put back there is no wait; with them, as after the worst of the classes."""
    assert Backoff(lambda: 0.5).resume_ms() == 0
    assert Backoff(lambda: 0.5, attempts={"network": 0}).resume_ms() == 0
    assert Backoff(lambda: 0.5, attempts={"network": 1, "refused": 3}).resume_ms() == 8000
    assert Backoff(lambda: 0.5, attempts={"network": 20}).resume_ms() == 30000
    assert Backoff(lambda: 0, attempts={"network": 20}).resume_ms() == 0
    assert Backoff(lambda: 0.5, attempts={"network": 5}, cap_ms=3000).resume_ms() == 1500


def case_counts_go_on_where_they_were() -> None:
    """Counts that are put back count; the first wait is no failure; what is no count is left."""
    backoff = Backoff(lambda: 0.5, attempts={"network": 3})
    backoff.resume_ms()
    assert backoff.attempts == {"network": 3}
    assert backoff.next_ms("network") == 8000
    wrong = {"a": -1, "b": 21, "c": True, "d": "3", "e": None, "f": 1.0, "g": 20, "h": 0}
    assert Backoff(lambda: 0.5, attempts=wrong).attempts == {"g": 20, "h": 0}
