"""The Readings on flash: what an outage or a reset has left, on its way to the broker in batches.

The log holds them in the order in which they were taken. They are acknowledged in any order, but
forgotten from the front only: what is acknowledged out of turn is remembered in RAM, and is sent
again if a reset comes first.

What is live is not delayed (the Link asks Live first), and flash is not written to forget one
Reading at a time.

Batches have a topic of their own, as soon as it is known that they are heard there (way.py); what
is acknowledged there before that counts as not sent. Else they go where live Readings go.
"""

from micropython import const
from node.shared.unimport import unimport

_POSITION = const(0)  # in what is in flight
_COUNTED = const(1)  # in what is in flight
_OWN = const(2)
_OUT = const(3)
_BATCH_MAX = const(100)  # Readings in a Message
_NO_SPACE = const(28)  # littlefs's LFS_ERR_NOSPC; MicroPython's errno has no name for it
_RETRY_MS = const(60000)  # after flash could not be read
_SYNC_MS = const(10000)  # how often, at most, the log is told on flash what is acknowledged


class Backlog:
    """The Readings on flash, in a log of records (lib/recordlog.py). Keys are positions in it.

    `drains`   sources beside this one: the logs of `elders`
    `elders`   logs of other layouts, from before an update (drains.py), or None
    `foreign`  Readings on flash that only other versions of the code understand
    `client`   the MQTTClient; without one all goes where live Readings go
    `carried`  whether what was acknowledged last says that the way carries batches

    encode: has `size`, bytes of a record, and batch_at(buffer, count, now) -> (how many of the
    records make one Message, its payload), or None while it cannot be made. limits: has
    `backlog_rate`, Readings per second at most (0: as many as the window takes), and `payload_max`,
    bytes in a batch of more than one Reading. rtc_state: keeps what the way carries over a reset.
    """

    def __init__(self, log, encode, limits, rtc_state):
        self._log = log
        self._encode = encode
        self._size = encode.size
        self._batch_max = _BATCH_MAX
        self._rtc_state = rtc_state
        self._payload_max = min(limits.payload_max, rtc_state.get("payload", 2048))
        self._rate = limits.backlog_rate
        # What was read last, and (position, count, payload) of the last peek, if any.
        self._buffer = self._peeked = None
        self._next = log.first
        # All of these are bounded by the client's window.
        self._flight = []  # [position, how many, on the topic of batches, sent in this connection],
        # in the order in which they were sent first
        self._done = {}  # position -> how many that were acknowledged before an older one was
        self._back = {}  # the same, where it is not known yet whether they were heard
        self._live = set()  # positions that Live has in flight
        self._not_before = 0  # until then only what was in flight before is sent
        self._now = 0
        self._synced = 0
        self._unsynced = False
        self.commits = self.errors = self.foreign = self.doubtful = 0
        self.due = self.elders = self.client = self.way = None  # way: see way.py
        self.drains = ()
        self.head = self  # the Backlog that knows the way
        self.carried = True

    @property
    def queued(self):
        """Readings on flash that are not acknowledged, in all logs."""
        own = len(self._log) - sum(self._done.values())
        return own + self.elders.queued if self.elders else own

    @property
    def dropped(self):
        """Readings lost to the bound, in all logs."""
        return self._log.dropped + (self.elders.dropped if self.elders else 0)

    def append(self, records, in_flight):
        """Commit records; the first `in_flight` stay with Live. Returns the position of the first.
        Raises OSError.
        """
        log = self._log
        position = log.next
        count = len(records) // self._size
        if self.elders:
            self.elders.make_room(count)
        try:
            log.append(records, count)
        except OSError as error:
            if error.errno != _NO_SPACE or not (self.elders or log).drop_oldest():
                raise
            log.append(records, count)
        self.commits += 1
        self._live.update(range(position, position + in_flight))
        return position

    def release(self, position):
        """Live has done with it."""
        if position in self._live:
            self._live.remove(position)
            self._arrived(position, 1)

    # -- a source ----------------------------------------------------------------------------------

    @property
    def ready(self):
        """Whether there is a Reading on flash that Live has not."""
        return len(self._log) > len(self._live)

    def peek(self, now):
        """The oldest batch that is not sent, when its time has come."""
        self._now = now
        try:
            from node.readings.sending import found
        except (OSError, MemoryError):
            self.errors += 1
            self._not_before = now + _RETRY_MS
            return None
        return found(self)

    def write(self, packet):
        """Its payload."""
        packet += self._peeked[2]

    def cut(self, key, size):
        """Smaller batches from now on: of `size` bytes, or where that is 0 of half as many
        Readings, as the heap has room, but not in a row, until all is sent. Whether the batch at
        `key` was cut.
        """
        self._peeked = self._buffer = None
        unimport("node.readings.batches", "node.readings.sending")  # of which there may be a half
        if not size:
            self._batch_max = self._batch_max // 2 or 1
        elif [each for each in self._flight if each[_POSITION] == key and each[_COUNTED] > 1]:
            self._payload_max = size
            self._rtc_state.put("payload", size)
            self._flight = []  # none of them comes again as it was
            return True
        return False

    def sent(self, key):
        """The batch that begins at `key` is on its way."""
        from node.readings.sending import sent  # which has just told of it

        sent(self, key)

    def done(self, key):
        """The batch that begins at `key` has arrived."""
        way = self.head.way
        trial = way is not None and way.is_trial(self, key)
        self.carried = not trial
        for each in self._flight:
            if each[_POSITION] == key:
                self._flight.remove(each)
                if not each[_OWN] or (way and way.heard):
                    self._arrived(key, each[_COUNTED])
                else:
                    self._back[key] = each[_COUNTED]
                    self.due = 0
                return

    def on_message(self, topic, payload, *more):
        """The broker has passed on what came on the topic of batches."""
        if self.way:
            self.way.came(payload)
            self.due = 0

    def began(self, resumed, doubtful):
        """A connection is up. resumed: what was in flight comes again under its packet ids.
        doubtful: how many before it have ended with something in flight.
        """
        self.doubtful = doubtful
        if not resumed:
            self._flight = []

    def lose_way(self):
        """What was found out is no longer so, or no longer needed."""
        if self.way:
            self.way.end()
            self.way = None
            unimport("node.readings.way")

    def rewind(self):
        """What is in flight is to be sent again."""
        self._back = {}
        self.lose_way()
        self._next = self._log.first
        for each in self._flight:
            each[_OUT] = False
        self._peeked = None

    def save(self):
        """A reset is near: what is acknowledged is not to be sent again after it."""
        if self._unsynced:
            self._unsynced = False
            try:
                self._log.sync()
            except (OSError, MemoryError):
                self.errors += 1  # the next acknowledgement tries again

    def _arrived(self, position, count):
        first = self._log.first
        self._done[position] = count
        for each in [each for each in self._done if each < first]:  # the bound has taken some
            left = each + self._done.pop(each) - first
            if left > 0:
                self._done[first] = left
        while first in self._done:
            first += self._done.pop(first)
        self._log.forget_until(first)
        if not self._unsynced or not len(self._log):
            self.due = 0
        self._unsynced = True

    # -- flash -------------------------------------------------------------------------------------

    def run(self, now):
        """Tell flash now and then what is acknowledged; what has waited for its time can go."""
        wake = now + self.head.way.step(self, now) if self.head.way else None
        due = self._synced + _SYNC_MS
        if self._unsynced and (now >= due or not len(self._log)):
            self._synced = now
            self.save()
        self.due = due if self._unsynced else None
        if self._buffer is not None and len(self._log) <= len(self._live):
            self._buffer = None  # the next outage may have the room again
            self.lose_way()
            unimport("node.readings.batches", "node.readings.sending")
        if now < self._not_before and not (self._unsynced and due < self._not_before):
            self.due = self._not_before
        if wake is not None and (self.due is None or wake < self.due):
            self.due = wake
