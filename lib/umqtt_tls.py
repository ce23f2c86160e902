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
takes no packet longer than `max_packet` nor payload longer than `max_payload`, or than the heap has
room for: such a PUBLISH is acknowledged, counted in `oversized`, and its front goes to
`on_oversized`; whatever else is too long ends the connection.
"""

from struct import pack

from micropython import const
from mqtt_packets import Reader, begin, finish, subscribe
from transport import Transport
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

_PROTOCOL = const("protocol")
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
# each with a PUBLISH or 8 KB. More than that no buffer on the way to a chip holds: it is a flood.
_MAX_UNREAD = const(250)
_PART = const(4)  # bytes; so long may be what there is of a packet that is shorter than PUBLISH
_MAX_HELD = const(64)  # packet ids; twice the largest window
_MAX_QOS2 = const(32)  # QoS 2 messages received but not yet released by the broker
_USUAL = const(256)  # bytes; a payload below that is sent without asking the heap for anything


class _Subscription:
    """One topic, and how far the broker knows of it.

    _qos: None once it is taken back. _packet_id: of what waits for an answer, or 0. _due: when that
    is overdue, or when to ask; None: nothing is left to ask.
    """

    def __init__(self, topic, qos):
        self._topic = topic
        self._qos = qos
        self._packet_id = self._due = 0


class _Connection:
    """What is true of one connection only, and dropped with it."""

    def __init__(self, now):
        self._now = now  # as `step` was told last
        self._out = []  # packets to be written; the first may be known to TLS and must not change
        self._in_flight = {}  # packet ids, and when their PUBACKs are due
        self._begun = None  # a packet that is not finished, and its id
        self._packet_id = 0
        self._entered = 0  # the state, and when that is overdue, or None
        self._deadline = None
        self._secured_from = None
        self._ping_sent = None
        self._heard = self._spoke = 0  # when a byte last came in, and when a packet last went out
        self._look_at = 0  # no deadline is due before, but those of PUBACKs


class MQTTClient(robust.MQTTClient):
    """The one state machine between a program and its broker.

    Takes umqtt's arguments. `ssl` is an SSLContext (see tls_context.py) or None for plain
    TCP; `ssl_params["server_hostname"]` is the name to verify, `server` if absent. And its own:

    window: QoS 1 messages in flight at once, 1 to 32.
    handshake_ms: one budget for the whole TLS handshake, however many reads it takes.
    clean_session: as in umqtt's connect(), but false: what the broker has queued is wanted. May be
    changed later.
    max_qos, retains: what the broker can do; what is sent, and the will, asks for no more.
    answer_ms: how long TCP, CONNACK, PUBACK, SUBACK, UNSUBACK and PINGRESP may each stay away.
    max_packet: bytes; a buffer of this size is allocated once. max_payload: bytes of a payload, and
    of a topic, that are copied out of it. That is all that the network can make it use; on a chip
    the heap has no longer piece than 1 KB when TLS is up, and would grow for one.

    What happens to the connection is told to its `owner`, by methods that are called from within
    `step`: on_up(session_present), on_down(cause), on_ack(packet_id), on_state(state), and
    on_refused(topic, code), of a subscription. What comes is not: on_message(topic, payload,
    retained, dup) and on_oversized(topic, front or None, retained, dup) are called. A small program
    has no owner: the client is its own, so that any of them may be set on it.
    """

    # No function of the module's: it would be the 13th name there.
    on_up = on_down = on_ack = on_message = on_state = on_oversized = on_refused = lambda *_: None
    oversized = refused_subscriptions = 0  # counters, since boot

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
        max_packet=1280,
        max_payload=1024,
        clean_session=False,
        max_qos=2,
        retains=True,
    ):
        port = port or (8883 if ssl else 1883)
        super().__init__(client_id, server, port, user, password, keepalive)
        # Of no use here. A dictionary that is full is gone through whole for each method's name,
        # and the next larger one takes 80 bytes more.
        del self.sock, self.cb
        self.ssl = ssl
        self.ssl_params = ssl_params  # umqtt.simple 1.4 and 1.5 do not take it
        self.window = window
        self.handshake_ms = handshake_ms
        self.answer_ms = answer_ms
        self.clean_session = clean_session
        self.max_qos = max_qos
        self.retains = retains
        self.owner = self
        self.state = _DOWN
        self.unread = 0  # steps in a row that have left something that has come unread
        self.handshake_took_ms = self.ping_took_ms = None  # the last ones, None before the first
        self._transport = Transport()
        self._reader = Reader(max_packet, max_payload)
        self._packet = None  # a bytearray, between a short one and the next
        self._subscriptions = []
        # Of the session: packet ids of QoS 2 messages handed over and not yet released, and those
        # that no new packet may have: messages may be sent again under them, or SUBSCRIBE has one.
        self.received = set()
        self._held = []
        self._connection = None  # while `state` is not down
        self.due = None  # when to call `step`, at the latest; None: not before `start`
        self._woken = True  # whether there may be something to read: false only by `wait`

    # -- what the caller calls ---------------------------------------------------------------------

    def subscribe(self, topic, qos=0):
        """Subscribe to `topic` now, if up, and again at every connect. A refusal (0x80, or another
        code above 2) is told, counted and retried.
        """
        self._subscriptions.append(_Subscription(topic, qos))
        connection = self._connection
        if connection:
            # Both: a PUBACK that is read first puts `due` back to the other.
            self.due = connection._look_at = connection._now

    def unsubscribe(self, topic):
        """Take the subscription to `topic` back, now if up, and not subscribe at the next connect.

        One of a session that the broker has kept, from before this client was made, is taken back
        as well. Until the broker has acknowledged that, what it sends still comes.
        """
        for each in self._subscriptions[:]:
            if each._topic == topic:
                self._subscriptions.remove(each)
        self.subscribe(topic, None)

    def start(self, now):
        """Begin to connect. `will` and `clean_session` are taken as they are set now."""
        if self._connection:
            self.abort()
        self.unread = 0
        self._connection = _Connection(now)
        self._enter(_RESOLVING, None)

    def step(self, now):
        """Do what can be done without waiting. Returns the milliseconds after which to call again,
        at the latest: 0 where something has come, as that may have given the caller something to
        do. Who does that at once need not come back before `due`, or for what is `unread`.

        Right after a `wait` that has seen nothing, and before `due`, it looks at nothing.
        """
        connection = self._connection
        if connection is None:
            return _IDLE_MS
        connection._now = now
        woken = self._woken
        self._woken = True
        if self.state != _UP:
            return self._arrive(connection)
        heard = False
        if woken or self.unread or now >= self.due:
            out = connection._out
            transport = self._transport
            if (
                not out
                or self._flush(connection)
                or (len(out) < _MAX_REPLIES and not transport.cause)
            ):
                heard = self._read(connection)
            else:
                self.unread = 0
            if self.state != _UP:
                return 0
            if now >= self.due:
                self._watch(connection)
            if transport.cause:
                return self._over()
        return 0 if heard else self.due - now

    def wait(self, real_ms):
        """Sleep for `real_ms` at most; less, if the broker has something to say. Returns whether it
        has, or takes more of what could not be written before.
        """
        connection = self._connection
        to_write = connection and connection._out and self.state != _SECURING
        woken = self._woken = self._transport.wait(real_ms, to_write)
        return woken

    def send(self, topic, payload, qos=0, retain=False, packet_id=0):
        """Publish; topic and payload are str or bytes. Returns the packet id (0 for QoS 0), or
        None: not up, window full, or the last packet not yet gone.

        With QoS 1, `on_ack(packet_id)` tells when it has arrived. After `on_down` it is up to the
        caller to send again; where the next `on_up` says that the session was present, with the old
        `packet_id`, which sets DUP (MQTT 3.1.1 section 4.4).
        """
        packet = self.begin(topic, qos, retain, packet_id)
        if packet is None:
            return None
        packet += payload
        return self.finish()

    def begin(self, topic, qos=0, retain=False, packet_id=0):
        """As `send`, for who writes the payload into the packet: returns a bytearray to append it
        to, or None. Nothing is sent before `finish`, nor at all without it.
        """
        connection = self._connection
        if self.state != _UP or connection._out:
            return None
        first = _PUBLISH | (retain and self.retains)
        if not qos or not self.max_qos:
            packet_id = 0
        elif len(connection._in_flight) >= self.window:
            return None
        else:
            first |= 0x0A if packet_id else 0x02  # with DUP
            packet_id = packet_id or self._next_id()
        connection._packet_id = packet_id
        return self._front(first, topic)

    def _front(self, first, topic):
        connection = self._connection
        # One that was given up may be long.
        connection._begun = None
        # Nothing waits to be written: whatever was in it has gone.
        packet = self._packet
        self._packet = None
        if packet is None:
            packet = bytearray(_USUAL)
        begin(packet, first, topic, connection._packet_id)
        connection._begun = packet
        return packet

    def finish(self):
        """Send what was begun. Returns the packet id."""
        connection = self._connection
        packet = connection._begun
        packet_id = connection._packet_id
        finish(packet)
        if packet_id:
            if packet_id in self._held:
                self._held.remove(packet_id)
            due = connection._now + self.answer_ms
            if not connection._in_flight and due < self.due:
                self.due = due
            connection._in_flight[packet_id] = due
        size = len(packet)
        connection._begun = None
        if size <= _USUAL:
            self._packet = packet  # else its memory goes with it
        taken = self._transport.write(packet)
        if taken is not None:
            connection._spoke = connection._now
        if taken != size:
            self.due = 0  # it may have failed, which `step` tells
            connection._out.append(packet)
            self._taken(connection, taken)
        return packet_id

    def room(self):
        """Whether `send` would take a QoS 1 message now."""
        connection = self._connection
        return (
            self.state == _UP and not connection._out and len(connection._in_flight) < self.window
        )

    def stop(self, now):
        """DISCONNECT, so that the broker drops the will, and close once it has: state `down` tells.
        `on_down` is not called.
        """
        if self.state == _UP:
            connection = self._connection
            connection._now = now
            # Whoever closes with bytes unread resets the connection, and a reset overtakes what was
            # sent last: so it is the broker that closes, as it must (MQTT 3.1.1 section 3.14.4).
            self._enter(_LEAVING, _LEAVE_MS)
            connection._out.append(_DISCONNECT)
            self._flush(connection)
        else:
            self.abort()

    def abort(self):
        """Close without DISCONNECT, so that the will speaks. `on_down` is not called."""
        self._transport.close()
        self._reader.clear()
        if self._connection:
            # Packet ids outlive it, if the session does.
            self._held = (list(self._connection._in_flight) + self._held)[:_MAX_HELD]
            self._connection = None
        self.due = None
        self.state = _DOWN
        self.owner.on_state(_DOWN)

    def overdue(self, now):
        """Whether `step` has missed its own deadlines: a bug, as no network can bring it about."""
        connection = self._connection
        if self.state == _UP:
            silent = now - connection._heard
            return self.keepalive and silent > self.keepalive * 1000 + self.answer_ms
        return connection and now - connection._entered > self.handshake_ms + self.answer_ms

    # -- the states --------------------------------------------------------------------------------

    def _over(self):
        """The connection has ended, or the try of one address has."""
        transport = self._transport
        cause = transport.cause
        if self.state == _CONNECTING and transport.addresses:
            transport.cause = None
            self._enter(_CONNECTING, None)  # the next address, with a deadline of its own
            return 0
        state = self.state
        self.abort()
        if state != _LEAVING:
            self.owner.on_down(cause)
        return 0

    def _enter(self, state, allowed_ms):
        connection = self._connection
        connection._entered = self.due = connection._now
        connection._deadline = None if allowed_ms is None else connection._now + allowed_ms
        self.state = state
        self.owner.on_state(state)

    def _arrive(self, connection):
        """A step on the way to CONNACK, or after DISCONNECT. Returns ms, as `step`."""
        transport = self._transport
        state = self.state
        wake = 0
        if state == _RESOLVING:
            transport.resolve(self.server, self.port)
            # DNS has taken its time: the budget starts with the next step.
            if not transport.cause:
                self._enter(_CONNECTING, None)
        elif state == _CONNECTING:
            late = "tcp-timeout"
            try:
                from mqtt_connect import connect  # before the first address is tried
            except Exception:  # noqa: BLE001 - no heap or no flash for it
                transport.cause, transport.addresses = "memory", []  # the next one fares no better
            if connection._deadline is None and not transport.cause:
                connection._deadline = connection._now + self.answer_ms
                transport.open()
            if transport.cause or not transport.opened():
                wake = _IDLE_MS
            else:
                # CONNECT, behind the handshake that writing it carries on.
                will = self.lw_topic and (self.lw_topic, self.lw_msg, self.lw_qos, self.lw_retain)
                login = self.user, self.pswd
                hello = connect(self.client_id, self.keepalive, self.clean_session, will, login)
                connection._out.append(hello)
                connection._secured_from = connection._now
                self._enter(_SECURING, self.handshake_ms)
                if self.ssl:
                    name = self.ssl_params.get("server_hostname", self.server)
                    transport.secure(self.ssl, name)
        elif state == _SECURING:
            late = "tls-timeout"
            if self._flush(connection):
                self._enter(_GREETING, self.answer_ms)
            else:
                wake = _HANDSHAKE_LOOK_MS
        elif state == _GREETING:
            late = "connack-timeout"
            if connection._secured_from is not None:
                # Not a step sooner: on a chip, the handshake ends with a second of arithmetic.
                self.handshake_took_ms = connection._now - connection._secured_from
                connection._secured_from = None
            if not self._read(connection):
                wake = _IDLE_MS
        else:
            late = "closed"
            # What still comes is of no interest.
            self.unread = 0
            if not self._flush(connection) or not transport.readinto(self._reader.buffer):
                wake = _IDLE_MS
        if self._connection is not connection:
            return 0
        # Not before: the answer may have come, and lie unread, while the caller was busy.
        left = connection._deadline
        if left is not None:
            left -= connection._now
            if left <= 0:
                transport.cause = transport.cause or late
            wake = min(wake, left)
        if transport.cause:
            return self._over()
        self.due = connection._now + wake
        return wake

    def _watch(self, connection):
        """Look at the deadlines while up: subscribe and unsubscribe where that is left to do, ping
        when either side has been silent for half the keepalive, and give up when an answer stays
        away. Finds out when to look again.
        """
        now = connection._now
        by = now + self.answer_ms
        look_at = now + _IDLE_MS
        late = None
        for each in self._subscriptions:
            if each._due is None:
                continue
            if now >= each._due:
                if each._packet_id:
                    late = "suback-timeout"
                else:
                    each._packet_id = self._next_id()
                    self._held.append(each._packet_id)
                    each._due = by
                    connection._out.append(subscribe(each._packet_id, each._topic, each._qos))
            look_at = min(look_at, each._due)
        if connection._out:
            self._flush(connection)
        if connection._ping_sent is not None:
            due = connection._ping_sent + self.answer_ms
            if now >= due:
                late = late or "ping-timeout"
            look_at = min(look_at, due)
        elif self.keepalive:
            due = min(connection._heard, connection._spoke) + self.keepalive * 500
            if now >= due:
                connection._ping_sent = now
                connection._out.append(_PINGREQ)
                self._flush(connection)
                due = by
            look_at = min(look_at, due)
        connection._look_at = look_at
        if connection._in_flight:
            due = min(connection._in_flight.values())
            if now >= due:
                late = late or "puback-timeout"
            look_at = min(look_at, due)
        self.due = look_at
        if late and not self.unread:
            self._transport.cause = late

    # -- writing -----------------------------------------------------------------------------------

    def _flush(self, connection):
        """Write what the transport takes, one packet with one write: one TLS record. Returns
        whether all has gone. A failure is told of by `step`, and in no callback from `send`.
        """
        out = connection._out
        while out:
            packet = out[0]
            taken = None if self._transport.cause else self._transport.write(packet)
            if taken is None:
                return False
            connection._spoke = connection._now
            if taken == len(packet):
                out.pop(0)
            else:
                self._taken(connection, taken)
        return True

    def _taken(self, connection, count):
        # What the transport has taken of a packet must not come again.
        try:
            if count:
                connection._out[0] = memoryview(connection._out[0])[count:]
        except MemoryError:
            self._transport.cause = "memory"

    def _next_id(self):
        """1 to 65535, wrapping, and none that is in flight, be it since the last connection (MQTT
        3.1.1 section 2.3.1).
        """
        in_flight = self._connection._in_flight
        while True:
            self.pid = packet_id = self.pid % 65535 + 1
            if packet_id not in in_flight and packet_id not in self._held:
                return packet_id

    # -- reading -----------------------------------------------------------------------------------

    def _read(self, connection):
        """Take in what has come, up to a step's share of it, as long as the answers to it can be
        written. Returns whether anything has.

        A PUBLISH ends the step: handling it may have taken the caller long.
        """
        reader = self._reader
        reads = count = 0
        while not connection._out or len(connection._out) < _MAX_REPLIES or self._flush(connection):
            # What the step before has left in the buffer comes first.
            if reader.left:
                first = reader.packet()
            elif reads == _MAX_READS or self._connection is not connection:
                break
            elif (
                count
                and not connection._in_flight
                and connection._now < self.due
                and count + _PART < len(reader.space)
            ):
                # All is answered, and what was read did not fill the buffer, so TLS holds nothing
                # back: what else comes wakes `wait`. A look takes 5 k instructions in a node.
                self.unread = 0
                return True
            else:
                count = self._transport.readinto(reader.space)
                if count is None:
                    self.unread = 0
                    return reads > 0
                connection._heard = connection._now
                reads += 1
                first = reader.packet(count)
            if first == _PUBACK and self.state != _GREETING:
                # Else late, twice or never asked for: nothing to do.
                if reader.number in connection._in_flight:
                    del connection._in_flight[reader.number]
                    if not connection._in_flight:
                        self.due = connection._look_at
                    self.owner.on_ack(reader.number)
            elif first is not None and self._take(connection, first):
                break
        self.unread = (self.unread + 1) % _MAX_UNREAD
        return True

    def _take(self, connection, first):
        """Handle any other packet. Returns whether it ends the step."""
        number = self._reader.number
        thrown_out = first == _THROWN_OUT
        if thrown_out or not first or (self.state == _GREETING) != (first == _CONNACK):
            self._transport.cause = "closed" if thrown_out else _PROTOCOL
            return True
        if first == _CONNACK:
            return self._connack(connection, number)
        if first & 0xF0 == _PUBLISH:
            self._publish(connection, first)
            return True
        if first == _PUBREL:
            self.received.discard(number)
            connection._out.append(pack("!BBH", _PUBCOMP, 2, number))
            return False
        self.due = connection._now
        if first == _PINGRESP:
            if connection._ping_sent is not None:
                self.ping_took_ms = connection._now - connection._ping_sent
                connection._ping_sent = None
            return False
        if number in self._held:
            self._held.remove(number)
        for each in self._subscriptions:
            if each._packet_id == number:
                each._packet_id = 0
                each._due = None
                if each._qos is None:
                    self._subscriptions.remove(each)
                elif first == _SUBACK:
                    code = self._reader.buffer[self._reader.body + 2]
                    if code > 2:  # 0x80, or one of MQTT 5's
                        self.refused_subscriptions += 1
                        each._due = connection._now + _RETRY_SUBSCRIBE_MS
                        self.owner.on_refused(each._topic, code)
                break
        return False

    def _connack(self, connection, answer):
        code = answer & 255
        if code:
            from mqtt_connect import refusal

            self._transport.cause = refusal(code)
            return True
        present = bool(answer & 0x100) and not self.clean_session
        if not present:
            self.received = set()
            self._held = []
        for each in self._subscriptions[:]:
            each._packet_id = each._due = 0
            if each._qos is None and not present:
                self._subscriptions.remove(each)  # of a new session nothing has to be taken back
        self._transport.proven()
        self._enter(_UP, None)
        self._watch(connection)
        self.owner.on_up(present)
        return False

    def _publish(self, connection, first):
        """PUBLISH, MQTT 3.1.1 section 3.3. The answer is queued before the callback is called: a
        callback that fails must not get the message again.
        """
        found = self._reader.publish(first)
        if found is None:
            self._transport.cause = _PROTOCOL
            return
        topic, packet_id, payload, whole = found
        qos = first >> 1 & 3
        if qos:
            # QoS 2, method B of section 4.3.3: only an id that is new is handed over.
            new = qos == 1 or packet_id not in self.received
            if qos == 2 and new:
                if len(self.received) >= _MAX_QOS2:
                    self._transport.cause = _PROTOCOL  # it never releases what it sends
                    return
                self.received.add(packet_id)
            connection._out.append(pack("!BBH", _PUBACK if qos == 1 else _PUBREC, 2, packet_id))
            if not new:
                return
        told = self.on_message
        if not whole:
            self.oversized += 1
            told = self.on_oversized
        self._flush(connection)  # whoever sent it waits for no callback
        told(topic, payload, bool(first & 1), bool(first & 8))
