"""The node's two times: `now`, which only ever goes forward, and Unix time, which may be unknown.

It never waits, and no step of the wall clock moves `now`, in which every deadline of the node
counts. Where Unix time comes from:

1. A system that looks after its own time (the laptop) is believed, at every look.
2. Else time servers are asked (device/ntp.py), at once and then daily. What they say is kept as the
   difference to `now`, so that Unix time goes on as evenly as ticks do, and is put into the chip's
   RTC, because TLS compares certificates with that. Whether an answer counts (device/belief.py):
   a. The clock is set: one that moves it by a minute at most counts.
   b. It is not set, or TLS has just refused a certificate for its dates: one within the validity of
      the node's own certificates counts, which is when they are of any use.
   c. Any other counts when another server, or the broker, agrees to within a minute. Within the
      certificates' validity the same server may say it twice: there may be no other.
3. `{org}/time`, which the broker says over verified TLS, is a second opinion. It is subscribed to
   when an answer beyond the certificates' validity is in doubt, and makes that one count (2c). It
   never sets the clock by itself: who is believed to be the broker depends on the time.
4. An RTC that was set before a reset, within the certificates' validity, is believed until a server
   has answered.
5. While no answer has counted for 20 s, the RTC is set to the floor: the firmware's date or that of
   the node's own certificates, whichever is later. TLS can then go on with every certificate that
   was made before the node's own, and all Commands without a `ttl` work. Unix time stays unknown:
   Readings wait in the Outbox and are stamped when an answer has counted, from how long ago they
   were taken. The RTC is put back to the floor each day, so that whoever finds it within a day of
   the floor after a reset knows that nobody told it.
6. Once the servers were asked for `no_time_after_s` in vain, Readings wait no more: there is an
   alert, `no-time`, and they go out without a time, as those of earlier boots do, until there is
   one. One that was sent without may come again with it, where its PUBACK was lost.
"""

import time

from micropython import const
from node.shared.unimport import unimport
from node.shared.version import EARLIEST

_SILENT_MS = const(20_000)
_DAY_MS = const(86_400_000)
_LOOK_MS = const(60_000)  # while the time is not known and nobody is asked for it
_FROM_2000_S = const(946_684_800)  # from 1970-01-01 to 2000-01-01
# Of failures: what a wrong time makes of a right certificate.
_DATES = ("certificate-expired", "certificate-not-yet-valid")


def epoch(source):
    """Unix time at which the times of `source` begin."""
    return _FROM_2000_S if source.gmtime(0)[0] == 2000 else 0


class Clock:
    """Time since boot and time of day, both `speed` times as fast as they are.

    ntp: who asks time servers, see device/time_servers.py; None where the system looks after its
    own time. set_system(unix_ms): sets the system's clock; None where it is not the node's to set
    or to believe. source: the module `time` or a stand-in.

    `alarm`     alarm(alert, raised) is told of `no-time`
    `broker`    (client, topic): an MQTTClient and where its broker says the time; None: nowhere
    `given_up`  whether Readings are not to wait for the time any more
    """

    def __init__(self, speed=1, ntp=None, set_system=None, source=time):
        if not speed > 0:
            raise ValueError("speed")
        self.alarm = self.broker = self.given_up = None
        self._milli = int(speed * 1000)
        self._ntp = ntp
        self._set_system = set_system
        self._source = source
        self._epoch = epoch(source)
        self._ticks = source.ticks_ms()
        self._elapsed = 0
        self._wait_ms = 0
        self._base_ms = None  # Unix time when `now` was 0, as far as a server or the RTC told
        self._doubt = None  # (the same, as one answer had it that nobody has confirmed; its server)
        self._refused = False  # TLS says that _base_ms cannot be
        self._floored_at = None
        self.due = 0
        if ntp:
            ntp.earliest = EARLIEST
            ntp.clock = self

    def start(self, servers, certificates, log, wait_s=600):
        """Take the config's time servers (host names, or None), the paths of the node's own
        certificates, each of which may be None, the log, and how long Readings wait for the time.
        Once, before `unix()` matters.
        """
        self._wait_ms = wait_s * 1000
        if self._ntp:
            from device.belief import begin

            self._ntp.log = log
            self._ntp.choose(servers)
            begin(self, certificates)
            unimport("device.belief", "device.dates", "sntp")

    def now(self):
        """Milliseconds since boot, an int that never wraps.

        Has to be called at least every 3 days: ticks wrap at 2**30 ms on the ESP32, and a
        difference of more than half of that (6.2 days) reads as negative.
        """
        source, milli = self._source, self._milli
        ticks = source.ticks_ms()
        elapsed = self._elapsed = self._elapsed + source.ticks_diff(ticks, self._ticks)
        self._ticks = ticks
        return elapsed if milli == 1000 else elapsed * milli // 1000

    def unix(self):
        """Unix time in whole seconds, or None while the clock is not set."""
        if self._ntp:
            return None if self._base_ms is None else (self._base_ms + self.now()) // 1000
        ahead = self.now() - self._elapsed  # what a clock that runs faster has gained
        wall = self._source.time()
        if ahead:
            wall = (wall * 1000 + ahead) // 1000
        wall = int(wall)
        if self._epoch:  # else the sum would be another object, as large as the time is
            wall += self._epoch
        return wall if wall >= EARLIEST else None

    def real_ms(self, node_ms):
        """Real milliseconds that `node_ms` of this clock take, rounded up not to wake early."""
        return -(-node_ms * 1000 // self._milli)

    def run(self, now):
        """Ask for the time when that is due, without waiting for it."""
        # Not the caller's `now`: what was run before in the same turn took its time, and the time
        # that an answer took is part of the answer.
        now = self.now()
        ntp = self._ntp
        if ntp:
            ntp.run(now)
        due = None if self.given_up is False else self._without_time(now)
        if ntp:
            due = ntp.due if due is None else min(due, ntp.due)
        self.due = due

    def sync(self):
        """Whether TLS may try: as soon as the time is known, or is the floor."""
        return self._ntp is None or self._base_ms is not None or self._floored_at is not None

    def failed(self, cause):
        """The Link failed for `cause`: where the time may be to blame, servers are asked at once,
        beginning with another one.
        """
        if self._ntp and cause in _DATES and self._ntp.again(self.now()):
            self._refused = True
            self.due = self._ntp.due

    def _without_time(self, now):
        """Keep the floor (5), and wait no more when it is time for that (6). Returns when one of
        them is due, or None.
        """
        look_at, ntp, late = now + _LOOK_MS, self._ntp, self.unix() is None
        if late:
            began = ntp.began if ntp else 0
            if began is None:
                return look_at
            if ntp:
                floored = self._floored_at
                due = began + _SILENT_MS if floored is None else floored + _DAY_MS
                if now >= due:
                    self._floored_at = now
                    due = now + _DAY_MS
                    if self._set_system:
                        self._set_system(ntp.earliest * 1000)
                    if floored is None and ntp.log:
                        ntp.log("clock", "floor unix=%d" % ntp.earliest)
                look_at = due
            given_up_at = began + self._wait_ms
            if now < given_up_at:
                return min(look_at, given_up_at)
        if late != self.given_up:
            self.given_up = late
            if self.alarm:
                self.alarm("no-time", late)
        return look_at if late else None
