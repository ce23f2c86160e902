"""An MQTT 3.1.1 client that never blocks: `umqtt.robust.MQTTClient`, with a floor put under it.

The caller owns the loop, the time and the sleep. `now` is a monotonic count of milliseconds that
does not wrap:

    client = MQTTClient("node-1", "broker.example", ssl=tls_context(ca, cert, key), keepalive=60)
    client.on_message = lambda topic, payload, retained, dup: print(topic, payload)
    client.subscribe("home/node-1/commands", 1)
    client.start(now())
    while True:
        client.wait(client.step(now()))

What umqtt does right is inherited (its constructor, its will) and costs nothing on firmware that
has umqtt frozen. Its encoders write to a socket, piece by piece: mqtt_packets.py makes a packet one
write, hence one TLS record. Works over umqtt.simple 1.3.4 to 1.8 and umqtt.robust 1.0 to 1.0.3.

It does not reconnect (whoever calls `start` decides when), keeps no payload for sending it again
(only the caller knows whether it is still worth it; see `send`), does not publish with QoS 2, and
takes no packet longer than `max_packet`, or than the heap has room for: such a PUBLISH is
acknowledged, counted in `oversized`, and its front goes to `on_oversized`; whatever else is too
long ends the connection.
"""

from struct import pack

from micropython import const
from mqtt_packets import Malformed, Reader, connect, publish, subscribe
from transport import Transport, TransportError
from umqtt import robust

# As the caller sees them in `state`.
_DOWN = const("down")
_RESOLVING = const("resolving")
_CONNECTING = const("connecting")
_SECURING = const("securing")
_GREETING = const("greeting")
_UP = const("up")
_LEAVING = const("leaving")

# First bytes of packets: section 2.2 of MQTT 3.1.1.
_CONNACK = const(0x20)
_PUBLISH = const(0x30)
_PUBACK = const(0x40)
_PUBREC = const(0x50)
_PUBREL = const(0x62)
_PUBCOMP = const(0x70)
_SUBACK = const(0x90)
_PINGRESP = const(0xD0)
_THROWN_OUT = const(0xE0)  # DISCONNECT

_PINGREQ = const(b"\xc0\0")
_DISCONNECT = const(b"\xe0\0")

_IDLE_MS = const(60000)  # a step with nothing to do asks to be called again this late
_RETRY_SUBSCRIBE_MS = const(60000)
# In case TLS wants to write: while securing, only what comes in is waited for.
_HANDSHAKE_LOOK_MS = const(1000)
_LEAVE_MS = const(1000)  # for the broker to close after DISCONNECT
_MAX_REPLIES = const(16)  # answers that wait to be written; while there are more, nothing is read
_MAX_READS = const(8)  # so that a flood cannot keep one step busy for longer than its time budget
# While there is something to read, an answer that is overdue may lie behind it: so many steps long,
# each with a PUBLISH or 16 KB. More than that no buffer on the way to a chip holds: it is a flood.
_MAX_UNREAD = const(250)
_MAX_RESUMABLE = const(64)  # packet ids; twice the largest window
_MAX_QOS2 = const(32)  # QoS 2 messages received but not yet released by the broker
_USUAL = const(256)  # bytes; a payload below that is sent without asking the heap for anything

# CONNACK return codes, MQTT 3.1.1 section 3.2.2.3
_REFUSALS = (None, "protocol-version", "client-id", "unavailable", "credentials", "not-authorized")


def _ignore(*_):
    pass


