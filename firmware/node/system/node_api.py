"""What Commands may do to the node, and nothing else: the handlers are given this object.

A reset is asked for and not made here: main leaves first, so that the Response is through.
"""

from micropython import const
from node.shared.unimport import unimport

_BLINK_MS = const(250)


class NodeApi:
    """`config`: the settings, and what reads and replaces a file. reports: `status()` gives the
    health snapshot, `crash()` what the node died of last (dicts).
    """

    def __init__(self, clock, sampler, led, config, reports):
        self.clock = clock
        self.sampler = sampler
        self.status, self.crash = reports
        self.wish = None  # a reason to leave
        self._led = led
        self._config = config
        self._asking = []
        self._blinks = 0
        self.due = None  # when to blink; None: not at all

    def set_interval(self, seconds):
        """Take a Reading every `seconds` from now on, over resets too. OSError when flash does not
        take it.
        """
        from node.config import written

        unimport("node.config.written")  # when this returns
        settings, read, replace = self._config
        written.change(settings, "interval_s", seconds, read, replace)

    def reboot(self):
        """Reset once the Response is acknowledged, or after 5 s."""
        self.wish = "reboot"

    def read_now(self, on_reading):
        """Have a Reading taken as soon as the sensor allows; calls `on_reading(reading)` once."""
        self._asking.append(on_reading)
        # The router gives up after 10 s, but a silent sensor never empties this.
        del self._asking[:-16]
        self.sampler.read_now(self.clock.now())

    def reading(self, reading):
        """A Reading was taken: whoever asked for one gets it."""
        if self._asking:
            asking, self._asking = self._asking, []
            for on_reading in asking:
                on_reading(reading)

    def identify(self, seconds):
        """Blink the status LED twice a second for `seconds`."""
        self._blinks = seconds * 1000 // _BLINK_MS
        self.due = self.clock.now()

    def run(self, now):
        """Blink once. What was missed is not made up for at once: nobody would see it."""
        self._blinks -= 1
        self._led(self._blinks % 2 == 1)
        self.due += _BLINK_MS
        if self.due <= now:
            self.due = now + _BLINK_MS
        if not self._blinks:
            self.due = None
