"""The Readings on flash: what an outage or a reset has left, on its way to the broker in batches.

The log holds them in the order in which they were taken. They are acknowledged in any order, but
forgotten from the front only: what is acknowledged out of turn is remembered in RAM, and is sent
again if a reset comes first.

What is live is not delayed (the Link asks Live first), and flash is not written to forget one
Reading at a time.
"""

from micropython import const
from node.shared.unimport import unimport

_COUNT = const(0)  # in what `batch_at` has made
_MESSAGE = const(1)
_POSITION = const(0)  # in `_peeked`
_PEEKED_COUNT = const(1)
_PEEKED_MESSAGE = const(2)
_BATCH_MAX = const(100)  # Readings in a Message
_NO_SPACE = const(28)  # littlefs's LFS_ERR_NOSPC; MicroPython's errno has no name for it
_RETRY_MS = const(60000)  # after flash could not be read
_SYNC_MS = const(10000)  # how often, at most, the log is told on flash what is acknowledged


class Backlog:
    """The Readings on flash, in a log of records (lib/recordlog.py). Keys are positions in it.

    `elders`   logs of other layouts, from before an update (drains.py), or None
    `foreign`  Readings on flash that only other versions of the code understand

    encode: has `size`, bytes of a record, and batch_at(buffer, count, now) -> (how many of the
    records make one Message, that Message), or None while it cannot be made. limits: has
    `backlog_rate`, Readings per second at most (0: as many as the window takes), and `payload_max`,
    bytes in a batch of more than one Reading. rtc_state: keeps what the way carries over a reset.
    """

    def __init__(self, log, encode, limits, rtc_state):
        self._log = log
        self._batch_at = encode.batch_at
        self._size = encode.size
        self._batch_max = _BATCH_MAX
        self._rtc_state = rtc_state
        self._payload_max = min(limits.payload_max, rtc_state.get("payload", 2048))
        self._rate = limits.backlog_rate
        self._buffer = None  # allocated when there is a backlog
        self._next = log.first
        self._flight = {}  # position -> how many records
        self._done = {}  # the same, acknowledged before an older one was; below both bounded by
        # the client's window
        self._live = set()  # positions that Live has in flight
        self._peeked = None  # (position, count, Message) of the last peek
        self._not_before = 0  # until then only what was in flight before is sent
        self._now = 0
        self._synced = 0
        self._unsynced = False
        self.due = None
        self.commits = self.errors = self.foreign = 0
        self.elders = None

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
            dropped = error.errno == _NO_SPACE and self.elders and self.elders.drop_oldest()
            if not dropped and (error.errno != _NO_SPACE or not log.drop_oldest()):
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
        """Whether there is a Reading on flash."""
        return len(self._log) > 0

    def peek(self, now):
        """The oldest batch that is not sent, when its time has come."""
        self._now = now
        position = max(self._next, self._log.first)
        while True:
            while position in self._done or position in self._live:
                position += self._done.get(position, 1)
            self._next = position
            if position >= self._log.next:
                if self._buffer is not None:
                    self._buffer = None  # up to 2 KB that the next outage may have again
                    self._batch_max = _BATCH_MAX  # for which there may be heap by then
                    unimport("node.readings.batches")
                return None
            if now < self._not_before and position not in self._flight:
                return None  # what was in flight before is sent again at once
            if self._peeked is not None and self._peeked[_POSITION] == position:
                return position, self._peeked[_PEEKED_MESSAGE]
            start, made = self._read(position)
            if start == position:
                self._peeked = made and (position, made[_COUNT], made[_MESSAGE])
                return made and (position, made[_MESSAGE])
            self._arrived(position, start - position)  # damaged: nothing left to wait for
            position = start

    def _read(self, position):
        """(position of what was found, (count, Message) or None)."""
        # Sent before: the same batch again, as it may go out under its old packet id.
        again = self._flight.get(position)
        limit = min(again or self._batch_max, self._log.next - position)
        for others in (self._live, self._done):  # what they name is not for this batch
            for other in others:
                if other > position:
                    limit = min(limit, other - position)
        try:
            # No longer than it has to be: a piece of 2 KB may be one that the heap grows for.
            if self._buffer is None or len(self._buffer) < limit * self._size:
                self._buffer = bytearray(limit * self._size)
            start, count = self._log.read(position, self._buffer, limit)
            made = self._batch_at(self._buffer, count, self._now) if start == position else None
            while made and not again and made[_COUNT] > 1:
                size = len(made[_MESSAGE].payload)
                if size <= self._payload_max:
                    break
                count = max(made[_COUNT] * self._payload_max // size, 1)
                self._batch_max = count
                made = self._batch_at(self._buffer, count, self._now)
        except OSError:
            self.errors += 1
            self._not_before = self._now + _RETRY_MS
            self.due = 0
            return position, None
        except MemoryError:
            self.cut(None, 0)
            self.due = 0  # for half as many
            if again:
                del self._flight[position]
                raise  # not the same again: the Link has to know
            return position, None
        return start, made

    def cut(self, key, size):
        """Smaller batches from now on: of `size` bytes, or where that is 0 of half as many
        Readings, as the heap has room, but not in a row, until all is sent. Whether the batch at
        `key` was cut.
        """
        self._peeked = self._buffer = None
        unimport("node.readings.batches")  # of which there may be a half
        if not size:
            self._batch_max = self._batch_max // 2 or 1
        elif self._flight.get(key, 1) > 1:
            self._payload_max = size
            self._rtc_state.put("payload", size)
            self._flight = {}  # none of them comes again as it was
            return True
        return False

    def sent(self, key):
        """The batch that begins at `key` is on its way."""
        count = self._peeked[_PEEKED_COUNT]
        self._flight[key] = count
        self._next = key + count
        self._peeked = None
        if self._rate:
            self._not_before = self._now + count * 1000 // self._rate
            self.due = 0

    def done(self, key):
        """The batch that begins at `key` has arrived."""
        count = self._flight.pop(key, 0)
        if count:
            self._arrived(key, count)

    def rewind(self):
        """What is in flight is to be sent again."""
        first = self._next = self._log.first
        self._flight = {each: self._flight[each] for each in self._flight if each >= first}
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
        due = self._synced + _SYNC_MS
        if self._unsynced and (now >= due or not len(self._log)):
            self._synced = now
            self.save()
        self.due = due if self._unsynced else None
        if now < self._not_before and not (self._unsynced and due < self._not_before):
            self.due = self._not_before
