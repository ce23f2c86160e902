"""Deferred: what a handler returns when its result is not there yet.

The router, which is due when it is there, gives up after its time-out. What comes after that goes
nowhere.
"""


class Deferred:
    """A place for one result. outcome: None, (result, None, None) or (None, code, text)."""

    def __init__(self):
        self.outcome = None
        self.waiter = None  # a part, which is due then

    def done(self, result):
        """Sets the result (dict). The first outcome stands."""
        self._end((result, None, None))

    def failed(self, code, text):
        """Sets what went wrong (two str)."""
        self._end((None, code, text))

    def _end(self, outcome):
        if self.outcome is None:
            self.outcome = outcome
            if self.waiter:
                self.waiter.due = 0
