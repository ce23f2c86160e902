"""Logs of Readings with another layout than the node's own, from before an update or with another
sensor: sent from in their own format, and removed when they are empty. Imported when there are any.
"""

from node.readings.backlog import Backlog
from node.shared.unimport import unimport


class Elders:
    """What there is beside the Backlog `heir`: `drains`, sources, the oldest first.

    older: (log, Telemetry) of each. most: Readings that flash may hold in all of them and the
    heir's log together. limits, rtc_state: see backlog.py.
    """

    def __init__(self, heir, older, most, limits, rtc_state):
        self.heir = heir
        self.drains = [Drain(self, log, encode, limits, rtc_state) for log, encode in older]
        heir.elders, heir.drains = self, tuple(self.drains)
        for each in list(self.drains):
            each.save()  # one that was empty when the power went is removed now
        self.most = most

    @property
    def queued(self):
        """Readings in them that are not acknowledged."""
        return sum([each.queued for each in self.drains])

    @property
    def dropped(self):
        """Readings of them that were lost to the bound."""
        return sum([each.dropped for each in self.drains])

    def make_room(self, count):
        """For `count` more in the heir's log."""
        free = self.most - len(self.heir._log) - count
        while sum([len(each._log) for each in self.drains]) > max(free, 0):
            if not self.drop_oldest():
                return

    def drop_oldest(self):
        """Give up the oldest segment of the oldest log that has any; how many Readings."""
        for each in self.drains:
            number = each._log.drop_oldest()
            if number:
                return number
        return self.heir._log.drop_oldest()


class Drain(Backlog):
    """A Backlog that nothing is added to."""

    def __init__(self, elders, *of_a_backlog):
        self.among = elders
        super().__init__(*of_a_backlog)
        self.head = elders.heir

    def sent(self, key):
        """The batch that begins at `key` is on its way: the next waits, whichever log it is in."""
        super().sent(key)
        self.among.heir._not_before = self._not_before
        self.among.heir.due = 0

    def save(self):
        """Tell flash what is acknowledged; if that is all, there was a log."""
        super().save()
        elders = self.among
        if len(self._log) or self not in elders.drains:
            return
        elders.drains.remove(self)
        if not elders.drains:
            elders.heir.elders = None
        try:
            from recordlog_removing import remove

            remove(self._log, elders.heir._log)
        except (OSError, MemoryError):
            elders.heir.errors += 1  # the next boot finds an empty log, and tries again
        unimport("recordlog_removing")
