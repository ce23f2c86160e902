"""The client of umqtt_tls.py for whoever waits for it: umqtt_simple.py and umqtt_robust.py.

It reads the clock and sleeps. Each call takes as long as it needs, up to a deadline, and raises
what has ended the connection: OSError with the cause as its second argument, or MQTTException with
the code by which a broker refuses.
"""

import time
from sys import modules

import umqtt_tls
from micropython import const
from mqtt_growing import Growing
from umqtt.simple import MQTTException

_LOOK_MS = const(60000)  # without keepalive, a wait asks after the broker when it is silent so long
_RESTED_MS = const(60000)  # a connection that was up for so long was worth making
# By the state in which connecting as a whole has taken too long.
_LATE = {"connecting": "tcp-timeout", "securing": "tls-timeout", "greeting": "connack-timeout"}
_PINGREQ = const(b"\xc0\0")


class Waiting(umqtt_tls.MQTTClient):
    """One connection at a time, and what is true beyond it: subscriptions, packet ids.

    cb: called with topic and payload, both bytes, by `turn` alone: never within a step, so it may
    publish, and wait for that. present: whether the broker had kept the session. worth: whether
    anything has come of the connection.
    """

    cb = None
    present = worth = False

    def __init__(self, client_id, server, max_packet, **more):
        super().__init__(client_id, server, max_packet=1, max_payload=max_packet, **more)
        self._reader = Growing(max_packet)
        self._ticks = time.ticks_ms()
        self._ms = 0
        self._came = None  # a message that is acknowledged and not handed over
        self._first = 0  # of the PUBLISH that is read
        self._ended = None  # why the last connection has
        self._code = 0  # of a CONNACK that refuses
        self._denied = None  # topic and code of the subscription that was refused last
        self._pinged = False  # by the program, and not yet answered
        self._since = 0  # when it was up

    def now(self):
        """Milliseconds, as `step` wants them."""
        ticks = time.ticks_ms()
        self._ms += max(time.ticks_diff(ticks, self._ticks), 0)
        self._ticks = ticks
        return self._ms

    # -- what is waited for ------------------------------------------------------------------------

    def arrive(self, by_ms):
        """Connect, in so many milliseconds, or as long as each part of it may take."""
        by = None if by_ms is None else self.now() + by_ms
        self._ended = None
        self._code = 0
        self._pinged = self.worth = False
        self._since = 0
        self.start(self.now())
        while self.state != "up":
            self.turn(by)

    def leave(self):
        """Say goodbye: a second at most, and nothing that ends it sooner is raised."""
        self.stop(self.now())
        while self._connection:
            self.wait(self.step(self.now()))
        self._ended = None

    def look(self):
        """Take a step, and hand nothing over."""
        if self._connection and not self._came:
            self.step(self.now())
        if self.state != "up":
            raise self.error()

    def turn(self, by=None, wait=True):
        """Take a step, and wait for what comes next, `by` then at the latest. Returns the first
        byte of a PUBLISH that the callback has got, or None. Raises what has ended the connection,
        but not if it has just now: what it was waited for may have come before.
        """
        came = self._came
        if not came:
            if not self._connection:
                raise self.error()
            wake = self.step(self.now())
            came = self._came
        if came:
            self._came = None
            if self.cb:
                self.cb(came[1], came[2])
            return came[0]
        if not self._connection:
            return None
        if by is not None:
            wake = min(wake, by - self._ms)
            if by <= self._ms:
                self._give_up(_LATE[self.state])
        if wait and wake > 0:
            self.wait(wake)
        return None

    def message(self):
        """Wait for a message, and have it handed over: the first byte of its PUBLISH. None, once
        `ping` is answered.
        """
        while True:
            came = self.turn()
            if came is not None:
                return came
            connection = self._connection
            if connection and connection._ping_sent is None:
                if self._pinged:
                    self._pinged = False
                    return None
                if not self.keepalive and self._ms - connection._heard >= _LOOK_MS:
                    self._ask()

    def ping(self):
        """Send PINGREQ."""
        self.look()
        self._pinged = True
        self._ask()
        self._pushed()

    def give(self, topic, msg, retain, qos, packet_id):
        """Send; returns the connection that has it, and its packet id for `acknowledged`. The id of
        before, if it is sent again.
        """
        self.look()
        while True:
            self._pushed()
            connection = self._connection
            given = self.send(topic, msg, qos, retain, packet_id)
            if given is not None:
                return connection, given
            self.turn()  # the window is full of what callbacks publish
            if self.state != "up":
                raise self.error()

    def acknowledged(self, connection, packet_id):
        """Wait until what was given is written and, with QoS 1, acknowledged."""
        if self._connection is connection:
            self._pushed()
        while packet_id in connection._in_flight:
            if self._connection and self._connection is not connection:
                # A callback has connected again.
                raise OSError(_number("closed"), "closed")
            self.turn()

    def take(self, topic, qos):
        """Subscribe, and again with each connection; qos None: take it back."""
        self.look()
        if isinstance(topic, str):
            topic = topic.encode()
        self._forget(topic)
        self._denied = None
        self.subscribe(topic, qos)
        wanted = self._subscriptions[-1]
        while wanted._due is not None:
            if self._denied and self._denied[0] is topic:
                self._forget(topic)
                raise MQTTException(self._denied[1])
            self.turn()

    # -- how ---------------------------------------------------------------------------------------

    def _pushed(self):
        """Wait until the network has taken all that is to be written."""
        by = self.now() + self.answer_ms
        connection = self._connection
        while connection and connection._out:
            if self._came:
                self._flush(connection)
            else:
                self.step(self.now())
            if self._transport.cause:
                self._over()
            if self._connection is not connection:
                raise self.error()
            if connection._out:
                if by <= self.now():
                    self._give_up("write-timeout")
                else:
                    self.wait(by - self._ms)

    def _ask(self):
        connection = self._connection
        if connection._ping_sent is None:
            connection._ping_sent = self.due = connection._now
            connection._out.append(_PINGREQ)
            self._flush(connection)

    def _forget(self, topic):
        for each in self._subscriptions[:]:
            if each._topic == topic:
                self._subscriptions.remove(each)

    def _give_up(self, cause):
        self.abort()
        self.on_down(cause)

    def error(self):
        """What to raise where there is no connection."""
        if self._code:
            code = self._code
            self._code = 0
            return MQTTException(code)
        cause = self._ended or "down"
        return OSError(_number(cause), cause)

    # -- what the client below tells ---------------------------------------------------------------

    def on_up(self, present):
        """CONNACK has come."""
        self.present = present
        # 3 KB of heap that only the next try needs.
        for name in ("mqtt_connect", "transport_causes", "umqtt_ssl_params", "backoff"):
            modules.pop(name, None)
        self._since = self._ms

    def on_down(self, cause):
        """The connection has ended, or never was."""
        self._ended = cause
        if self._since and self._ms - self._since > _RESTED_MS:
            self.worth = True

    def on_ack(self, packet_id):
        """A PUBACK has come."""
        self.worth = True

    def on_refused(self, topic, code):
        """A subscription is refused."""
        self._denied = topic, code

    def on_message(self, topic, payload, retained, dup):
        """A message has come, and ends the step."""
        self._came = self._first, topic.encode(), payload
        self.worth = True

    def _publish(self, connection, first):
        self._first = first
        super()._publish(connection, first)

    def _connack(self, connection, answer):
        self._code = answer & 255
        return super()._connack(connection, answer)


def _number(cause):
    """The errno that programs expect for it."""
    import errno

    if cause.endswith("timeout"):
        return errno.ETIMEDOUT
    if cause in ("closed", "tls-closed"):
        return errno.ECONNRESET
    if cause in ("dns", "tcp-unreachable"):
        return errno.EHOSTUNREACH
    named = {"down": errno.ENOTCONN, "tcp-refused": errno.ECONNREFUSED, "memory": errno.ENOMEM}
    return named.get(cause, errno.EIO)
