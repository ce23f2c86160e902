"""The Outbox: the bounded store between taking a Reading and the broker's acknowledgement.

    put -> ring (RAM) -> in flight (RAM) -> done
             |               |
             +-- commit -----+--> log (flash) -> in flight, in batches -> done

`Live` has what was taken a moment ago and sends it one by one. What is not acknowledged within
`commit_after` is on flash in the log, from where the Backlog (backlog.py) sends it in batches. What
was in flight when a connection broke stays with `Live` beside its copy on flash, so that it can be
sent again under its old packet id. `Messages` holds Responses and alerts. All are sources (see
message.py).

Flash is not written while the broker acknowledges in time. At least once is the promise: after a
reset, what was acknowledged just before may be sent again. Consumers drop duplicates by (boot,
seq).
"""

from micropython import const

_MESSAGES_SIZE = const(6000)  # bytes of payloads in one source, which is heap and one file
_RETRY_MS = const(60000)  # after flash did not take a commit; the ring holds on meanwhile


class Live:
    """The Readings that are not on flash, or in flight though they are. Keys count up from 0.

    ring: a ring of records: those not sent. backlog: where they are committed to. encode: see
    telemetry.py; packs them, and makes the payload of one.
    """

    errors = 0  # commits that flash did not take

    def __init__(self, ring, backlog, encode, commit_after_s):
        self._ring = ring
        self._backlog = backlog
        self._encode = encode
        self.topic, self.qos = encode.topic, encode.qos
        self._commit_after_ms = commit_after_s * 1000
        self._flights = {}  # key -> record: what is sent, and not acknowledged
        self._copies = {}  # key -> position in the log, of those of them that are on flash, too
        self._again = []  # keys of those of them that are to be sent again, in order
        self._now = 0
        self._not_before = 0  # when a commit is tried again that flash did not take
        # When what is in RAM alone has to be on flash, or earlier; None: there is nothing.
        self.due = None

    @property
    def queued(self):
        """Readings not acknowledged that are not counted by the Backlog."""
        ring = self._ring
        return ring.next - ring.first + len(self._flights) - len(self._copies)

    @property
    def dropped(self):
        """Readings lost since boot because flash failed until the ring was full."""
        return self._ring.dropped

    def put(self, reading):
        """Take a Reading in. What raises, such as MemoryError, holds none."""
        ring = self._ring
        offset = ring.push()
        try:
            self._encode.pack_into(ring.buffer, offset, reading)
        except Exception:
            ring.next -= 1  # the bytes there are nothing that was measured
            raise
        if self.due is None:  # nothing else is in RAM alone
            due = reading.up * 1000 + self._commit_after_ms
            self.due = due if due > self._not_before else self._not_before

    # -- a source ----------------------------------------------------------------------------------

    @property
    def ready(self):
        """Whether one can be sent: its time is known, or will never be."""
        if self._again:
            return True
        ring = self._ring
        return ring.next > ring.first and self._encode.timed(ring.buffer, ring.oldest)

    def peek(self, now):
        """What was in flight when the connection broke, else the oldest that is not sent."""
        self._now = now
        return self._again[0] if self._again else self._ring.first

    def write(self, packet):
        """Its payload."""
        if self._again:
            buffer, offset = self._flights[self._again[0]], 0
        else:
            ring = self._ring
            buffer, offset = ring.buffer, ring.oldest
        self._encode.write(packet, buffer, offset, self._now)

    def sent(self, key):
        """`key` is on its way: the client's window is the bound of what is held beside the ring."""
        if self._again:
            self._again.pop(0)
        else:
            ring = self._ring
            offset = ring.oldest
            self._flights[key] = ring.buffer[offset : offset + self._encode.size]
            ring.forget_until(key + 1)

    def done(self, key):
        """`key` has arrived."""
        if self._flights.pop(key, None) is None:
            return
        if key in self._again:
            self._again.remove(key)
        position = self._copies.pop(key, None)
        if position is not None:
            self._backlog.release(position)
        ring = self._ring
        if not self._flights and ring.next == ring.first:
            self.due = None

    def rewind(self):
        """What is in flight is to be sent again."""
        self._again = sorted(self._flights)

    # -- flash -------------------------------------------------------------------------------------

    def run(self, now):
        """Commit when the oldest has waited for long enough: it may have arrived meanwhile."""
        self._plan()
        if self.due is not None and now >= self.due:
            self._not_before = 0 if self.save() else now + _RETRY_MS
            self._plan()

    def _plan(self):
        """When the oldest Reading that is not on flash has to be. Readings know the second they
        were taken in, so this is up to 1 s early, never late.
        """
        flying, ring = [key for key in self._flights if key not in self._copies], self._ring
        if flying:
            record, offset = self._flights[min(flying)], 0
        elif ring.next > ring.first:
            record, offset = ring.buffer, ring.oldest
        else:
            self.due = None
            return
        due = self._encode.taken_s(record, offset) * 1000 + self._commit_after_ms
        self.due = max(due, self._not_before)

    def save(self):
        """A reset is near, or one has waited for long enough: everything on flash that is not,
        oldest first. One write for what is in flight, and one for what is in the ring, or two where
        it lies around the ring's end. They are made from where it lies, as the heap may have no
        room for it in a row. Returns whether it is there.
        """
        ring, backlog, size = self._ring, self._backlog, self._encode.size
        flying, records = [key for key in self._flights if key not in self._copies], bytearray()
        try:
            if flying:
                flying.sort()
                for key in flying:
                    records += self._flights[key]
                position = backlog.append(records, len(flying))
                for key in flying:
                    self._copies[key] = position
                    position += 1
            while ring.next > ring.first:
                offset = ring.oldest
                end = min(offset + (ring.next - ring.first) * size, len(ring.buffer))
                backlog.append(memoryview(ring.buffer)[offset:end], 0)
                ring.forget_until(ring.first + (end - offset) // size)
        except (OSError, MemoryError):
            self.errors += 1
            return False
        return True


class Messages:
    """A source of ready-made Messages with a quota of its own: Responses, alerts. Keys count up
    from 1. When it is full, by number or by bytes, the oldest go, counted in `dropped`.

    store: what keeps them over a reset (node/shared/pair_file.py). now(): ms since boot.
    """

    qos = 1

    def __init__(self, quota, store, commit_after_s, now):
        self._quota = quota
        self._store = store
        self._commit_after_ms = commit_after_s * 1000
        self._held = []  # (topic, payload), oldest first
        self._keys = []  # theirs
        self._sent = 0  # how many of those are sent, from the first on
        self.ready = False  # whether one waits to be sent
        self._last = 0
        self._now = now
        self._clean = True  # flash holds none
        self.dropped = 0
        self.due = None  # when flash, which lags behind, is told; None: it does not
        for topic, payload in store.load():
            self.put(topic, payload)
            self._clean = False

    @property
    def queued(self):
        """Messages not acknowledged."""
        return len(self._held)

    def room(self, count, size):
        """Whether `count` more Messages of `size` bytes fit, without the oldest going for them."""
        size *= count
        for _, payload in self._held:
            size += len(payload)
            count += 1
        return count <= self._quota and size <= _MESSAGES_SIZE

    def put(self, topic, payload):
        """Take a Message in (str, bytes)."""
        while self._held and not self.room(1, len(payload)):
            self._gone(0)
            self.dropped += 1
        self._last += 1
        self._held.append((topic, payload))
        self._keys.append(self._last)
        self.ready = True
        self._changed()

    def _gone(self, index):
        self._held.pop(index)
        self._keys.pop(index)
        self._sent -= index < self._sent
        self.ready = self._sent < len(self._held)

    def _changed(self):
        if self.due is None:
            self.due = self._now() + self._commit_after_ms

    # -- a source ----------------------------------------------------------------------------------

    def peek(self, now):
        """The oldest Message that is not sent."""
        self.topic = self._held[self._sent][0]
        return self._keys[self._sent]

    def write(self, packet):
        """Its payload."""
        packet += self._held[self._sent][1]

    def sent(self, key):
        """`key` is on its way."""
        self._sent += 1
        self.ready = self._sent < len(self._held)

    def done(self, key):
        """`key` has arrived."""
        if key in self._keys:
            self._gone(self._keys.index(key))
            self._changed()

    def rewind(self):
        """What is in flight is to be sent again."""
        self._sent = 0
        self.ready = len(self._held) > 0

    # -- flash -------------------------------------------------------------------------------------

    def run(self, now):
        """Commit what has waited for too long, forget what has arrived."""
        self.save()

    def save(self):
        """A reset is near, or a Message has waited for `commit_after`: write down what is held."""
        self.due = None
        if self._held or not self._clean:
            try:
                self._store.save(self._held)
                self._clean = not self._held
            except (OSError, MemoryError):
                self.due = self._now() + _RETRY_MS
