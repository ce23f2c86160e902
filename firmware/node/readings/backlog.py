"""The Readings on flash: what an outage or a reset has left, on its way to the broker in batches.

The logs hold them in the order in which they were taken. They are acknowledged in any order, but
forgotten from the front only: what is acknowledged out of turn is remembered in RAM, and is sent
again if a reset comes first.

What is here lives as long as the boot. What is read, chosen and in flight is a Sending's
(sending.py), which is made when there is something to send and a way to send it, and let go of.

What is live is not delayed (the Link asks Live first), and flash is not written to forget one
Reading at a time.
"""

from micropython import const
from node.shared.unimport import unimport

_NO_SPACE = const(28)  # littlefs's LFS_ERR_NOSPC; MicroPython's errno has no name for it
_RETRY_MS = const(60000)  # after flash could not be read
# What a connection begins with goes first: plain amqtt passes a Message on ahead of SUBSCRIBEs that
# came before it, while others, or what is retained for them, are under way.
_FIRST_MS = const(300)
# How often, at most, a log is told on flash what is acknowledged, unless it is as many.
_SYNC_MS = const(10000)
_SYNC = const(16)


class Stored:
    """The Readings of one layout, in a log of records (lib/recordlog.py), by their positions in it.

    `telemetry`  what they are packed by
    `live`       those that Live has in flight
    `done`       position -> how many from there on were acknowledged before an older one was
    `unsynced`   how many were acknowledged that flash is not told of
    """

    def __init__(self, log, telemetry):
        self.log = log
        self.telemetry = telemetry
        self.live = set()
        self.done = {}
        self.unsynced = 0

    def arrived(self, position, count):
        """So many from there on are acknowledged, or nobody can read them."""
        log, done = self.log, self.done
        first = log.first
        done[position] = count
        for each in [each for each in done if each < first]:  # the bound has taken some
            left = each + done.pop(each) - first
            if left > 0:
                done[first] = left
        while first in done:
            first += done.pop(first)
        log.forget_until(first)
        self.unsynced += count


class Backlog:
    """A source: the Readings in `stores`, those of the oldest layout first. The last is the node's
    own log, which is appended to.

    `elders`     looks after the others (drains.py), or None
    `foreign`    Readings on flash that only other versions of the code understand
    `own_topic`  where batches go once it is known that they are heard there
    `client`     the MQTTClient; without one all goes where live Readings go
    `carried`    whether what was acknowledged last says that the way carries batches
    `batch_max`  Readings in a Message

    telemetry: of the node's own log, see telemetry.py. limits: has `backlog_rate`, Readings per
    second at most (0: as many as the window takes), and `payload_max`, bytes in a batch of more
    than one Reading. rtc_state: keeps what the way carries over a reset.
    """

    batch_max = 100

    def __init__(self, log, telemetry, limits, rtc_state):
        self.stores = [Stored(log, telemetry)]
        self.limits = limits
        self.rtc_state = rtc_state
        self.topic = self.own_topic = telemetry.backlog
        self.qos = 1
        self._sending = None
        self._synced = self.due = 0
        self.commits = self.errors = self.foreign = 0
        self.elders = self.client = None
        self.doubtful = self.alone = self._fresh = False  # see began
        self.carried = True

    @property
    def queued(self):
        """Readings on flash that are not acknowledged, in all logs."""
        return sum([len(each.log) - sum(each.done.values()) for each in self.stores])

    @property
    def dropped(self):
        """Readings lost to the bound, in all logs."""
        return sum([each.log.dropped for each in self.stores])

    def append(self, records, in_flight):
        """Commit records; the first `in_flight` stay with Live. Returns the position of the first.
        Raises OSError.
        """
        own = self.stores[-1]
        log = own.log
        position = log.next
        count = len(records) // own.telemetry.size
        if self.elders:
            self.elders.make_room(count)
        try:
            log.append(records, count)
        except OSError as error:
            if error.errno != _NO_SPACE or not (self.elders or log).drop_oldest():
                raise
            log.append(records, count)
        self.commits += 1
        own.live.update(range(position, position + in_flight))
        self.due = 0
        return position

    def release(self, position):
        """Live has done with it."""
        own = self.stores[-1]
        if position in own.live:
            own.live.remove(position)
            own.arrived(position, 1)
            self.due = 0

    # -- a source ----------------------------------------------------------------------------------

    @property
    def ready(self):
        """Whether a batch is at hand that can go now."""
        return self._sending is not None and self._sending.ready

    def peek(self, now):
        """The batch at hand."""
        return self._sending.peek(now)

    def write(self, packet):
        """Its payload."""
        self._sending.write(packet)

    def sent(self, key):
        """It is on its way."""
        self.due = 0  # which tells how long the next one has to wait
        self._look(self._sending.sent())

    def done(self, key):
        """The batch `key` has arrived."""
        if self._sending is not None:
            self.carried = self._sending.done(key)
            self.due = 0

    def cut(self, key, size):
        """Smaller batches from now on: of `size` bytes, or where that is 0 of half as many
        Readings, as the heap has room, but not in a row, until all is sent. Whether the batch at
        `key` was cut.
        """
        self.due = 0
        return self._sending is not None and self._sending.cut(key, size)

    def on_message(self, topic, payload, *more):
        """The broker has passed on what came on the topic of batches."""
        if self._sending is not None:
            self._sending.came(payload)
            self.due = 0

    def began(self, resumed, doubtful, alone):
        """A connection is up. resumed: what was in flight comes again under its packet ids.
        doubtful: whether the one before has ended with something in flight. alone: so many have,
        that Messages go one at a time.
        """
        if self._sending is not None:
            self._sending.began(resumed)
        self.doubtful, self.alone = doubtful, alone
        self._fresh = True
        self.due = 0

    def rewind(self):
        """What is in flight is to be sent again."""
        if self._sending is not None:
            self._sending.rewind()
            self.due = 0

    def save(self):
        """A reset is near: what is acknowledged is not to be sent again after it."""
        for each in self.stores:
            if each.unsynced:
                each.unsynced = 0
                try:
                    each.log.sync()
                except (OSError, MemoryError):
                    self.errors += 1  # the next acknowledgement tries again
        if self.elders:
            self.elders.tidy()

    # -- flash -------------------------------------------------------------------------------------

    def run(self, now):
        """Tell flash now and then what is acknowledged; have the next batch at hand."""
        dues, tell, waits = [], False, False
        for each in self.stores:
            held = len(each.log)
            waits = waits or held > len(each.live)
            if each.unsynced:
                dues = [self._synced + _SYNC_MS]
                tell = tell or now >= dues[0] or each.unsynced >= _SYNC or not held
        if tell:
            self._synced = now
            self.save()
            dues = []
        if waits:
            try:
                due = self._look(now)
                if self._fresh:
                    self._fresh = False
                    due = now + _FIRST_MS
            except MemoryError:  # it was in flight, and cannot come again as it was
                self.client.clean_session = True
                due = now + 1
            if due is not None:
                dues.append(due)
        elif self._sending is not None:
            self._sending.rewind()
            self._sending = None  # the next outage may have the room again
            unimport("node.readings.batches", "node.readings.sending")
        self.due = min(dues) if dues else None

    def _look(self, now):
        """When to look again, or None."""
        up = not self._fresh and (self.client is None or self.client.state == "up")
        if self._sending is None:
            if not up:
                return None
            try:
                from node.readings.sending import Sending

                self._sending = Sending(self)
            except (OSError, MemoryError):
                unimport("node.readings.sending")  # there may be a half of it
                self.errors += 1
                return now + _RETRY_MS
        return self._sending.look(now, up)
