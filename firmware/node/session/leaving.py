"""How the node leaves: what is queued first, the goodbye last, then DISCONNECT. Imported for that.

It waits no longer than its two deadlines; the Supervisor saves.
"""

from micropython import const

_DRAIN_MS = const(5000)
_GOODBYE_MS = const(2000)
_CLOSE_LOOK_MS = const(50)  # while the broker closes


class Leaving:
    """Takes the Link (`link.stopped` tells the end) out of its connection; `reason` goes into the
    goodbye. `said`: whether that is on its way, so that nothing else may follow.
    """

    def __init__(self, link, client, now, reason):
        self.said = False
        self.due = now
        self._link = link
        self._client = client
        self._reason = reason
        self._until = now + _DRAIN_MS

    def run(self, now, in_flight):
        """One look; `in_flight` is whether anything is."""
        link, client = self._link, self._client
        status, connection = link.status, link.connection
        late = now >= self._until
        if connection.up_at is None:
            link.stopped = True
        elif not self.said:
            waits = any(each.ready for each in connection.pulled)
            if late or not (in_flight or waits):
                self.said = True
                self._until = now + _GOODBYE_MS
                status.goodbye(self._reason)
                self.due = now
                return
        elif status.goodbye_done:
            if client.state == "up":
                client.stop(now)
            elif client.state == "down":
                link.stopped = True
            self.due = now + _CLOSE_LOOK_MS
            return
        elif late:
            link.stopped = True  # no DISCONNECT: the will says what the goodbye could not
        if link.stopped:
            client.abort()
            self._until = now
        self.due = self._until
