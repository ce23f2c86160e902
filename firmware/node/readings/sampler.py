"""Takes a Reading each interval, of all sensors, at the pace that each of them allows.

Time is passed in and sensors are objects (lib/sensing.py), so days of sampling are tested in a
second.

1. The schedule is fixed: a late turn makes one Reading late and moves no other. Slots that a
   stall has missed are skipped; the sensors could not catch up anyway.
2. A Reading is one moment: at its slot each sensor is read, one in each turn. One that fails, or
   whose values are in doubt (plausible.py), is read once more at its pace; then the Reading goes
   out, with None for what is missing. Where all is missing there is none, and it is tried again.
3. A sensor that has failed five times in a row counts as dead: it is asked once in each slot, and
   waited for no more. There is an alert until it is read again.
4. Where what a sensor would hand out is older than it declares as fresh, it is started ahead of the
   Reading. One that takes so long over it that it is old again has failed (`stale`).
"""

from micropython import const
from node.readings.plausible import judged
from node.shared.reading import Reading
from sensing import SensorError, measure

# Failed reads in a row; the retries of one bad moment are no reason to wake anybody.
_DEAD_AFTER = const(5)

# A Reading may be late by a step of the Link that waits for DNS, but not by this.
_LATE_MS = const(60_000)

# In a row. The second is for a loop that was late.
_STARTS = const(2)


class _Asked:
    """A sensor, and how far it has got with the Reading that is being taken.

    `ready`   from when it may be asked
    `begun`   when what it would hand out was begun
    `alert`   its name while it is silent
    """

    fails = 0  # in a row
    tries = 2  # left for this Reading
    starts = 0  # since it was read
    values = None  # for this Reading
    known = doubt = None  # see plausible.py

    def when(self, at, now):
        """When it is to be asked for a Reading that was wanted `at`, and whether it is `stale`:
        to be started, for that.
        """
        due = max(at, self.ready)
        self.stale = max(due, now) - self.begun > self.sensor.fresh_ms
        return max(at - self.sensor.lead_ms, self.ready) if self.stale else due


class Sampler:
    """Reads `sensors`, of which there is at least one. Times are in ms of the clock.

    boot: this boot's number. clock: has `now()`, and `unix()` in s or None. told: in this order
    on_reading(reading), which gets each Reading; alert(name, raised, *more), see
    reporting/alerts.py; log, see shared/log.py; the Telemetry, which has the values' names.

    `due`          see shared/message.py
    `interval_ms`  time from one slot to the next
    `pace_ms`      the slowest sensor's, and so the least interval
    `reads`        Readings taken since boot
    `errors`       failed reads since boot: reason -> count, name:reason for a sensor with a name;
                   `implausible` are those that were doubted and not borne out
    """

    def __init__(self, sensors, boot, interval_ms, clock, told):
        self._asked = []
        self._boot = boot
        self._on_reading, self._alert, self._log, self.encode = told
        self._clock = clock
        # Unix seconds, and seconds since boot, of the Reading's first values; None: there are none.
        self._ts = self._up = None
        self.reads = self.pace_ms = 0
        self.errors = {}
        # When the schedule wants a Reading, and when the one that is being taken was wanted.
        now = self._slot = self.due = clock.now()
        for sensor in sensors:
            asked = _Asked()
            asked.sensor = sensor
            asked.ready = now + sensor.warm_up_ms
            asked.begun = asked.ready - sensor.pace_ms
            asked.alert = (sensor.name and sensor.name + "-") + "sensor-silent"
            self._asked.append(asked)
            first = asked.when(0, now) + (asked.stale and sensor.lead_ms)
            self._slot = max(self._slot, first)
            self.pace_ms = max(self.pace_ms, sensor.pace_ms)
        self._at = self._slot
        self.interval_ms = max(interval_ms, self.pace_ms)

    def change(self, settings):
        """There are other settings: their interval counts from the slot before."""
        interval_ms = max(settings.interval_s * 1000, self.pace_ms)
        moved = interval_ms - self.interval_ms
        if self._at == self._slot:
            self._at += moved
        self._slot += moved
        self.interval_ms = interval_ms
        self.due = 0  # `run` will find out

    def read_now(self, now):
        """Owe a Reading as soon as the sensors allow."""
        self._at = min(self._at, now)
        self.due = now

    def run(self, now):
        """Ask one sensor, if its time has come: each holds the CPU."""
        try:
            asked = self._next(now)
            if asked and now >= self.due:
                while self._slot <= max(now, self._at):
                    self._slot += self.interval_ms
                self._ask(asked, now)
                asked = self._next(now)
            if not asked:
                self._finish(now)
        finally:  # without heap, too, each keeps its pace
            self._next(now)
            if self.due <= now:
                self.due = now + 1  # the next sensor's turn: the Link is not to wait for both

    def _next(self, now):
        """The sensor that is to be asked next for this Reading, at `due`; None: that is over."""
        first = None
        for asked in self._asked:
            if asked.tries:
                when = asked.when(self._at, now)
                if not first or when < self.due:
                    self.due, first = when, asked
        return first

    def overdue(self, now):
        """Whether a slot has long passed that `run` should have used. A read that fails has used
        its own, so a dead sensor is no reason.
        """
        return now - self._slot > _LATE_MS

    def _ask(self, asked, now):
        sensor, start = asked.sensor, asked.stale
        asked.ready = now + sensor.pace_ms
        if sensor.fresh_ms >= sensor.pace_ms:  # each read begins the next measurement
            asked.begun = now
        try:
            if start:
                asked.starts += 1
                if asked.starts > _STARTS:
                    raise SensorError("stale")
                measure(sensor, True)
                asked.begun = now
                asked.ready = now + sensor.lead_ms
                return
            asked.starts = 0
            values = measure(sensor)
        except SensorError as error:
            self._failed(asked, error.args)
            return
        asked.ready = asked.begun + sensor.pace_ms
        if judged(asked, values):
            self._failed(asked, ("implausible",))
        elif asked.doubt:
            asked.fails = 0
            asked.tries = 1  # what is new is always asked about
        if not asked.doubt:
            asked.fails = asked.tries = 0
            asked.values = values
            if self._up is None:
                self._ts, self._up = self._clock.unix(), now // 1000
            self._alert(asked.alert, False)  # which may be an earlier boot's

    def _failed(self, asked, why):
        # First of all: whatever goes wrong below, nobody asks it for ever.
        asked.starts = 0
        asked.tries -= 1
        asked.fails += 1
        dead = asked.fails >= _DEAD_AFTER
        if dead:
            asked.tries = 0
        from node.readings.failed import tell

        tell(self._log, self.errors, asked, self._alert if dead else None, *why)

    def _finish(self, now):
        """All are through with this Reading: hand it out, and begin with the next."""
        values, dead = None, True
        for each in self._asked:
            more = each.values or (None,) * len(each.sensor.fields)
            values = values + more if values else more
            each.values = None
            each.tries = 1
            if each.fails < _DEAD_AFTER:
                each.tries = 2
                dead = False
        up, self._up = self._up, None
        self._at = now if up is None and not dead else self._slot
        if up is not None:
            # What gave no values takes no number: a gap in seq means that a Reading was lost.
            self.reads += 1
            reading = Reading(self._boot, self.reads - 1, self._ts, up, values)
            self._on_reading(reading)
            self._log("sampler", "reading", self.encode.words(reading))
