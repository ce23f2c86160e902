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
# Another node with this id: each comes back within its back-off and throws the other out. By this
# time up, nobody else wants the id any more.
_FIGHT_MS = const(900000)
_LATE_MS = const(60000)  # the next step connects, whatever else it may have waited for
_STARVED_MS = const(1000)  # after a packet that there was no heap for
_STARVED = const(60)  # of them in one connection
_SURE = const(3)  # of the sources, before the birth has come back: Readings are not among them
_AT_ONCE = const(16)  # Messages in one step, so that it stays within its time budget
# Of the chip's own heap, with MicroPython 1.23 to 1.27: what Wi-Fi needs while up, and what each
# answer takes until it is read.
_WIFI = const(6 * 1024)
_ANSWER = const(2 * 1024)
_MANY_EARLY = const(3)  # see blame.py


class _Flight:
    """A Message of QoS 1 from when it is sent until it is acknowledged, over several connections if
    need be: `key` of `source`, in a packet of `size` bytes. Four fields: a fifth would take 16
    bytes of heap more for each.
    """

    _id = 0  # of its packet; these count up, and wrap


class _Connection:
    """What is true of one connection only, from the try on, and dropped with it."""

    state = None  # the last state of the client but `down`
    up_at = None  # since when the broker has let the node in; None: not yet
    # When it is sure that no other node has this id, and from then on again; 0: the birth has not
    # come back.
    trust_at = 0
    starved = 0  # packets without heap for them
    pulled = ()  # the sources that may be pulled from

    def __init__(self):
        self._flights = {}  # packet id -> _Flight


