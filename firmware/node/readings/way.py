"""Whether batches are heard on the topic of their own: a broker whose rules are older than that
topic acknowledges what comes on it, and drops it. Imported when there is a backlog, and let go of.
"""

from micropython import const

_ECHO_MS = const(10000)


class Way:
    """What is found out in one connection: the node subscribes to the topic, sends one Reading
    there as the trial, and waits for it to come back.

    `heard`   None until that is known
    `source`  the Backlog whose trial is on its way, or None
    `key`     of that trial
    `due`     when something is to be done without anything having come
    """

    def __init__(self, client, topic, now):
        self._client = client
        self._topic = topic
        self._payload = None
        self.heard = self.source = self.key = None
        self.acknowledged = False
        self.due = now + 1  # SUBSCRIBE is on its way by then, ahead of the trial
        client.subscribe(topic, 1)

    def clear(self, now):
        """Whether a batch may go now that has not gone before."""
        if not self.source:
            return now >= self.due
        if self.heard is None and now >= self.due:
            self._told(False)
        return self.heard is False or (self.heard and self.acknowledged)

    def last(self, first, end, taken):
        """Position of the last one before `end` that nobody has: the trial of a way in doubt, so
        that the batch at `first` begins with the same Reading in each connection. By that it is
        known again if the way does not carry it (session/blame.py).
        """
        position = end - 1
        while position > first and taken(position):
            position -= 1
        return position

    def step(self, backlog, now):
        """It may be known by now whether what was acknowledged of the Backlog was heard. Returns
        when to come back, in ms.
        """
        self.clear(now)
        back = backlog._back
        if back and self.heard is not None:
            backlog._back = {}
            backlog._next = backlog._log.first
            if self.heard:
                for key in back:
                    backlog._arrived(key, back[key])
        return self.due - now if self.due is not None and self.due > now else 60000

    def tried(self, source, key, payload, now):
        """The trial is on its way."""
        self.source, self.key, self._payload = source, key, bytes(payload)
        self.due = now + _ECHO_MS

    def is_trial(self, source, key):
        """Whether that, which is acknowledged, is the trial; once."""
        found = self.source is source and self.key == key and not self.acknowledged
        self.acknowledged = self.acknowledged or found
        return found

    def came(self, payload):
        """The broker has passed this on."""
        if self.heard is None and payload == self._payload:
            self._told(True)

    def end(self):
        """The connection is gone: the next one knows nothing of this."""
        if self.heard is None:
            self._told(False)

    def _told(self, heard):
        self.heard = heard
        self.due = None
        self._client.unsubscribe(self._topic)
