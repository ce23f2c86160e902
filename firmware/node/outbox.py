"""The Outbox: the bounded store between taking a Reading, or making a Message, and the broker's
acknowledgement.

Two kinds of source (see message.py). Readings are held packed, 20 bytes each, and encoded when they
are sent; Messages (Responses, alerts) are held as they are. Both are bounded: when one is full the
oldest go, and are counted in `dropped`.

What it will not do: know about packet ids, connections or time. It holds in RAM; keeping over a
reset has its own file."""

from node.message import Message


class Readings:
    """The source of telemetry: a ring of packed Readings. Keys are positions in the ring since
    boot.
    """

    def __init__(self, ring, pack_into, message_at):
        """`pack_into(buffer, offset, reading)` fills a record; `message_at(buffer, offset, now)`
        makes the Message of one, or None while it cannot be made."""
        self._ring = ring
        self._pack_into = pack_into
        self._message_at = message_at
        self._next = 0  # the next to send
        self._done = set()  # acknowledged before an older one was; at most the client's window

    @property
    def queued(self):
        """Readings held and not yet acknowledged."""
        return self._ring.next - self._ring.first - len(self._done)

    @property
    def dropped(self):
        """Readings lost to the bound since boot."""
        return self._ring.dropped

    def put(self, reading):
        """Take a Reading in."""
        ring = self._ring
        self._pack_into(ring.buffer, ring.push(), reading)
        if ring.first > self._next:
            self._next = ring.first
        self._forget()  # what the bound has just taken may have been acknowledged before its elders

    def peek(self, now):
        """The oldest Reading that is neither sent nor acknowledged."""
        ring = self._ring
        while self._next in self._done:
            self._next += 1
        if self._next >= ring.next:
            return None
        message = self._message_at(ring.buffer, ring.at(self._next), now)
        return message and (self._next, message)

    def sent(self, key):
        """`key` is on its way."""
        self._next = key + 1

    def done(self, key):
        """`key` has arrived. Acknowledgements come in any order; the ring forgets from its front
        only.
        """
        if key >= self._ring.first:  # else the bound has taken it in the meantime
            self._done.add(key)
        self._forget()

    def _forget(self):
        first = self._ring.first
        for key in list(self._done):
            if key < first:
                self._done.remove(key)
        while first in self._done:
            self._done.remove(first)
            first += 1
        self._ring.forget_until(first)

    def rewind(self):
        """Send again what was sent and not acknowledged."""
        self._next = self._ring.first

    def save(self):
        """Nothing to do: this Outbox lives in RAM."""


class Messages:
    """A source of ready-made Messages with a quota of its own. Keys count up from 1."""

    def __init__(self, quota):
        self._quota = quota
        self._held = []  # [key, Message, sent], oldest first
        self._last = 0
        self.dropped = 0

    @property
    def queued(self):
        """Messages held and not yet acknowledged."""
        return len(self._held)

    def put(self, topic, payload):
        """Take a Message in (str, bytes): QoS 1, not retained."""
        if len(self._held) >= self._quota:
            self._held.pop(0)
            self.dropped += 1
        self._last += 1
        self._held.append([self._last, Message(topic, payload, 1, False), False])

    def peek(self, now):
        """The oldest Message that is not sent."""
        for key, message, sent in self._held:
            if not sent:
                return key, message
        return None

    def sent(self, key):
        """`key` is on its way."""
        for each in self._held:
            if each[0] == key:
                each[2] = True

    def done(self, key):
        """`key` has arrived."""
        self._held = [each for each in self._held if each[0] != key]

    def rewind(self):
        """Send again what was sent and not acknowledged."""
        for each in self._held:
            each[2] = False

    def save(self):
        """Nothing to do: this Outbox lives in RAM."""
