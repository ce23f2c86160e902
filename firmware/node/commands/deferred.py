"""Deferred: what a handler returns when its result is not there yet.

The router looks into it at each step and gives up after its time-out. What comes after that goes
nowhere.
"""


class Deferred:
    """A place for one result. outcome: None, (result, None, None) or (None, code, text)."""

    def __init__(self):
        self.outcome = None

    def done(self, result):
        """Sets the result (dict). The first outcome stands."""
        if self.outcome is None:
            self.outcome = (result, None, None)

    def failed(self, code, text):
        """Sets what went wrong (two str)."""
        if self.outcome is None:
            self.outcome = (None, code, text)
