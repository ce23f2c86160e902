"""The Link's policy: when to connect, what to say first, which source is next.

The connection itself is the client's (lib/umqtt_tls.py); what is said comes from the sources, most
urgent first. The Link keeps which packet id carries which Message, tells the source when it has
arrived, and has everything sent again that was in flight when a connection broke: with the same
packet ids and DUP if the broker kept the session, else as new, in either case in the order in which
it was sent first (MQTT 3.1.1 sections 4.4 and 4.6).

It never waits, never resets anything, and never gives up.
"""

from micropython import const
from node.shared.unimport import unimport

# See causes.py and status.py.
_TAKEN = const("client-id-taken")
_DENIED = const("not-authorized-here")

_CLOCK_LOOK_MS = const(100)  # while TLS could not judge the dates of a certificate
_ID = const(1)  # in what is in flight
_SOURCE = const(2)
_SUSPECT_SOURCE = const(0)  # in `_suspect`
_SUSPECT_KEY = const(1)
_SUSPECT_TIMES = const(2)
_SHORT = const(0)  # in `_past`
_THROWN = const(1)
_MUTE = const(2)
_PROBE = const(3)
_MANY = const(3)  # connections in a row that ended in the same strange way
# Another node with this id: each comes back within its back-off and throws the other out. By this
# time up, nobody else wants the id any more.
_FIGHT_MS = const(900000)
_LATE_MS = const(60000)  # the next step connects, whatever else it may have waited for
_STARVED_MS = const(1000)  # after a packet that there was no heap for
_STARVED = const(60)  # of them in one connection
_MANY_EARLY = const(3)  # connections that ended with something in flight, and without a batch
_ASIDE = const(5)  # see blame.py
_SURE = const(3)  # of the sources, before the birth has come back: Readings are not among them
_AT_ONCE = const(16)  # Messages in one step, so that it stays within its time budget
# Of the chip's own heap, with MicroPython 1.23 to 1.27: what Wi-Fi needs while up, and what each
# answer takes until it is read.
_WIFI = const(6 * 1024)
_ANSWER = const(2 * 1024)


