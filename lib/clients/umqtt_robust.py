"""umqtt.robust's own calls over a client that cannot hang: no end of a connection ends a program.

    from umqtt_robust import MQTTClient    # instead of: from umqtt.robust import MQTTClient

As there, all but the first connect() is tried again until it is done. Unlike there, a QoS 1 message
is sent again after each reconnect until it is acknowledged, subscriptions that this run has made
come back, whatever a broker or a network does is survived, and the wait between two tries grows and
is random.
"""

import time

import umqtt_simple
from umqtt_simple import MQTTException


class MQTTClient(umqtt_simple.MQTTClient):
    """umqtt.robust.MQTTClient: what raises OSError in umqtt_simple connects again and goes on.

    As in umqtt, `DELAY` is in seconds, with `DEBUG` what goes wrong is printed, and `delay(i)`,
    `log(in_reconnect, e)`, `reconnect()` and `connect()` are there to be overridden: a delay() that
    raises ends the trying.
    """

    DELAY = 2
    DEBUG = False

    _failures = 0  # reconnects since one has been worth it
    _trying = False

    def delay(self, i):
        """Sleep behind the `i`-th try that has failed: up to DELAY seconds at first, up to a minute
        later.
        """
        from random import random

        from backoff import Backoff

        wait = Backoff(random, int(self.DELAY * 1000), attempts={"": min(i - 1, 19)})
        time.sleep_ms(wait.next_ms(""))

    def log(self, in_reconnect, e):
        """Print what has gone wrong, with DEBUG."""
        if self.DEBUG:
            print("mqtt reconnect: %r" % e if in_reconnect else "mqtt: %r" % e)

    def reconnect(self):
        """Connect with the session of before, as often as it takes. Returns what connect() does."""
        if self._trying:
            # Within a connect() of the program's own, which publishes or subscribes. That is called
            # again.
            raise self._up().error()
        self._trying = True
        if self._line and self._line.worth:
            self._failures = 0
        try:
            while True:
                if self._failures:
                    self.delay(self._failures)
                self._failures += 1
                try:
                    return self.connect(False)
                except (OSError, MQTTException) as e:
                    self.log(True, e)
        finally:
            self._trying = False

    def publish(self, topic, msg, retain=False, qos=0):
        """Publish, whatever happens to the connection meanwhile. With QoS 1 it comes back when the
        broker has the message, which may then have come twice.
        """
        self._checked(qos)
        packet_id = 0
        while True:
            try:
                line = self._up()
                connection, packet_id = line.give(topic, msg, retain, qos, packet_id)
                return line.acknowledged(connection, packet_id)
            except OSError as e:
                self.log(False, e)
            self._mend()
            line = self._line
            if not line.present or packet_id in line._connection._in_flight:
                packet_id = 0

    def subscribe(self, topic, qos=0):
        """Subscribe, whatever happens to the connection meanwhile."""
        if self.cb is None:
            raise AssertionError("Subscribe callback is not set")
        self._lasting("take", topic, qos)

    def unsubscribe(self, topic):
        """Take it back."""
        self._lasting("take", topic, None)

    def wait_msg(self):
        """Wait for a message, also through outages."""
        return self._lasting("message")

    def ping(self):
        """Ask whether the broker is there; connects again where the connection has ended."""
        self._lasting("ping")

    def check_msg(self, attempts=2):
        """Look for a message; connects again where the connection has ended."""
        while attempts:
            try:
                return super().check_msg()
            except OSError as e:
                self.log(False, e)
            self.reconnect()
            attempts -= 1

    def _lasting(self, what, *arguments):
        while True:
            try:
                return getattr(self._up(), what)(*arguments)
            except OSError as e:
                self.log(False, e)
            self._mend()

    def _mend(self):
        # A callback may have connected again already.
        if self._line is None or self._line.state != "up":
            self.reconnect()
