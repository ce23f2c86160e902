"""What is counted in a load run, in little memory: a day of it has millions of Readings."""

import math
from collections import Counter

# Latencies are counted in steps of 2 %.
_STEP = math.log(1.02)
_LEAST_S = 1e-5


class Latencies:
    """Durations in seconds, of which percentiles are asked: right to 2 %, whatever their number."""

    def __init__(self) -> None:
        self._steps: Counter[int] = Counter()
        self.count = 0
        self.longest = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self._steps[math.ceil(math.log(max(seconds, _LEAST_S) / _LEAST_S) / _STEP)] += 1
        self.count += 1
        self.longest = max(self.longest, seconds)

    def percentile(self, share: float) -> float | None:
        """Return what so many percent of them were at most; None without any."""
        wanted = math.ceil(self.count * share / 100)
        for step in sorted(self._steps):
            wanted -= self._steps[step]
            if wanted <= 0:
                return min(_LEAST_S * math.exp(step * _STEP), self.longest)
        return None


class Device:
    """The Readings of one device, by boot: how many it took, and how often each was delivered.

    taken: of each boot how many, counted from seq 0. seen: a byte for each seq. sent_at: when what
    has not come through yet was last sent, by (boot, seq).
    """

    __slots__ = ("closed", "seen", "sent_at", "taken")

    def __init__(self) -> None:
        self.closed = False  # what is taken from now on does not count
        self.taken: dict[int, int] = {}
        self.seen: dict[int, bytearray] = {}
        self.sent_at: dict[tuple[int, int], float] = {}

    def took(self, boot: int, seq: int) -> bool:
        """It has taken a Reading; whether it counts."""
        if not self.closed:
            self.taken[boot] = max(self.taken.get(boot, 0), seq + 1)
        return not self.closed

    def delivered(self, boot: int, seq: int) -> int | None:
        """A Reading has come: how often it had come before. None: it is none of this run's."""
        # The log of a real node, which tells what it took, may be read a little later.
        ahead = 0 if self.closed else 1000
        if boot not in self.taken or not 0 <= seq < self.taken[boot] + ahead:
            return None
        seen = self.seen.setdefault(boot, bytearray())
        if len(seen) <= seq:
            seen.extend(bytes(seq + 1 - len(seen)))
        before = seen[seq]
        seen[seq] = min(before + 1, 255)
        return before

    def missing(self) -> set[tuple[int, int]]:
        """Return what was taken and has not come: (boot, seq)."""
        found = set()
        for boot, count in self.taken.items():
            seen = self.seen.get(boot, b"")
            if seen.count(0, 0, count) or len(seen) < count:
                found |= {(boot, seq) for seq in range(count) if seq >= len(seen) or not seen[seq]}
        return found


class Figures:
    """All that is counted, by all nodes together and by the consumer."""

    def __init__(self) -> None:
        self.devices: dict[str, Device] = {}  # by base topic
        self.taken = self.delivered = self.doubled = self.foreign = self.dropped = 0
        self.up = self.connects = self.resumed = self.peak = 0
        self.downs: Counter[str] = Counter()  # ends of connections, and tries in vain, by cause
        self.acknowledged = Latencies()
        self.consumed = Latencies()
        self.lag = Latencies()
        self._second, self._in_second = 0, 0

    def connected(self, now: float) -> None:
        """A node was let in at `now`, by time.monotonic. `peak` is the most in any second."""
        self.connects += 1
        if int(now) != self._second:
            self._second, self._in_second = int(now), 0
        self._in_second += 1
        self.peak = max(self.peak, self._in_second)
