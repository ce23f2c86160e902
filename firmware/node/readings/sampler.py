"""Takes a Reading each interval, at the pace the sensor allows, and counts what fails.

Time is passed in and the sensor is a function, so days of sampling are tested in a second. A
Reading goes to `on_reading`, the reason of a failure to `on_error`, which returns whether the
sensor counts as dead by now.

1. The schedule is fixed: a late step makes one Reading late and moves no other. Slots that a
   stall has missed are skipped; the sensor could not catch up anyway.
2. The sensor is asked at most every 2 s, first 1 s after start, and again 2 s after a failure; a
   dead one at its interval.
3. A sensor hands out what it measured when it was asked before. If that is long ago, it is asked
   once for nothing, 2 s ahead of the Reading.
"""

from micropython import const
from node.shared.errors import SensorError
from node.shared.reading import Reading

_PACE_MS = const(2000)
_POWER_UP_MS = const(1000)

# Two time constants of the sensor's thermometer (datasheet: 10 s): an older value is thrown away.
# The odd half second keeps a late step from changing what happens at an interval of whole seconds.
_FRESH_MS = const(20_500)

# A Reading may be late by a step of the Link that waits for DNS, but not by this.
_LATE_MS = const(60_000)


class Sampler:
    """Reads the sensor by `read()`: a tuple with a whole number for each field, or SensorError.

    `unix()` gives Unix seconds or None, `boot` is this boot's number.

    `reads`   Readings taken since boot
    `errors`  failed reads since boot: reason -> count
    `last`    the last Reading, or None
    `encode`  the Telemetry, which has the `fields`
    """

    def __init__(self, read, boot, interval_ms, on_reading, on_error, unix, encode=None):
        self._read = read
        self._boot = boot
        self._interval_ms = interval_ms
        self._on_reading = on_reading
        self._on_error = on_error
        self._unix = unix
        self._slot = None  # when the schedule wants its next Reading
        self._ready = 0  # from when the sensor may be asked
        self._asked = None  # when it was asked last
        self._wanted = False  # a Reading is owed now, whatever the schedule says
        self.reads = 0
        self.errors = {}
        self.last = None
        self.encode = encode

    @property
    def interval_ms(self):
        """Time from one slot to the next; a new one counts from the slot before."""
        return self._interval_ms

    @interval_ms.setter
    def interval_ms(self, interval_ms):
        if self._asked is not None:
            self._slot += interval_ms - self._interval_ms
        self._interval_ms = interval_ms

    def read_now(self, now):
        """Owe a Reading as soon as the sensor allows. Returns the ms until the sensor is asked."""
        self._wanted = True
        return self._wait(now)

    def step(self, now):
        """Ask the sensor if it is time. Returns the ms after which this has to be called again."""
        if self._slot is None:
            self._slot = self._ready = now + _POWER_UP_MS
        if not self._wait(now):
            stale = self._stale(now)
            self._asked = now
            self._ready = now + _PACE_MS
            if not stale:
                self._take(now)
            else:
                try:
                    self._read()
                except SensorError:
                    pass  # thrown away either way; if it is out, the Reading 2 s later will say so
        return self._wait(now)

    def overdue(self, now):
        """Whether a slot has long passed that `step` should have used. A read that fails has used
        its own, so a dead sensor is no reason.
        """
        return now - (self._slot or 0) > _LATE_MS

    def _wait(self, now):
        """Milliseconds until the sensor is to be asked: 0 is now."""
        if self._slot is None:
            return 0
        due = now if self._wanted else self._slot
        if self._stale(now):
            due -= _PACE_MS
        return max(due - now, self._ready - now, 0)

    def _stale(self, now):
        """Whether what the sensor would hand out for the next Reading is too old."""
        if self._asked is None:
            return False
        due = now if self._wanted else max(self._slot, now)
        return due - self._asked > _FRESH_MS

    def _take(self, now):
        if now >= self._slot:
            self._slot += (now - self._slot) // self._interval_ms * self._interval_ms
            self._slot += self._interval_ms
        try:
            values = self._read()
        except SensorError as error:
            self.errors[error.reason] = self.errors.get(error.reason, 0) + 1
            self._wanted = not self._on_error(error.reason)
            return
        self._wanted = False
        # A failed read takes no number: a gap in seq means that a Reading was lost on its way.
        self.last = Reading(self._boot, self.reads, self._unix(), now // 1000, values)
        self.reads += 1
        self._on_reading(self.last)