class Link:
    """A part (see message.py), which is also run when the broker has said something, and whenever
    another part was: it looks at the sources then. `sources` in order of urgency; the first is the
    status (see node/reporting/status.py).
    """

    def __init__(self, client, board, sources, backoff, log, downs, alarm, recovery):
        """`board.network.cause` is None while there is a network, `board.idf_heap()` tells whether
        TLS has room; `board.clock.sync()` is called ahead of each try, and False puts it off a
        moment, `board.clock.failed(cause)` after it. `downs` counts failures by cause.
        `alarm(alert, raised)` tells whom it concerns, `recovery` is told of `up` and `down`.
        """
        self._client = client
        self._window = client.window
        self._network = board.network
        self._idf_heap = board.idf_heap
        self.sources = sources
        self._status = sources[0]
        self._backoff = backoff
        self._log = log
        self._clock = board.clock
        self._downs = downs
        self._recovery = recovery
        self._keeps_session = not client.clean_session
        # (which Message of this boot it is, packet id, source, key, size), in order of sending.
        self._in_flight = []
        self._resume = []  # the same, from before the connection broke
        self._now = self._down_since = self._up_at = self._sent = self.due = 0
        # Why there is no network, as it was said last; and who has the node leave.
        self._no_network = self._leaving = None
        self._retry_at = backoff.resume_ms()  # a reset starts no storm
        self._cause = None  # what began the outage
        # Of the last connections, in a row: were up for a moment only; were closed by the broker
        # before it was sure that nobody else wants the id; were closed instead of CONNACK.
        # And what the broker refuses if it does greet the next CONNECT. See causes.py.
        self._past = [0, 0, 0, None]
        self._starved = 0  # packets without heap for them, since the last connection
        self._early = 0  # connections that ended with something in flight, since the last batch
        self._suspect = None  # see blame.py
        self._alarm = alarm
        # In this connection, 1: the birth has come back; 2: for long there was no other.
        self._trust = 0
        self._reached = None  # the last state of the client but `down`
        # Whether Readings wait until the broker is known to pass on what it takes; whether it has
        # let the node in; and the sources that may be pulled from.
        self.hold = self.up = self.stopped = False
        self.pulled = sources
        client.on_up = self._on_up
        client.on_down = self._on_ended
        client.on_ack = self._on_ack
        client.on_state = self._on_state
        client.on_refused = lambda *what: log("link", "refused topic=%s code=%d" % what)

    def run(self, now):
        """Do what can be done without waiting."""
        self._now = now
        try:
            self._run(now)
        except MemoryError:
            self._not_now(now)

    def _not_now(self, now):
        """There was no heap for a packet: the next batch is smaller. If that goes on, another
        connection may do better, or recovery knows what to do; so if it has come between the
        client and the Link.
        """
        client = self._client
        self._starved += 1
        for source in self.sources:
            if hasattr(source, "cut"):
                source.cut(None, 0)
        if self._resume or self._starved > _STARVED or (client.state == "up") != self.up:
            client.abort()
            client.clean_session = True  # it may not be the same Message that comes again
            self._on_down("memory")
        self.due = now + _STARVED_MS

    def _run(self, now):
        client = self._client
        cause = self._network.cause
        if cause != self._no_network:
            self._no_network = cause
            self._log("wifi", "down cause=" + cause if cause else "up")
            self._clock.due = 0  # time servers are asked accordingly
        if cause:
            self.due = None  # until there is one, which is run when it finds out
            if client.state != "down":
                client.abort()
                self._on_down(cause)
            if self._leaving:
                self._leaving.run(now, False)
                self.due = now + 1
            return
        if client.state == "down" and now >= self._retry_at and not self._leaving:
            self._connect(now)
        due = False
        status = self._status
        client.step(now)
        if status.echo_by is not None:
            # The client reads then, before the birth counts as unheard.
            client.due = min(client.due, status.echo_by)
            cause = not client.unread and status.unheard(now)
            if cause:
                client.abort()
                self._on_down(cause)
                client.clean_session = True  # SUBSCRIBE alone does not always bring it back
        if self.up:
            if self._trust == 1 and now - self._up_at >= _FIGHT_MS:
                self._trust = 2
                self._past[_THROWN] = status.rivals = 0
                self._alarm(_TAKEN, False)
            # And acknowledged, which some brokers do behind it: blame.py asks what comes first.
            elif not self._trust and status.heard and not status.flying:
                self._trust = 1
                self.pulled = self.sources
                self._alarm(_DENIED, False)
            due = self._pump()
        # What has come was made use of here; what it has left is for the next turn.
        due = now if due or client.unread or client.due is None else client.due
        if client.state == "down":
            due = self._retry_at
        if self._leaving:
            self._leaving.run(now, self._in_flight or self._resume)
            due = min(due, self._leaving.due)
        self.due = max(due, now + 1)  # for what can go on at once

    def overdue(self, now):
        """Whether a state has outlived its deadline, or a try that was due was not made. Right
        after `step`, only a bug can bring that about.
        """
        if self._client.state != "down":
            return self._client.overdue(now)
        return not self._network.cause and now - self._retry_at > _LATE_MS

    def stop(self, now, reason):
        """Begin to leave: what is queued first, the goodbye last. `stopped` tells the end."""
        try:
            from node.session.leaving import Leaving

            self._leaving = Leaving(self, self._client, now, reason)
        except Exception:  # noqa: BLE001 - no heap or no flash for it
            self.stopped = True  # the will says what the goodbye cannot
        self.due = now

    # -- coming ------------------------------------------------------------------------------------

    def _connect(self, now):
        if not self._clock.sync():
            self._retry_at = now + _CLOCK_LOOK_MS
            return
        client, past = self._client, self._past
        client.clean_session = client.clean_session or past[_SHORT] >= _MANY
        will = self._status.will()
        # Brokers close without a word for a will that they cannot keep: which is it?
        probe = past[_PROBE]
        qos = 0 if past[_MUTE] > _MANY else min(will.qos, client.max_qos)
        client.set_last_will(will.topic, will.payload, client.retains and not probe, qos)
        client.start(now)

    def _on_state(self, state):
        if state != "down":
            self._reached = state
            if state != "up":
                self._log("link", state)

    def _on_up(self, session_present):
        client, status = self._client, self._status
        if not session_present:
            self._resume = []
            status.unacked = None
        if self._past[_PROBE]:
            client.abort()
            self._on_down(self._past[_PROBE])
            return
        self.up = True
        now = self._up_at = self._now
        self._trust = 0
        # Status, Responses and alerts say why the rest waits.
        self.pulled = self.sources[: _SURE if self.hold else None]
        outage = self._cause and {"s": (now - self._down_since) // 1000, "cause": self._cause}
        self._cause = None
        self._log(
            "link",
            "up session=%d present=%d handshake_ms=%d"
            % (status.session, session_present, client.handshake_took_ms),
        )
        for source in self.sources:
            if hasattr(source, "began"):
                source.began(session_present, self._early)
        client.clean_session = not self._keeps_session  # a clean start was for once
        client.window = 1 if self._early >= _MANY_EARLY else self._bearable_window()
        self._recovery.up(now, outage)
        status.up(now, outage)

    def _on_down(self, cause):
        now = self._now
        up_ms = None
        if self.up:
            up_ms = now - self._up_at
            self._backoff.rested(up_ms)
            self.up = False
            self._down_since = now
            self._network.due = 0  # without one, looking a name up would block
        kind = "network"
        try:
            from node.session.causes import judged

            cause, kind = judged(self, cause, up_ms)
        except Exception:  # noqa: BLE001 - no heap or no flash for it: it is what it is called
            pass
        unimport("node.session.causes", "transport_causes")
        self._starved = 0
        if self._cause is None:
            self._cause = cause
        self._downs[cause] = self._downs.get(cause, 0) + 1
        # A birth goes out before what is to come again, but was first sent after it.
        self._resume = sorted(self._in_flight + self._resume)
        self._in_flight = []
        for source in self.sources:
            source.rewind()
        retry_ms = self._backoff.next_ms(kind)
        self._retry_at = now + retry_ms
        self._recovery.down(now, cause)
        self._clock.failed(cause)
        self._log("link", "down cause=%s retry_ms=%d" % (cause, retry_ms))
        if cause in (_TAKEN, _DENIED):
            self._alarm(cause, True)

    def _on_ended(self, cause):
        """The network or the broker has ended it. After a few ends before all was delivered,
        Messages go one at a time: which one it is that does not get through shows then.
        """
        held = self._in_flight
        if self.up and held and held[0][_SOURCE] is not self._status:
            self._early += 1
            if self._early > _MANY_EARLY:
                try:
                    from node.session.blame import blamed

                    cause = blamed(self, cause, *held[0][_SOURCE:])
                except Exception:  # noqa: BLE001 - no heap or no flash for it: the next end tells
                    pass
                unimport("node.session.blame")
        self._on_down(cause)

    def _bearable_window(self):
        """How many Messages may be in flight: without room for its packets Wi-Fi stands still."""
        heap, window = self._idf_heap(), self._window
        return max(1, min(window, (heap[0] - _WIFI) // _ANSWER)) if heap else window

    # -- sending -----------------------------------------------------------------------------------

    def _pump(self):
        """Send what the client takes: the birth, then what was in flight, then what waits. Returns
        whether there may be more.
        """
        left = _AT_ONCE
        said = self._leaving and self._leaving.said
        if self._resume or self._leaving:
            while left and self._client.room() and self._send_first(said):
                left -= 1
            if said or not left:  # the goodbye is the last word
                return not left
        # In one go: what is sent makes nothing ready that is more urgent.
        for source in self.pulled:
            while source.ready and self._client.room() and self._send_from(source):
                left -= 1
                if not left:
                    return True
        return False

    def _send_first(self, said):
        status = self._status
        if not status.unacked and self._send_from(status):
            return True
        return not said and self._send_again()

    def _send_again(self):
        held, at = self._resume, 0
        while at < len(held):
            first, packet_id, source, key, _ = held[at]
            if source not in self.pulled:
                at += 1  # a Reading, and the birth has not come back yet
                continue
            found = source.peek(self._now) if source.ready else None
            again = found and found[0] == key
            if again and not self._send(source, found, packet_id, first):
                return False
            held.pop(at)
            if again:  # else the Outbox's bound has taken it in the meantime
                return True
        return False

    def _send_from(self, source):
        found = source.peek(self._now) if source.ready else None
        suspect = self._suspect
        if suspect and found and suspect == [source, found[0], _ASIDE]:
            source.sent(found[0])  # it is passed over
            return self._send_from(source)
        return found and self._send(source, found)

    def _send(self, source, found, packet_id=0, first=0):
        key, message = found
        packet_id = self._client.send(*message, packet_id)
        if packet_id is None:
            return False
        if packet_id:
            self._sent += 1
            size = len(message.payload)
            self._in_flight.append((first or self._sent, packet_id, source, key, size))
        source.sent(key)
        if not packet_id:
            source.done(key)
        return True

    def _on_ack(self, packet_id):
        for each in self._in_flight:
            if each[_ID] == packet_id:
                _, _, source, key, _ = each
                self._in_flight.remove(each)
                source.done(key)
                if not getattr(source, "carried", True):
                    return  # it was short, and proves nothing for the others of its source
                if self._early and hasattr(source, "cut"):  # a batch, the longest there is
                    self._early = 0
                    self._client.window = self._bearable_window()
                suspect = self._suspect
                if suspect and suspect[_SUSPECT_SOURCE] is source:
                    if suspect[_SUSPECT_TIMES] == _ASIDE:
                        suspect[_SUSPECT_TIMES] += 1  # the way carries others: once more
                        source.rewind()
                    elif suspect[_SUSPECT_TIMES] < _ASIDE or suspect[_SUSPECT_KEY] == key:
                        self._suspect = None
                return