class MQTTClient(robust.MQTTClient):
    """The one state machine between a program and its broker.

    Takes umqtt's arguments. `ssl` is an SSLContext (see tls_context.py) or None for plain
    TCP; `ssl_params["server_hostname"]` is the name to verify, `server` if absent. And its own:

    window: QoS 1 messages in flight at once, 1 to 32.
    handshake_ms: one budget for the whole TLS handshake, however many reads it takes.
    clean_session: as in umqtt's connect(), but false: what the broker has queued is wanted. May be
    changed later.
    max_qos, retains: what the broker can do; what is sent, and the will, asks for no more.
    answer_ms: how long TCP, CONNACK, PUBACK, SUBACK and PINGRESP may each stay away.
    max_packet: bytes; a buffer of this size is allocated once and is all that the network can make
    it use.

    Callbacks, to be set by the caller; each is called from within `step`: on_up(session_present),
    on_down(cause), on_ack(packet_id), on_message(topic, payload, retained, dup), on_state(state),
    on_oversized(topic, front or None, retained, dup), on_refused(topic, code): a subscription.
    """

    def __init__(
        self,
        client_id,
        server,
        port=0,
        user=None,
        password=None,
        keepalive=60,
        ssl=None,
        ssl_params={},  # noqa: B006 - umqtt's own default; it is read, never written
        window=8,
        handshake_ms=60000,
        answer_ms=20000,
        max_packet=2048,
        clean_session=False,
        max_qos=2,
        retains=True,
    ):
        port = port or (8883 if ssl else 1883)
        super().__init__(client_id, server, port, user, password, keepalive)
        self.ssl = ssl
        self.ssl_params = ssl_params  # umqtt.simple 1.4 and 1.5 do not take it
        self.window = window
        self.handshake_ms = handshake_ms
        self.answer_ms = answer_ms
        self.clean_session = clean_session
        self.max_qos = max_qos
        self.retains = retains
        self.on_up = self.on_down = self.on_ack = self.on_message = self.on_state = _ignore
        self.on_oversized = self.on_refused = _ignore
        self.state = _DOWN
        self.oversized = self.refused_subscriptions = 0  # counters, since boot
        self.handshake_took_ms = self.ping_took_ms = None  # the last ones, None before the first
        self._transport = Transport()
        self._received = set()  # packet ids of QoS 2 messages handed over and not yet released
        self._now = 0
        # [topic, qos, packet id of the SUBSCRIBE in flight or 0, its deadline or when to try again]
        self._subscriptions = []
        self._reader = Reader(max_packet)
        self._packet = bytearray(_USUAL)
        self._in_flight = {}  # packet ids, and when their PUBACKs are due
        self._resumable = []  # packet ids of the session that its messages may be sent again under
        self._forget()

    def _forget(self):
        """What is true of one connection only. Packet ids outlive it, if the session does."""
        self._resumable = (list(self._in_flight) + self._resumable)[:_MAX_RESUMABLE]
        self._in_flight = {}
        self._reader.clear()
        self._out = []  # packets to be written; the first may be known to TLS and must not change
        self._failure = None
        self.unread = 0  # steps in a row that have left something that has come unread
        self._deadline = None  # of the state
        self._ping_sent = None
        self._heard = self._spoke = 0  # when a byte last came in, and when a packet last went out

    # -- what the caller calls ---------------------------------------------------------------------

    def subscribe(self, topic, qos=0):
        """Subscribe to `topic` now, if up, and again at every connect. A refusal (0x80, or another
        code above 2) is told, counted and retried.
        """
        self._subscriptions.append([topic, qos, 0, 0])

    def start(self, now):
        """Begin to connect. `will` and `clean_session` are taken as they are set now."""
        self._forget()
        self._now = now
        self._enter(_RESOLVING, None)

    def step(self, now):
        """Do what can be done without waiting. Returns the milliseconds after which to call again,
        at the latest.
        """
        self._now = now
        if self.state == _DOWN:
            return _IDLE_MS
        try:
            if self._failure:
                raise self._failure
            wake = _STEPS[self.state](self)
            if self._failure:
                return 0
            # Not before: the answer may have come, and lie unread, while the caller was busy.
            deadline = self._deadline
            if deadline is None:
                return wake
            if now >= deadline:
                raise TransportError(_TIMEOUTS[self.state])
            return min(wake, deadline - now)
        except (TransportError, Malformed) as error:
            if self.state == _CONNECTING and self._transport.addresses:
                self._enter(_CONNECTING, None)  # the next address, with a deadline of its own
                return 0
            cause = (self._failure or error).cause
            if self.state == _UP and cause == "tls-refused":
                cause = "tls-broken"  # whoever was let in is not refused
            told = self.state != _LEAVING
            self.abort()
            if told:
                self.on_down(cause)
            return 0

    def wait(self, real_ms):
        """Sleep for `real_ms` at most; less, if the broker has something to say."""
        self._transport.wait(real_ms, len(self._out) > 0 and self.state != _SECURING)

    def send(self, topic, payload, qos=0, retain=False, packet_id=0):
        """Publish. Returns the packet id (0 for QoS 0), or None: not up, window full, or the last
        packet not yet gone.

        With QoS 1, `on_ack(packet_id)` tells when it has arrived. After `on_down` it is up to the
        caller to send again; where the next `on_up` says that the session was present, with the old
        `packet_id`, which sets DUP (MQTT 3.1.1 section 4.4).
        """
        qos = min(qos, self.max_qos)
        if self.state != _UP or self._out or (qos and len(self._in_flight) >= self.window):
            return None
        first = _PUBLISH | qos << 1 | (retain and self.retains)
        if not qos:
            packet_id = 0
        elif packet_id:
            first |= 0x08
        else:
            packet_id = self._next_id()
        # Nothing waits to be written: whatever was in `_packet` has gone.
        packet = self._packet if len(payload) < _USUAL else bytearray()
        publish(packet, first, topic, packet_id, payload)
        if qos:
            if packet_id in self._resumable:
                self._resumable.remove(packet_id)
            due = self._now + self.answer_ms
            if not self._in_flight:
                self._puback_due = due  # none is due before
            self._in_flight[packet_id] = due
        self._out.append(packet)
        self._flush()
        return packet_id

    def room(self):
        """Whether `send` would take a QoS 1 message now."""
        return self.state == _UP and not self._out and len(self._in_flight) < self.window

    def stop(self, now):
        """DISCONNECT, so that the broker drops the will, and close once it has: state `down` tells.
        `on_down` is not called.
        """
        self._now = now
        if self.state == _UP:
            # Whoever closes with bytes unread resets the connection, and a reset overtakes what was
            # sent last: so it is the broker that closes, as it must (MQTT 3.1.1 section 3.14.4).
            self._enter(_LEAVING, _LEAVE_MS)
            self._out.append(_DISCONNECT)
            self._flush()
        else:
            self.abort()

    def abort(self):
        """Close without DISCONNECT, so that the will speaks. `on_down` is not called."""
        self._transport.close()
        self._forget()
        self._enter(_DOWN, None)

    def overdue(self, now):
        """Whether `step` has missed its own deadlines: a bug, as no network can bring it about."""
        if self.state == _UP:
            return self.keepalive and now - self._heard > self.keepalive * 1000 + self.answer_ms
        return self.state != _DOWN and now - self._entered > self.handshake_ms + self.answer_ms

    # -- the states --------------------------------------------------------------------------------

    def _enter(self, state, allowed_ms):
        self.state = state
        self._entered = self._now
        self._deadline = None if allowed_ms is None else self._now + allowed_ms
        self.on_state(state)

    def _resolve(self):
        self._transport.resolve(self.server, self.port)
        # DNS has taken its time: the budget starts with the next step.
        self._enter(_CONNECTING, None)
        return 0

    def _connect(self):
        if self._deadline is None:
            self._deadline = self._now + self.answer_ms
            self._transport.open()
        if not self._transport.opened():
            return _IDLE_MS
        will = self.lw_topic and (self.lw_topic, self.lw_msg, self.lw_qos, self.lw_retain)
        login = self.user, self.pswd
        self._out.append(connect(self.client_id, self.keepalive, self.clean_session, will, login))
        self._secured_from = self._now
        self._enter(_SECURING, self.handshake_ms)
        if self.ssl:
            self._transport.secure(self.ssl, self.ssl_params.get("server_hostname", self.server))
        return 0

    def _secure(self):
        if not self._flush():
            return _HANDSHAKE_LOOK_MS
        self._enter(_GREETING, self.answer_ms)
        return 0

    def _greet(self):
        if self._secured_from is not None:
            # Not a step sooner: on a chip, the handshake ends with a second of arithmetic.
            self.handshake_took_ms = self._now - self._secured_from
            self._secured_from = None
        return 0 if self._read() else _IDLE_MS

    def _serve(self):
        if self._out:
            self._flush()
        heard = len(self._out) < _MAX_REPLIES and self._read()
        if not heard:
            self.unread = 0
        if self.state != _UP:
            return 0
        wake = self._watch()
        if self._out:
            self._flush()
        return 0 if heard else wake  # what came in may have given the caller something to do

    def _leave(self):
        if self._flush():
            self._reader.clear()
            if self._reader.fill(self._transport):
                return 0
        return _IDLE_MS

    # -- deadlines while up ------------------------------------------------------------------------

    def _watch(self):
        """Ping when either side has been silent for half the keepalive; give up when an answer
        stays away.
        """
        now = self._now
        wake = self._subscribe_again()
        if self._in_flight:
            if now >= self._puback_due:  # it was that of one which has come since
                self._puback_due = min(self._in_flight.values())
            wake = self._until(self._puback_due, "puback-timeout", wake)
        if self._ping_sent is not None:
            wake = self._until(self._ping_sent + self.answer_ms, "ping-timeout", wake)
        elif self.keepalive:
            due = min(self._heard, self._spoke) + self.keepalive * 500
            if now >= due:
                self._ping_sent = now
                self._out.append(_PINGREQ)
                due = now + self.answer_ms
            wake = min(wake, due)
        return max(wake - now, 0)

    def _until(self, deadline, cause, wake):
        if self._now >= deadline and not self.unread:
            raise TransportError(cause)
        return min(deadline, wake)

    def _subscribe_again(self):
        """SUBSCRIBE where it is due. Returns when to look again."""
        wake = self._now + _IDLE_MS
        for each in self._subscriptions:
            if each[3] is None:
                continue
            if each[2]:
                wake = self._until(each[3], "suback-timeout", wake)
            elif self._now >= each[3]:
                each[2] = self._next_id()
                each[3] = self._now + self.answer_ms
                self._out.append(subscribe(each[2], each[0], each[1]))
            wake = min(wake, each[3])
        return wake

    # -- writing -----------------------------------------------------------------------------------

    def _flush(self):
        """Write what the transport takes, one packet with one write: one TLS record. Returns
        whether all has gone. A failure is told of by `step`, and in no callback from `send`.
        """
        out = self._out
        try:
            while out:
                taken = self._transport.write(out[0])
                if taken is None:
                    return False
                self._spoke = self._now
                if taken < len(out[0]):
                    # A new buffer: the transport has none of it yet, so it may change.
                    out[0] = out[0][taken:]
                else:
                    out.pop(0)
        except TransportError as error:
            self._failure = error
            return False
        return True

    def _next_id(self):
        """1 to 65535, wrapping, and none that is in flight, be it since the last connection (MQTT
        3.1.1 section 2.3.1).
        """
        while True:
            self.pid = packet_id = self.pid % 65535 + 1
            if packet_id in self._in_flight or packet_id in self._resumable:
                continue
            for each in self._subscriptions:
                if each[2] == packet_id:
                    break
            else:
                return packet_id

    # -- reading -----------------------------------------------------------------------------------

    def _read(self):
        """Take in what has come, up to a step's share of it. Returns whether anything has.

        A PUBLISH ends the step: handling it may have taken the caller long.
        """
        reader = self._reader
        self.unread = (self.unread + 1) % _MAX_UNREAD
        for done in range(_MAX_READS):
            # What the step before has left in the buffer comes first.
            if self._handle() or self.state == _DOWN or len(self._out) >= _MAX_REPLIES:
                break
            if reader.fill(self._transport) is None:
                self.unread = 0
                return done > 0
            self._heard = self._now
        return True

    def _handle(self):
        """Handle what is whole in the buffer, as long as the answers to it can be written, up to
        the first PUBLISH. Returns whether there was one.
        """
        reader = self._reader
        while not self._out or len(self._out) < _MAX_REPLIES or self._flush():
            first = reader.packet()
            if first is None:
                return False
            if first == _THROWN_OUT:
                raise TransportError("closed")
            if (self.state == _GREETING) != (first == _CONNACK):
                raise Malformed
            if first == _PINGRESP:
                if self._ping_sent is not None:
                    self.ping_took_ms = self._now - self._ping_sent
                    self._ping_sent = None
                continue
            number = reader.number(reader.body)
            if first == _PUBACK:
                # Else late, twice or never asked for: nothing to do.
                if self._in_flight.pop(number, None) is not None:
                    self.on_ack(number)
            elif first == _CONNACK:
                self._connack(number)
            elif first == _PUBREL:
                self._received.discard(number)
                self._reply(_PUBCOMP, number)
            elif first == _SUBACK:
                self._suback(number, reader.buffer[reader.body + 2])
            else:
                self._publish(first)
                return True
        return False

    def _connack(self, answer):
        code = answer & 255
        if code:
            raise TransportError(_REFUSALS[code] if code < len(_REFUSALS) else "protocol")
        present = bool(answer & 0x100) and not self.clean_session
        if not present:
            self._received = set()
            self._resumable = []
        for each in self._subscriptions:
            each[2] = each[3] = 0
        self._transport.proven()
        self._enter(_UP, None)
        self._subscribe_again()
        self._flush()
        self.on_up(present)

    def _suback(self, packet_id, code):
        for each in self._subscriptions:
            if each[2] == packet_id:
                each[2] = 0
                each[3] = None
                if code > 2:  # 0x80, or one of MQTT 5's
                    self.refused_subscriptions += 1
                    each[3] = self._now + _RETRY_SUBSCRIBE_MS
                    self.on_refused(each[0], code)

    def _publish(self, first):
        """PUBLISH, MQTT 3.1.1 section 3.3. The answer is queued before the callback is called: a
        callback that fails must not get the message again.
        """
        topic, packet_id, payload = self._reader.publish(first)
        qos = first >> 1 & 3
        if qos == 1:
            self._reply(_PUBACK, packet_id)
        elif qos == 2 and not self._receive_once(packet_id):
            return
        told = self.on_message
        if payload is None or self._reader.missing:
            self.oversized += 1
            told = self.on_oversized
        self._flush()  # whoever sent it waits for no callback
        told(topic, payload, bool(first & 1), bool(first & 8))

    def _receive_once(self, packet_id):
        """QoS 2, method B of MQTT 3.1.1 section 4.3.3: whether this id is new. More than the bound:
        not answered.
        """
        new = packet_id not in self._received
        if new:
            if len(self._received) >= _MAX_QOS2:
                raise Malformed  # a broker that never releases what it sends
            self._received.add(packet_id)
        self._reply(_PUBREC, packet_id)
        return new

    def _reply(self, kind, packet_id):
        self._out.append(pack("!BBH", kind, 2, packet_id))


_TIMEOUTS = {
    _CONNECTING: "tcp-timeout",
    _SECURING: "tls-timeout",
    _GREETING: "connack-timeout",
    _LEAVING: "closed",
}
_STEPS = {
    _RESOLVING: MQTTClient._resolve,
    _CONNECTING: MQTTClient._connect,
    _SECURING: MQTTClient._secure,
    _GREETING: MQTTClient._greet,
    _UP: MQTTClient._serve,
    _LEAVING: MQTTClient._leave,
}
