"""Time servers, asked at once and then daily. Who asks them (ntp.py and lib/sntp.py, 5 KB of heap
as byte code) is loaded for that and let go of when an answer was taken: TLS, which waits for the
time, needs the room.

What it will not do: anything else between the clock and ntp.py. Addresses that were found and
servers that wish not to be asked are forgotten with it; the next day both are asked again.
"""

from micropython import const
from node.loan import let_go

_NO_ROOM_MS = const(60_000)


class TimeServers:
    """An Ntp (see ntp.py) as the clock sees it; `how` is what it is made with."""

    def __init__(self, **how):
        self.earliest = 0
        self.began = None
        self.on_time = None
        self.log = None
        self._how = how
        self._names = None
        self._ntp = None
        self._ask_at = 0
        self._taken = False

    def choose(self, names):
        """Ask these hosts (a list, or None) unless others were given from the start."""
        self._names = names

    def step(self, now):
        """Do what can be done without waiting. Returns the ms after which to call again."""
        if self._ntp is None:
            if now < self._ask_at:
                return self._ask_at - now
            try:
                self._ntp = self._loaded()
            except MemoryError:
                self._ask_at = now + _NO_ROOM_MS
                return _NO_ROOM_MS
        wait = self._ntp.step(now)
        if self.began is None:
            self.began = self._ntp.began
        if self._taken:
            self._ask_at = now + wait
            self._ntp = None
            let_go("device.ntp", "sntp")
        return wait

    def _loaded(self):
        from device.ntp import Ntp

        ntp = Ntp(**self._how)
        ntp.earliest = self.earliest
        ntp.on_time = self._told
        ntp.log = self.log
        ntp.choose(self._names)
        self._taken = False
        return ntp

    def _told(self, unix_ms, now):
        self._taken = self.on_time(unix_ms, now)
        return self._taken
