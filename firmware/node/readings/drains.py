"""Logs of Readings with another layout than the node's own, from before an update or with another
sensor: sent from in their own format, and removed when they are empty. Imported when there are any.
"""

from node.readings.backlog import Stored
from node.shared.unimport import unimport


class Elders:
    """Looks after the stores of a Backlog that come before its last one, until they are gone.

    older: (log, Telemetry) of each, the oldest first. most: Readings that flash may hold in all
    logs together.
    """

    def __init__(self, backlog, older, most):
        self._backlog = backlog
        self._most = most
        backlog.stores = [Stored(log, telemetry) for log, telemetry in older] + backlog.stores
        backlog.elders = self
        self.tidy()  # one that was empty when the power went is removed now

    def make_room(self, count):
        """For `count` more in the last one."""
        stores = self._backlog.stores
        free = max(self._most - len(stores[-1].log) - count, 0)
        while sum([len(each.log) for each in stores[:-1]]) > free:
            self.drop_oldest()

    def drop_oldest(self):
        """Give up the oldest segment of the oldest log that has any. Whether there was one."""
        return any(each.log.drop_oldest() for each in self._backlog.stores)

    def tidy(self):
        """Remove from flash those of which nothing is left; with the last of them, this."""
        backlog = self._backlog
        stores = backlog.stores
        for each in stores[:-1]:
            if not len(each.log):
                try:
                    from recordlog_removing import remove

                    remove(each.log, stores[-1].log)
                    stores.remove(each)
                except (OSError, MemoryError):
                    backlog.errors += 1  # tried again with what is acknowledged next, or at boot
        unimport("recordlog_removing")
        if len(stores) == 1:
            backlog.elders = None
            unimport("node.readings.drains")
