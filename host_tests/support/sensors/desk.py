# mypy: ignore-errors
"""A sensor that does as it is told, and a loop that runs the sampler exactly when it is due.

MicroPython. Stricter than a sensor: being asked sooner than it declares is an AssertionError, and
so is a read of what was not started.
"""

from node.readings.sampler import Sampler
from sensing import Field, Sensor, SensorError, measure


def read_once(sensor, bus, wait=None):
    """What `sensor` measures, or the reason why not, `wait` ms (its `lead_ms`) of the bus's `now`
    after its start.
    """
    try:
        sensor.start()
        bus.now += sensor.lead_ms if wait is None else wait
        return measure(sensor)
    except SensorError as error:
        return error.args[0]


class Told(Sensor):
    """Says `script`, in turn and then its last for ever: a tuple of values, an exception to raise,
    or anything else to hand out. `asked` and `started` are the times.
    """

    def __init__(self, time, fields, script, name="", **says):
        self.time = time
        self.fields = tuple([Field(*each) for each in fields])
        self.script = list(script)
        self.name = name
        self.pace_ms = 2000
        for key, value in says.items():
            setattr(self, key, value)
        self.asked = []
        self.started = []

    def start(self):
        """Begin. One whose reads measure is read for nothing."""
        if self.fresh_ms >= self.pace_ms:
            self.read()
            return
        before = self.started[-1:] or [-self.pace_ms]
        assert self.time.at - before[0] >= self.pace_ms, (self.time.at, before)
        self.started.append(self.time.at)
        if self.fails_to_start:
            raise self.fails_to_start

    fails_to_start = None

    def read(self):
        """The next of the script."""
        now = self.time.at
        assert now >= self.warm_up_ms, now
        if self.fresh_ms >= self.pace_ms:
            assert not self.asked or now - self.asked[-1] >= self.pace_ms, (now, self.asked)
        else:
            assert self.started, now
            assert self.started[-1] + self.lead_ms <= now, (now, self.started)
            assert now - self.started[-1] <= self.fresh_ms, (now, self.started)
        self.asked.append(now)
        said = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(said, BaseException):
            raise said
        return said


class Time:
    """`at` in ms since boot."""

    at = 0

    def now(self):
        """As a clock has it."""
        return self.at

    def unix(self):
        """Seconds."""
        return 1_800_000_000 + self.at // 1000


class Desk:
    """A sampler of `sensors`; `readings`, `alerts` and `lines` are what it said."""

    def __init__(self, time, sensors, interval_ms=10_000):
        self.time = time
        self.readings = []
        self.alerts = []
        self.lines = []
        told = (self.readings.append, self.alert, self.log, self)
        self.sampler = Sampler(sensors, 7, interval_ms, time, told)

    def words(self, reading):
        """As Telemetry has it: a line of the log."""
        return ""

    def alert(self, name, raised, *more):
        """As node/reporting/alerts.py has it: what is so already is not said; at first all is
        cleared.
        """
        state = [each[1] for each in self.alerts if each[0] == name]
        if (state[-1] if state else False) != raised:
            self.alerts.append((name, raised) + more)  # noqa: RUF005 (MicroPython)

    def log(self, area, *words):
        """A line of what is not well."""
        if words[0] != "reading":
            self.lines.append(words)

    def go(self, until):
        """Let time pass."""
        while self.sampler.due <= until:
            self.time.at = max(self.time.at, self.sampler.due)
            self.sampler.run(self.time.at)
        self.time.at = until
