"""Cases of node/system/node_api.py: what Commands do to the node, and when that is over."""

import io

from node.config.settings import values
from node.system.node_api import NodeApi
from support.parts.due import run_due


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.at = 0

    def now(self) -> int:
        """Milliseconds since boot."""
        return self.at


class Sampler:
    """Keeps what it was asked."""

    def __init__(self) -> None:
        self.interval_ms = 10_000
        self.asked = 0

    def change(self, settings) -> None:  # type: ignore[no-untyped-def]
        """Take the new interval."""
        self.interval_ms = settings.interval_s * 1000

    def read_now(self, now: int) -> None:
        """Count."""
        self.asked += 1


class Desk:
    """A node whose LED writes down when it was switched: (ms, on)."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.sampler = Sampler()
        self.switched: list[tuple] = []
        self.file = b'{"interval_s": 10, "window": 4}'
        self.full = False
        own = values({"interval_s": 10, "version": 1}, "settings.json", (self.sampler.change,))
        config = (own, lambda path, how: how(io.BytesIO(self.file)), self.replace)
        self.node_api = NodeApi(self.clock, self.sampler, self.led, config, (dict, dict))

    def led(self, on: bool) -> None:
        """Switch it."""
        self.switched.append((self.clock.at, on))

    def replace(self, path: str, *pieces: bytes) -> None:
        """Take new settings, unless full."""
        assert path == "settings.json"
        if self.full:
            raise OSError(28)
        self.file = b"".join(pieces)

    def go(self, until: int) -> None:
        """Give it its turns, up to `until`."""
        while self.node_api.due is not None and self.node_api.due < until:
            self.clock.at = max(self.clock.at, self.node_api.due)
            run_due(self.node_api, self.clock.at)
        self.clock.at = until


def case_identify_blinks_twice_a_second_and_ends_dark() -> None:
    """For as long as it was told to, beginning at once; then it is off, and nobody is woken."""
    for seconds in (1, 5, 60):
        desk = Desk()
        desk.clock.at = 1234
        desk.node_api.identify(seconds)
        desk.go(10 * 60_000)
        assert desk.switched == [(1234 + 250 * n, n % 2 == 0) for n in range(seconds * 4)], (
            desk.switched
        )
        assert desk.switched[-1][1] is False
        assert desk.node_api.due is None


def case_identify_again_counts_anew() -> None:
    """A second one makes it longer, or shorter; the LED is dark at the end of either."""
    desk = Desk()
    desk.node_api.identify(60)
    desk.go(2_000)
    desk.node_api.identify(1)
    desk.go(10_000)
    assert desk.switched[-1] == (2_750, False)
    assert len(desk.switched) == 8 + 4


def case_identify_that_is_late() -> None:
    """After another part has taken long, it goes on at its pace, with as many switches as ever."""
    desk = Desk()
    desk.node_api.identify(2)
    desk.clock.at = 60_000
    desk.go(70_000)
    assert [at for at, _ in desk.switched] == [60_000 + 250 * n for n in range(8)]
    assert desk.switched[-1][1] is False


def case_reboot_is_asked_for_and_nothing_else_is() -> None:
    """Only that Command gives a reason to leave."""
    desk = Desk()
    desk.node_api.identify(1)
    desk.node_api.read_now(lambda reading: None)
    desk.node_api.set_interval(60)
    assert desk.node_api.wish is None
    desk.node_api.reboot()
    assert desk.node_api.wish == "reboot"


def case_each_who_asked_gets_one_reading() -> None:
    """Whoever asked for a Reading gets the next one, once; of many the last 16."""
    desk = Desk()
    got: list[tuple] = []
    for name in range(20):
        desk.node_api.read_now(lambda reading, name=name: got.append((name, reading)))
    assert desk.sampler.asked == 20
    desk.node_api.reading("first")
    desk.node_api.reading("second")
    assert got == [(name, "first") for name in range(4, 20)]


def case_interval_that_flash_refuses_is_not_taken() -> None:
    """First the settings, then the sampler: what would not outlive a reset is not begun."""
    desk = Desk()
    desk.node_api.set_interval(60)
    assert desk.sampler.interval_ms == 60_000
    assert b'"interval_s": 60' in desk.file
    assert b'"window": 4' in desk.file
    assert b'"version": 2' in desk.file
    desk.full = True
    try:
        desk.node_api.set_interval(3600)
    except OSError:
        assert desk.sampler.interval_ms == 60_000
    else:
        raise AssertionError("taken")
