"""The node's two times: `now`, which only ever goes forward, and Unix time, which may be unknown.

It will NOT wait, and it will NOT let a step of the wall clock move `now`: every deadline in the
node counts in `now`. Setting the time without blocking is not here yet, see `ask_ntp`.
"""

import time

# Nobody runs this firmware before it was written. An ESP32 starts in 2000, so an earlier time means
# that the clock was never set.
EARLIEST = 1_767_225_600  # 2026-01-01

_RETRY_MS = 15_000
_RESYNC_MS = 86_400_000  # the chip's crystal is off by up to 2 s a day
_FROM_2000_S = 946_684_800  # from 1970-01-01 to 2000-01-01


def ask_ntp():
    """Set the system's clock from an NTP server; OSError or ValueError when it does not answer.

    Blocks for a DNS look-up and up to 1 s: the frozen `ntptime` cannot do otherwise. Non-blocking
    SNTP will replace it.
    """
    import ntptime

    ntptime.timeout = 1
    ntptime.settime()


class Clock:
    """Time since boot and time of day, both `speed` times as fast as they are.

    `fetch()` sets the system's clock, raising OSError or ValueError when it cannot; None where the
    system looks after its own. `source` is the module `time` or a stand-in.
    """

    def __init__(self, speed=1, fetch=None, source=time):
        if not speed > 0:
            raise ValueError("speed must be above 0")
        self._milli = int(speed * 1000)
        self._fetch = fetch
        self._source = source
        self._epoch = _FROM_2000_S if source.gmtime(0)[0] == 2000 else 0
        self._ticks = source.ticks_ms()
        self._elapsed = 0
        self._sync_at = 0

    def now(self):
        """Milliseconds since boot, an int that never wraps.

        Has to be called at least every 3 days: ticks wrap at 2**30 ms on the ESP32, and a
        difference of more than half of that (6.2 days) reads as negative.
        """
        ticks = self._source.ticks_ms()
        self._elapsed += self._source.ticks_diff(ticks, self._ticks)
        self._ticks = ticks
        if self._milli == 1000:
            return self._elapsed
        return self._elapsed * self._milli // 1000

    def unix(self):
        """Unix time in whole seconds, or None while the clock is not set."""
        ahead = self.now() - self._elapsed  # what a clock that runs faster has gained
        wall = self._source.time()
        if ahead:
            wall = (wall * 1000 + ahead) // 1000
        wall = int(wall) + self._epoch
        return wall if wall >= EARLIEST else None

    def real_ms(self, node_ms):
        """Real milliseconds that `node_ms` of this clock take, rounded up not to wake early."""
        return -(-node_ms * 1000 // self._milli)

    def sync(self):
        """Set the clock if that is due, and say whether it is set. May be called at every step.

        Asks again 15 s after a failure and a day after a success.
        """
        now = self.now()
        if self._fetch and now >= self._sync_at:
            try:
                self._fetch()
                self._sync_at = now + _RESYNC_MS
            except (OSError, ValueError):
                self._sync_at = now + _RETRY_MS
        return self.unix() is not None
