"""Alerts: what somebody should know, said when it begins and when it is over, whatever boot that
is in. What is raised stands in each birth, too.

An alert is published when its state changes, and at no other time.
"""

from node.shared.unimport import unimport


class Alerts:
    """Puts alerts into `messages`, a Messages source with its own quota, and their names into
    `status.raised`. store: what keeps the names over a reset (node/shared/pair_file.py).
    """

    def __init__(self, base, messages, unix, status, store):
        self.base = base
        self.messages = messages
        self.unix = unix
        self.status = status
        self.store = store
        status.raised = [name for name, _ in store.load()]

    def change(self, alert, raised, *more):
        """`alert` is now raised, or cleared. Nothing is published if it was so before."""
        if raised != (alert in self.status.raised):
            from node.reporting.changed import say

            unimport("node.reporting.changed", "node.shared.topics")  # when this returns
            say(self, alert, raised, more)
