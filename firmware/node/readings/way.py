"""Whether batches are heard on the topic of their own: a broker whose rules are older than that
topic acknowledges what comes on it, and drops it. Imported when there is a backlog, and let go of.
"""

from binascii import crc32

from micropython import const

_ECHO_MS = const(10000)


class Way:
    """What is found out in one connection: the node subscribes to the topic, sends one Message
    there as the trial, and waits for it to come back.

    `heard`    None until that is known
    `flight`   the trial that is on its way or has arrived, or None
    `crc`      CRC-32 of its payload
    `acknowledged`  whether it has arrived
    `due`      when something is to be done without anything having come
    """

    def __init__(self, client, topic, now):
        self._client = client
        self._topic = topic
        self.heard = self.flight = self.crc = None
        self.acknowledged = False
        self.due = now + 1  # SUBSCRIBE is on its way by then, ahead of the trial
        client.subscribe(topic, 1)

    def wait(self, now):
        """No longer, when the time of the trial is over."""
        if self.flight is not None and self.heard is None and now >= self.due:
            self._tell(False)

    def is_open(self, now):
        """Whether a batch may go now that has not gone before."""
        if self.flight is None:
            return now >= self.due
        return self.heard is False or (self.heard and self.acknowledged)

    def tried(self, flight, now):
        """The trial is on its way."""
        self.flight = flight
        self.due = now + _ECHO_MS

    def came(self, payload):
        """The broker has passed this on."""
        if self.heard is None and self.flight is not None and crc32(payload) == self.crc:
            self._tell(True)

    def end(self):
        """The connection is gone: the next one knows nothing of this."""
        if self.heard is None:
            self._tell(False)

    def _tell(self, heard):
        self.heard = heard
        self.due = None
        self._client.unsubscribe(self._topic)
