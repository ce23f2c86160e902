"""umqtt.simple's own calls over a client that cannot hang: the same names, arguments and results.

    from umqtt_simple import MQTTClient    # instead of: from umqtt.simple import MQTTClient

What umqtt waits for without end has a deadline here, and ends as an OSError with the cause as its
second argument: `[Errno 110] ETIMEDOUT: puback-timeout`. umqtt_robust.py is what connects again by
itself. What else is different: docs/coming-from-umqtt.md.

One call waits at a time: it is for one thread, and for programs without asyncio (mqtt_async.py).
"""

from mqtt_waiting import Waiting
from umqtt import simple
from umqtt.simple import MQTTException  # noqa: F401 - where a program looks for it


class MQTTClient(simple.MQTTClient):
    """umqtt.simple.MQTTClient, with deadlines.

    Takes umqtt's arguments. `ssl` is None or False, an SSLContext, or True: then `ssl_params` are
    what wrap_socket() took (umqtt_ssl_params.py). As in umqtt, connect() goes by the attributes as
    they are then. And its own:

    answer_ms: how long the broker may take for each answer, and to take what is sent.
    handshake_ms: for TLS.
    max_packet: bytes; a longer message is acknowledged, skipped, and counted in `oversized`.

    Every call raises OSError where the connection has ended or an answer stays away, with the cause
    as args[1], and again until the next connect().
    """

    def __init__(
        self,
        client_id,
        server,
        port=0,
        user=None,
        password=None,
        keepalive=0,
        ssl=None,
        ssl_params={},  # noqa: B006 - umqtt's own default; it is read, never written
        answer_ms=20000,
        handshake_ms=60000,
        max_packet=16384,
    ):
        self._line = None
        super().__init__(client_id, server, port or (8883 if ssl else 1883), user, password)
        # umqtt.simple 1.4 and 1.5 take no ssl_params.
        self.keepalive = keepalive
        self.ssl = ssl
        self.ssl_params = ssl_params
        self.answer_ms = answer_ms
        self.handshake_ms = handshake_ms
        self.max_packet = max_packet

    def connect(self, clean_session=True, timeout=None):
        """Connect; returns 1 if the broker has kept the session, else 0.

        timeout: seconds for all of it, and from then on for each answer. Raises MQTTException(code)
        where the broker refuses. Looking up a name takes as long as DNS does.
        """
        if not self.keepalive < 65536:
            raise AssertionError("keepalive")
        if self.ssl is True:
            from umqtt_ssl_params import context

            self.ssl = context(self.ssl_params)
        if timeout is not None:
            self.answer_ms = timeout = int(timeout * 1000)
        line = self._line
        if line is None:
            line = self._line = Waiting(self.client_id, self.server, self.max_packet)
        line.server = self.server
        line.port = self.port
        line.user = self.user or None
        line.pswd = self.pswd
        line.keepalive = self.keepalive
        line.ssl = self.ssl or None
        line.ssl_params = self.ssl_params
        line.answer_ms = self.answer_ms
        line.handshake_ms = self.handshake_ms
        line.clean_session = clean_session
        line.set_last_will(self.lw_topic or "-", self.lw_msg, self.lw_retain, self.lw_qos)
        if not self.lw_topic:
            line.lw_topic = None
        line.cb = self.cb
        line.arrive(timeout)
        return int(line.present)

    def disconnect(self):
        """Say goodbye, so that there is no last will: a second at most. Raises nothing."""
        if self._line:
            self._line.leave()

    def set_callback(self, f):
        """Have `f(topic, msg)`, both bytes, called with what comes."""
        self.cb = f
        if self._line:
            self._line.cb = f

    def ping(self):
        """Ask whether the broker is there. The answer ends a wait_msg()."""
        self._up().ping()

    def publish(self, topic, msg, retain=False, qos=0):
        """Publish str or bytes. With QoS 1 it comes back when the broker has the message, with QoS
        0 when the network has; QoS 2 is an AssertionError, as in umqtt.
        """
        self._checked(qos)
        line = self._up()
        line.acknowledged(*line.give(topic, msg, retain, qos, 0))

    def subscribe(self, topic, qos=0):
        """Subscribe, now and at each connect() to come. MQTTException(code) where it is refused."""
        if self.cb is None:
            raise AssertionError("Subscribe callback is not set")
        self._up().take(topic, qos)

    def unsubscribe(self, topic):
        """Take it back."""
        self._up().take(topic, None)

    def wait_msg(self):
        """Wait for a message, as long as there is a connection, and hand it to the callback.
        Returns the first byte of its PUBLISH; None after the answer to a ping().
        """
        return self._up().message()

    def check_msg(self):
        """As wait_msg(), of what has come; None at once if nothing has."""
        line = self._up()
        came = line.turn(None, False)
        if came is None and line.state == "down":
            raise line.error()
        return came

    # -- what others have added to umqtt -----------------------------------------------------------

    def is_conn_issue(self):
        """Whether there is no connection, as far as can be known without asking the broker."""
        try:
            self._up().look()
            return False
        except OSError:
            return True

    @property
    def last_will(self):
        """(topic, msg, retain, qos) of set_last_will(), or None."""
        return self.lw_topic and (self.lw_topic, self.lw_msg, self.lw_retain, self.lw_qos)

    def _sock(self, *_):
        return self._line and self._line._transport._raw

    # To be looked at, or polled: reading and writing are the client's. umqtt's constructor sets it.
    sock = property(_sock, _sock)

    @property
    def oversized(self):
        """Messages that were longer than max_packet."""
        return self._line.oversized if self._line else 0

    def _checked(self, qos):
        # umqtt has sent the message by then, and nothing can be done with the client any more.
        if not 0 <= qos < 2:
            raise AssertionError("QoS 2 is not published")

    def _up(self):
        if self._line is None:
            from errno import ENOTCONN

            raise OSError(ENOTCONN, "down")
        return self._line
