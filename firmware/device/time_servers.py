"""Time servers, asked at once and then daily. Who asks them (ntp.py, belief.py, lib/sntp.py: 6 KB
of heap as byte code) is loaded for that and let go of when an answer was taken: TLS, which waits
for the time, needs the room.

Addresses that were found and servers that wish not to be asked are forgotten with it; the next day
both are asked again.
"""

from micropython import const
from node.shared.unimport import unimport

_NO_ROOM_MS = const(60_000)
_AGAIN_MS = const(600_000)


class TimeServers:
    """An Ntp (see ntp.py) as the clock sees it; `how` is what it is made with. From `earliest` to
    `latest` (Unix seconds) one answer is enough for the clock.
    """

    def __init__(self, **how):
        self.earliest = self.latest = 0
        self.began = None
        self.clock = None
        self.log = None
        self._how = how
        self._names = None
        self._ntp = None
        self.due = 0
        self._first = 0  # the number of the server to begin with
        self._again_at = 0  # how soon `again` may be called again with effect

    def choose(self, names):
        """Ask these hosts (a list, or None) unless others were given from the start."""
        self._names = names

    def run(self, now):
        """Do what can be done without waiting. It may be early: the network has gone or come."""
        if self._ntp is None and now < self.due:
            return
        try:
            if self._ntp is None:
                self._ntp = self._loaded()
            self._ntp.run(now)
            self.due = self._ntp.due
        except MemoryError:
            self._forget()  # what there is of it, too
            self.due = now + _NO_ROOM_MS
            if self.began is None:
                self.began = now
            if self.log:
                self.log("clock", "no-answer cause=memory")
            return
        if self.began is None:
            self.began = self._ntp.began
        if self._ntp.taken:
            self._forget()

    def again(self, now):
        """Ask at once, beginning with another server than the last. Not twice in 10 minutes, which
        is False: it may be that what was asked about is wrong, and not the time.
        """
        if now < self._again_at:
            return False
        self._again_at = now + _AGAIN_MS
        self.due = now
        self._forget()
        self._first += 1
        return True

    def _forget(self):
        if self._ntp:
            self._ntp.close()
            self._first = self._ntp.at
        self._ntp = None
        unimport("device.ntp", "device.belief", "sntp")

    def _loaded(self):
        from device.ntp import Ntp

        ntp = Ntp(**self._how)
        ntp.earliest = self.earliest
        ntp.clock = self.clock
        ntp.log = self.log
        ntp.choose(self._names, self._first)
        return ntp
