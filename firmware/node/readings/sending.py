"""How batches come out of the logs and on their way: what a Backlog does while it has any. Imported
then, and let go of.
"""

from binascii import crc32

from micropython import const
from node.shared.unimport import unimport

_READ_MAX = const(1018)  # bytes of a batch that the client can read (node/config/settings.py)
_RETRY_MS = const(60000)  # after flash could not be read
# Batches in flight where the connection before has ended with something in flight. All of them come
# twice when this one does, too.
_DOUBTFUL = const(2)


class Flight:
    """A batch, from when it is chosen until it is acknowledged: `count` Readings of `stored` from
    `position` on. `count` is 1 until its payload is made.

    `own`    whether it goes on the topic of batches
    `short`  whether it is a trial of one Reading, and tells nothing of what the way carries
    `out`    whether it was sent in this connection
    """

    def __init__(self, key, stored, position, own, short):
        self.key = key
        self.stored = stored
        self.position = position
        self.count = 1
        self.own = own
        self.short = short
        self.out = False


class Sending:
    """What is on its way from the stores of a Backlog. Keys are positions, told apart by store."""

    def __init__(self, backlog):
        self._backlog = backlog
        self._stores = tuple(backlog.stores)  # also those that are removed meanwhile
        limits = backlog.limits
        self._rate = limits.backlog_rate
        self._payload_max = min(limits.payload_max, backlog.rtc_state.get("payload", 2048))
        self._batch_max = backlog.batch_max
        # All of these are bounded by the client's window.
        self._flights = []  # in the order in which they were sent first
        self._back = []  # acknowledged, and it is not known yet whether they were heard
        self._next = None  # the one that goes next; its records are at the front of the buffer
        self._buffer = b""
        self._held = 0  # how many records those are
        self._now = self._not_before = 0  # until then only what was in flight before is sent
        self._way = None  # see way.py
        self._unheard = False  # what was found out last: batches are not heard on their topic

    @property
    def ready(self):
        """Whether one can go now."""
        return self._next is not None and self._next.stored.telemetry.timed(self._buffer, 0)

    def peek(self, now):
        """Key of the one that is next, when `ready`."""
        self._now = now
        backlog, flight = self._backlog, self._next
        live = backlog.stores[-1].telemetry
        # QoS 1 on the topic of their own, whatever a live one is.
        backlog.topic, backlog.qos = live.topic, live.qos
        if flight.own:
            backlog.topic, backlog.qos = backlog.own_topic, 1
        return flight.key

    def write(self, packet):
        """Append its payload."""
        from node.readings import batches

        flight, way, start = self._next, self._way, len(packet)
        again = flight in self._flights
        trial = not again and flight.own and way.heard is None
        most = self._payload_max
        if trial:  # it comes back
            most = min(most, _READ_MAX)
        count = flight.count if again else self._held
        to = packet, flight.stored.telemetry, self._buffer
        while True:
            count = batches.write(*to, count, self._now, flight.own)
            size = len(packet) - start
            if again or count == 1 or size <= most:
                break
            packet[start:] = b""
            count = max(count * most // size, 1)
            self._batch_max = count
        flight.count = count
        if trial:
            way.crc = crc32(memoryview(packet)[start:])

    def sent(self):
        """What was peeked at is on its way; or it is passed over, and was not written. Returns when
        that was.
        """
        flight = self._next
        self._next = None
        flight.out = True
        if flight not in self._flights:
            self._flights.append(flight)
            if flight.own and self._way.heard is None and self._way.crc is not None:
                self._way.tried(flight, self._now)
        if self._rate:
            self._not_before = self._now + flight.count * 1000 // self._rate
        return self._now

    def done(self, key):
        """The Flight with that key has arrived. Whether that says that the way carries batches."""
        way = self._way
        for flight in self._flights:
            if flight.key == key:
                self._flights.remove(flight)
                if way is not None and way.flight is flight:
                    way.acknowledged = True
                if not flight.own or (way is not None and way.heard):
                    flight.stored.arrived(flight.position, flight.count)
                else:
                    self._back.append(flight)
                return not flight.short
        return True

    def cut(self, key, size):
        """See Backlog.cut."""
        self._next = None
        self._buffer = b""
        unimport("node.readings.batches")  # of which there may be a half
        if not size:
            self._batch_max = self._batch_max // 2 or 1
        elif any(each.key == key and each.count > 1 for each in self._flights):
            self._payload_max = size
            self._backlog.rtc_state.put("payload", size)
            self._flights = []  # none of them comes again as it was
            return True
        return False

    def came(self, payload):
        """The broker has passed that on, on the topic of batches."""
        if self._way is not None:
            self._way.came(payload)

    def began(self, resumed):
        """A connection is up: what was in flight comes again if it is `resumed`."""
        if not resumed:
            self._next = None
            self._flights = []

    def rewind(self):
        """What is in flight is to be sent again; what was found out is no longer so."""
        self._next = None
        for each in self._flights:
            each.out = False
        way = self._way
        if way is not None:
            self._settle()
            way.end()
            if way.acknowledged or way.heard:
                self._unheard = not way.heard
            self._way = None
            unimport("node.readings.way")
        self._back = []

    # -- what is next ------------------------------------------------------------------------------

    def look(self, now, up):
        """Have the batch at hand that is next: while not `up` only one that was in flight. Returns
        when to look again, or None. MemoryError: it cannot come again as it was.
        """
        self._now = now
        if self._way is not None:
            self._way.wait(now)
            self._settle()
        try:
            if self._next is None:
                self._next = self._again()
            if self._next is None and up and now >= self._not_before:
                self._next = self._new(now)
        except OSError:
            self._backlog.errors += 1
            self._not_before = now + _RETRY_MS
        except MemoryError:
            for each in self._flights:
                if not each.out:
                    self._flights.remove(each)
                    raise
            self.cut(None, 0)
            return now + 1  # for half as many
        waits = []
        if self._next is None:
            waits.append(self._not_before)
        if self._way is not None and self._way.due is not None:
            waits.append(self._way.due)
        waits = [each for each in waits if each > now]
        return min(waits) if waits else None

    def _settle(self):
        """What was acknowledged on the topic of batches has arrived, or counts as not sent."""
        if self._way.heard is not None:
            back, self._back = self._back, []
            for each in back if self._way.heard else ():
                each.stored.arrived(each.position, each.count)

    def _again(self):
        for flight in self._flights[:]:
            if not flight.out:
                if flight.position >= flight.stored.log.first and self._read(flight, flight.count):
                    flight.count = self._held
                    return flight
                self._flights.remove(flight)  # the bound has taken it, or it is damaged
        return None

    def _new(self, now):
        backlog, way = self._backlog, self._way
        if backlog.doubtful and len(self._flights) >= _DOUBTFUL:
            return None
        if way is None and backlog.client is not None and not (backlog.alone and self._unheard):
            from node.readings.way import Way

            way = self._way = Way(backlog.client, backlog.own_topic, now)
        if way is not None and not way.is_open(now):
            return None
        own = way is not None and way.heard is not False
        trial = own and way.heard is None
        for number, stored in enumerate(self._stores):
            while True:
                gaps = self._gaps(stored)
                if not gaps:
                    break
                position, most = gaps[0]
                most = min(most, self._batch_max)
                # Where hardly anything gets through, what does is not to be a single Reading.
                short = trial and most > 1 and not backlog.alone
                if short:
                    most = 1
                    if backlog.doubtful:
                        # The last one, so the batch at the front begins with the same Reading in
                        # each connection. By that it is known again if the way does not carry it.
                        position = sum(gaps[-1]) - 1
                key = position * len(self._stores) + number
                flight = Flight(key, stored, position, own, short)
                if self._read(flight, most):
                    return flight
        if not self._back:
            return None
        self._back = []  # nothing else is left for the trial
        return self._new(now)

    def _gaps(self, stored):
        """Where those are that nobody has: [(position, how many)], in order."""
        taken = [(each, stored.done[each]) for each in stored.done]
        taken += [(each, 1) for each in stored.live]
        for each in self._flights + self._back:
            if each.stored is stored:
                taken.append((each.position, each.count))
        found, at = [], stored.log.first
        taken.append((stored.log.next, 0))
        for position, count in sorted(taken):
            if position > at:
                found.append((at, position - at))
            at = max(at, position + count)
        return found

    def _read(self, flight, most):
        """Read up to so many, from its first one on. False: that one nobody can read."""
        stored, position = flight.stored, flight.position
        size = most * stored.telemetry.size
        # No longer than it has to be: a piece of 2 KB may be one that the heap grows for.
        if len(self._buffer) < size:
            self._buffer = b""
            self._buffer = bytearray(size)
        start, self._held = stored.log.read(position, self._buffer, most)
        if start == position:
            return True
        stored.arrived(position, start - position)  # damaged: nothing left to wait for
        return False
