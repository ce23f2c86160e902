"""Alerts: what somebody should know, said when it begins and when it is over.

What it will not do: repeat itself. An alert is published when its state changes, and at no other
time.
"""

from micropython import const

from node import topics
from node.message import encode

# Failed reads in a row; the retries of one bad moment are no reason to wake anybody.
_SILENT_AFTER = const(5)


class Alerts:
    """Puts alerts into `messages`, a Messages source with its own quota."""

    def __init__(self, base, messages, unix, log):
        self._topic = base + "/" + topics.ALERTS
        self._messages = messages
        self._unix = unix
        self._log = log
        self._raised = set()
        self._failures = 0

    def failed(self, reason):
        """A read failed for `reason`; the fifth in a row raises `sensor-silent`. Returns whether
        that is raised: then there is no hurry any more.
        """
        self._log("sampler", "error reason=" + reason)
        self._failures += 1
        silent = self._failures >= _SILENT_AFTER
        if silent:
            self.change("sensor-silent", True, ("reason", reason))
        return silent

    def read(self, reading):
        """A read succeeded."""
        self._failures = 0
        self.change("sensor-silent", False)

    def change(self, alert, raised, *more):
        """`alert` is now raised, or cleared. Nothing is published if it was so before."""
        if raised == (alert in self._raised):
            return
        if raised:
            self._raised.add(alert)
        else:
            self._raised.remove(alert)
        state = "raised" if raised else "cleared"
        said = encode(("v", 1), ("ts", self._unix()), ("alert", alert), ("state", state), *more)
        self._messages.put(self._topic, said)