class Link:
    """A part (see message.py), which is also run when the broker has said something, and whenever
    another part was: it looks at the sources then. `sources` in order of urgency; the first is the
    status (see node/reporting/status.py).

    `hold`        whether Readings wait until the broker is known to pass on what it takes
    `stopped`     it has left, and is not to be run any more
    `alarm`       called with (alert, raised): tells whom it concerns
    `connection`  the one there is, or is to come next, see above
    """

    def __init__(self, client, board, sources, recovery, log):
        """`board.network.cause` is None while there is a network, `board.idf_heap()` tells whether
        TLS has room; `board.clock.sync()` is called ahead of each try, and False puts it off a
        moment, `board.clock.failed(cause)` after it. `recovery` is told of `up` and `down`, and
        says when to try again.
        """
        from node.session.causes import Past

        self.past = Past()  # what is known of connections before
        self.client = client
        self._window = client.window
        self._keeps_session = not client.clean_session
        self.board = board
        self.sources = sources
        self.status = sources[0]
        self._recovery = recovery
        self._log = log
        self.alarm = None
        self._resume = []  # flights from before the connection broke, in the order of sending
        self._spare = []  # flights that have arrived: the next are written over them
        self._now = self.due = 0
        # Why there is no network, as it was said last; and who has the node leave.
        self._no_network = self._leaving = None
        self._retry_at = recovery.backoff.resume_ms()  # a reset starts no storm
        self._suspect = None  # see blame.py; None: all that was sent lately has got through
        self.hold = self.stopped = False
        self.connection = _Connection()
        client.owner = self

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
        client, connection = self.client, self.connection
        connection.starved += 1
        for source in self.sources:
            if hasattr(source, "cut"):
                source.cut(None, 0)
        between = (client.state == "up") == (connection.up_at is None)
        if between or self._resume or connection.starved > _STARVED:
            self._give_up("memory")  # it may not be the same Message that comes again
        self.due = now + _STARVED_MS

    def _give_up(self, cause):
        """This connection, and its session."""
        self.client.abort()
        self.client.clean_session = True
        self._down(cause)  # which may turn to another broker

    def _run(self, now):
        # What is rare lies in methods of its own: with it the frame would have more than the 11
        # words that fit on the stack, and be looked for in the heap, 5 k instructions.
        client = self.client
        cause = self.board.network.cause
        if cause or self._no_network:
            self._look(cause, now)
            if cause:
                return
        if client.state == "down" and now >= self._retry_at and not self._leaving:
            self._connect(now)
        client.step(now)
        connection = self.connection
        if now >= connection.trust_at or self.status.echo_by is not None:
            self._listen(now)
            connection = self.connection
        more = connection.up_at is not None and self._pump(connection)
        # What has come was made use of here; what it has left is for the next turn.
        due = now if more or client.unread or client.due is None else client.due
        if client.state == "down":
            due = self._retry_at
        if self._leaving:
            self._leaving.run(now, connection._flights or self._resume)
            due = min(due, self._leaving.due)
        self.due = due if due > now else now + 1  # for what can go on at once

    def _look(self, cause, now):
        """There is no network, for `cause`, or there was none."""
        if cause != self._no_network:
            self._no_network = cause
            self._log("wifi", "down cause=" + cause if cause else "up")
            self.board.clock.due = 0  # time servers are asked accordingly
        if cause:
            self.due = None  # until there is one, which is run when it finds out
            if self.client.state != "down":
                self.client.abort()
                self._down(cause)
            if self._leaving:
                self._leaving.run(now, False)
                self.due = now + 1

    def _listen(self, now):
        """What the birth that is to come back says of the broker, or that it has not."""
        client, status = self.client, self.status
        if status.echo_by is not None:
            # The client reads then, before the birth counts as unheard.
            client.due = min(client.due, status.echo_by)
            cause = not client.unread and status.unheard(now)
            if cause:
                self._give_up(cause)  # SUBSCRIBE alone does not always bring it back
        connection = self.connection
        if connection.up_at is None:
            return
        if connection.trust_at:
            if now >= connection.trust_at:
                connection.trust_at = now + _FIGHT_MS
                status.rivals = 0
                self.alarm(_TAKEN, False)
        # And acknowledged, which some brokers do behind it: blame.py asks what comes first.
        elif status.connection.heard and not status.connection.flying:
            connection.trust_at = connection.up_at + _FIGHT_MS
            connection.pulled = self.sources
            self.alarm(_DENIED, False)

    def overdue(self, now):
        """Whether a state has outlived its deadline, or a try that was due was not made: none is
        while it leaves. Right after `step`, only a bug can bring that about.
        """
        if self.client.state != "down":
            return self.client.overdue(now)
        idle = self.board.network.cause or self._leaving
        return not idle and now - self._retry_at > _LATE_MS

    def stop(self, now, reason):
        """Begin to leave: what is queued first, the goodbye last. `stopped` tells the end."""
        try:
            from node.session.leaving import Leaving

            self._leaving = Leaving(self, self.client, now, reason)
        except Exception:  # noqa: BLE001 - no heap or no flash for it
            self.stopped = True  # the will says what the goodbye cannot
        self.due = now

    # -- coming ------------------------------------------------------------------------------------

    def _connect(self, now):
        if not self.board.clock.sync():
            self._retry_at = now + _CLOCK_LOOK_MS
            return
        client, past, status = self.client, self.past, self.status
        # Brokers close without a word for a will that they cannot keep: which is it?
        qos = min(past.qos, client.max_qos)
        client.set_last_will(status.topic, status.will(), client.retains and not past.cause, qos)
        client.start(now)

    def on_state(self, state):
        """The client has entered `state`."""
        if state != "down":
            self.connection.state = state
            if state != "up":
                self._log("link", state)

    def on_up(self, session_present):
        """The broker has let the node in."""
        client, status, probe = self.client, self.status, self.past.cause
        connection, early = self.connection, self._suspect.early if self._suspect else 0
        if not session_present:
            self._resume = []
            status.unacked = None  # what waits is the next birth
        if probe:
            client.abort()
            self._down(probe)
            return
        unimport("mqtt_connect")
        now = connection.up_at = self._now
        # Status, Responses and alerts say why the rest waits.
        connection.pulled = self.sources[: _SURE if self.hold else None]
        self._log(
            "link",
            "up session=%d present=%d handshake_ms=%d"
            % (status.session, session_present, client.handshake_took_ms),
        )
        for source in self.sources:
            if hasattr(source, "began"):
                source.began(session_present, early > 0, early >= _MANY_EARLY)
        client.clean_session = not self._keeps_session  # a clean start was for once
        self._widen(early >= _MANY_EARLY)
        status.up(now, self._recovery.up(now))

    def on_down(self, cause):
        """The network or the broker has ended it. After a few ends before all was delivered,
        Messages go one at a time: which one it is that does not get through shows then.
        """
        connection = self.connection
        # With its birth acknowledged: which one it was cannot be told before.
        if connection._flights and not self.status.connection.flying:
            try:
                from node.session.blame import Suspect

                self._suspect = self._suspect or Suspect()
                cause = self._suspect.blamed(self.client, connection._flights, cause)
            except Exception:  # noqa: BLE001 - no heap or no flash for it: the next end tells
                pass
        self._down(cause)

    def _down(self, cause):
        now, connection = self._now, self.connection
        if connection.up_at is not None:
            self.board.network.due = 0  # without one, looking a name up would block
        kind = "network"
        try:
            from node.session.causes import judged

            cause, kind = judged(self, self.past, cause, now)
        except Exception:  # noqa: BLE001 - no heap or no flash for it: it is what it is called
            pass
        unimport("node.session.causes", "transport_causes")
        # In the order in which they were sent first: a birth goes out before what is to come again.
        self._resume.extend(connection._flights.values())
        last = self.client.pid
        self._resume.sort(key=lambda flight: (flight._id - last - 1) % 65535)
        self.connection = _Connection()
        for source in self.sources:
            source.rewind()
        retry_ms = self._recovery.down(now, cause, kind)
        self._retry_at = now + retry_ms
        self.board.clock.failed(cause)
        self._log("link", "down cause=%s retry_ms=%d" % (cause, retry_ms))
        if cause in (_TAKEN, _DENIED):
            self.alarm(cause, True)

    def _widen(self, doubtful):
        """Let so many Messages be in flight as Wi-Fi has room for; one, if it is `doubtful`."""
        heap, window = self.board.idf_heap(), self._window
        if heap:  # without room for its packets Wi-Fi stands still
            window = max(1, min(window, (heap[0] - _WIFI) // _ANSWER))
        self.client.window = 1 if doubtful else window

    # -- sending -----------------------------------------------------------------------------------

    def _pump(self, connection):
        """Send what the client takes: the birth, then what was in flight, then what waits. Returns
        whether there may be more.
        """
        left = _AT_ONCE
        if self._resume or self._leaving:
            while left and self.client.room() and self._send_first():
                left -= 1
            if not left or (self._leaving and self._leaving.said):  # the goodbye is the last word
                return not left
        # In one go: what is sent makes nothing ready that is more urgent.
        for source in connection.pulled:
            while source.ready and self.client.room():
                self._send_from(source)
                left -= 1
                if not left:
                    return True
        return False

    def _send_first(self):
        status, leaving = self.status, self._leaving
        if status.ready and not status.unacked:
            return self._send_from(status)
        return not (leaving and leaving.said) and self._send_again()

    def _send_again(self):
        held, at = self._resume, 0
        while at < len(held):
            flight = held[at]
            source = flight.source
            if source not in self.connection.pulled:
                at += 1  # a Reading, and the birth has not come back yet
                continue
            if source.ready and source.peek(self._now) == flight.key:
                self._send(flight)
                held.pop(at)
                return True
            held.pop(at)  # the Outbox's bound has taken it in the meantime
        return False

    def _send_from(self, source):
        key = source.peek(self._now)
        suspect = self._suspect
        if suspect and suspect.is_aside(source, key):
            source.sent(key)  # it is passed over
            return source.ready and self._send_from(source)
        flight = self._spare.pop() if self._spare else _Flight()
        flight._id = 0
        flight.source = source
        flight.key = key
        self._send(flight)
        return True

    def _send(self, flight):
        # There is room: whoever calls this has asked.
        source = flight.source
        packet = self.client.begin(source.topic, source.qos, source is self.status, flight._id)
        source.write(packet)
        packet_id = self.client.finish()
        if packet_id:
            flight._id = packet_id
            flight.size = len(packet)
            self.connection._flights[packet_id] = flight
        source.sent(flight.key)
        if not packet_id:
            source.done(flight.key)
            self._spare.append(flight)

    def on_refused(self, topic, code):
        """The broker does not let the node subscribe."""
        self._log("link", "refused topic=%s code=%d" % (topic, code))

    def on_ack(self, packet_id):
        """A Message has arrived."""
        flight = self.connection._flights.pop(packet_id, None)
        if flight is None:
            return
        source = flight.source
        source.done(flight.key)
        suspect = self._suspect
        if suspect and suspect.carried(flight):
            self._widen(False)
            if not suspect.source:
                self._suspect = None
                unimport("node.session.blame")
        self._spare.append(flight)
