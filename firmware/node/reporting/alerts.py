"""Alerts: what somebody should know, said when it begins and when it is over, whatever boot that
is in. What is raised stands in each birth, too.

An alert is published when its state changes, and at no other time.
"""

from micropython import const
from node.shared import topics
from node.shared.message import encode

# Failed reads in a row; the retries of one bad moment are no reason to wake anybody.
_SILENT_AFTER = const(5)


class Alerts:
    """Puts alerts into `messages`, a Messages source with its own quota, and their names into
    `status.raised`. store: what keeps the names over a reset (node/shared/pair_file.py).
    """

    def __init__(self, base, messages, unix, log, status, store):
        self._topic = base + "/" + topics.ALERTS
        self._messages = messages
        self._unix = unix
        self._log = log
        self._status = status
        self._store = store
        status.raised = [name for name, _ in store.load()]
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
        names = self._status.raised
        if raised == (alert in names):
            return
        state = "raised" if raised else "cleared"
        said = encode(("v", 1), ("ts", self._unix()), ("alert", alert), ("state", state), *more)
        self._messages.put(self._topic, said)
        # Not before: what there was no heap to say is said the next time.
        if raised:
            names.append(alert)
        else:
            names.remove(alert)
        try:
            self._store.save([(name, b"") for name in names])
        except (OSError, MemoryError):
            pass  # the birth says them all the same; the next change tries again
        self._status.again()
