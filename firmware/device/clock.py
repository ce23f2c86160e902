"""The node's two times: `now`, which only ever goes forward, and Unix time, which may be unknown.

It will NOT wait, and it will NOT let a step of the wall clock move `now`: every deadline in the
node counts in `now`. Where Unix time comes from:

1. A system that looks after its own time (the laptop) is believed, at every look.
2. Else time servers are asked (device/ntp.py), at once and then daily. What they say is kept as the
   difference to `now`, so that Unix time goes on as evenly as ticks do, and is put into the chip's
   RTC, because TLS compares certificates with that. An answer that would move a clock that is set
   by more than a minute counts when another one, from the next server if there is one, agrees.
3. An RTC that was set before a reset is believed until a server has answered.
4. When no server has answered for 20 s, the RTC is set to the floor: the firmware's date or that of
   the node's own certificates, whichever is later. TLS can then go on with every certificate that
   was made before the node's own, and all Commands without a `ttl` work. Unix time stays unknown:
   Readings wait in the Outbox and are stamped when a server has answered, from how long ago they
   were taken. Where there is never a server, they wait until the Outbox's bound takes the oldest:
   a wrong time is worse than none, and the config's `ntp_servers` is the remedy. The RTC is put
   back to the floor each day, so that whoever finds it within a day of the floor after a reset
   knows that nobody told it.
"""

import time

from micropython import const
from node.loan import let_go
from node.version import EARLIEST

_SILENT_MS = const(20_000)
_DAY_MS = const(86_400_000)
_STEP_MS = const(60_000)  # more than any crystal is off after a month without a server
_IDLE_MS = const(60_000)
_FROM_2000_S = const(946_684_800)  # from 1970-01-01 to 2000-01-01


def set_rtc(unix_ms):
    """Set the chip's clock, which TLS reads, to Unix milliseconds."""
    import machine

    seconds, ms = divmod(unix_ms, 1000)
    year, month, day, hour, minute, second, weekday = time.gmtime(seconds - _epoch(time))[:7]
    machine.RTC().datetime((year, month, day, weekday, hour, minute, second, ms * 1000))


def _epoch(source):
    return _FROM_2000_S if source.gmtime(0)[0] == 2000 else 0


class Clock:
    """Time since boot and time of day, both `speed` times as fast as they are.

    ntp: who asks time servers, see device/time_servers.py; None where the system looks after its
    own time. set_system(unix_ms): sets the system's clock; None where it is not the node's to set
    or to believe. source: the module `time` or a stand-in.
    """

    def __init__(self, speed=1, ntp=None, set_system=None, source=time):
        if not speed > 0:
            raise ValueError("speed must be above 0")
        self._milli = int(speed * 1000)
        self._ntp = ntp
        self._set_system = set_system
        self._source = source
        self._epoch = _epoch(source)
        self._ticks = source.ticks_ms()
        self._elapsed = 0
        self._floor = EARLIEST
        self._log = None
        self._base_ms = None  # Unix time when `now` was 0, as far as a server or the RTC told
        self._doubt_ms = None  # the same, as one answer had it that nobody has confirmed
        self._floored_at = None
        if ntp:
            ntp.earliest = EARLIEST
            ntp.on_time = self._told

    def start(self, servers, certificates, log):
        """Take the config's time servers (host names, or None), the paths of the node's own
        certificates, each of which may be None, and the log. Once, before `unix()` matters.
        """
        if self._ntp is None:
            return
        from sntp import LATEST

        from device.dates import issued

        self._log = self._ntp.log = log
        self._ntp.choose(servers)
        self._floor = self._ntp.earliest = max([EARLIEST] + [issued(each) for each in certificates])
        if self._set_system:
            unix = int(self._source.time()) + self._epoch
            if self._floor + _DAY_MS // 1000 <= unix < LATEST:
                self._base_ms = (unix - self.now() // 1000) * 1000
        let_go("device.dates", "sntp")

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
        if self._ntp:
            return None if self._base_ms is None else (self._base_ms + self.now()) // 1000
        ahead = self.now() - self._elapsed  # what a clock that runs faster has gained
        wall = self._source.time()
        if ahead:
            wall = (wall * 1000 + ahead) // 1000
        wall = int(wall) + self._epoch
        return wall if wall >= EARLIEST else None

    def real_ms(self, node_ms):
        """Real milliseconds that `node_ms` of this clock take, rounded up not to wake early."""
        return -(-node_ms * 1000 // self._milli)

    def step(self, now):
        """Ask for the time when that is due, without waiting for it. Returns the ms after which to
        call again, at the latest.
        """
        if self._ntp is None:
            return _IDLE_MS
        # Not the caller's `now`: what was stepped before in the same turn took its time, and the
        # time that an answer took is part of the answer.
        now = self.now()
        wait = self._ntp.step(now)
        if self._base_ms is None and self._ntp.began is not None:
            wait = min(wait, self._keep_floor(now))
        return wait

    def sync(self):
        """Step, and say whether TLS may try: as soon as the time is known, or is the floor."""
        self.step(0)
        return self._ntp is None or self._base_ms is not None or self._floored_at is not None

    def _keep_floor(self, now):
        """Put the RTC to the floor when that is due. Returns the ms until it is."""
        first = self._floored_at is None
        due = self._ntp.began + _SILENT_MS if first else self._floored_at + _DAY_MS
        if now < due:
            return due - now
        self._floored_at = now
        if self._set_system:
            self._set_system(self._floor * 1000)
        if first:
            self._say("floor unix=%d" % self._floor)
        return _DAY_MS

    def _told(self, unix_ms, now):
        """A server said that it is `unix_ms`; whether that is taken."""
        # In whole seconds, so that unix() and now() // 1000 turn together: a Reading stamped
        # afterwards then gets the same time each time it is sent.
        base_ms = (unix_ms - now + 500) // 1000 * 1000
        step_ms = 0 if self._base_ms is None else base_ms - self._base_ms
        if abs(step_ms) > _STEP_MS:
            agreed = self._doubt_ms is not None and abs(base_ms - self._doubt_ms) <= _STEP_MS
            if not agreed:
                self._doubt_ms = base_ms
                self._say("doubt step_ms=%d" % step_ms)
                return False
        self._doubt_ms = None
        self._base_ms = base_ms
        if self._set_system:
            self._set_system(unix_ms)
        self._say("set unix=%d step_ms=%d" % (unix_ms // 1000, step_ms))
        return True

    def _say(self, words):
        if self._log:
            self._log("clock", words)
