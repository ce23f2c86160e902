"""An MQTT client for asyncio that waits out every outage.

    async with Client("node-1", "broker.example", ssl=tls_context(ca, cert, key)) as client:
        await client.subscribe("home/node-1/commands", 1)
        await client.publish("home/node-1/temperature", "21.5", 1)
        async for topic, payload, retained in client:
            print(topic, payload)

It is the client of umqtt_tls.py, in two tasks of its own: no other task waits longer than that
client's step. Everything that is awaited is awaited through outages; who does not want that says
`asyncio.wait_for`. MicroPython 1.24 and later; on CPython mqtt_cpython.py has the same Client.

It does not publish with QoS 2, keeps nothing over a reset, and does not see to Wi-Fi, but for
`before`. What is different from mqtt_as: docs/coming-from-mqtt_as.md.
"""

import asyncio
import time
from collections import deque
from errno import EACCES, ENOTCONN
from random import random
from sys import modules

from backoff import Backoff
from micropython import const
from mqtt_growing import Growing
from umqtt_tls import MQTTClient

_LOOK_MS = const(10)  # while connecting, leaving, or with more to write than the network takes
_TICK_MS = const(1000)  # deadlines are noticed so late at most
_FLOOR_MS = const(10000)  # what a person has to mend is not worth asking about more often
_MENDED_BY_HAND = ("credentials", "not-authorized", "client-id", "protocol-version")

sleep_ms = getattr(asyncio, "sleep_ms", None)


def readable(sock):
    """Wait until there is something to read, as MicroPython's own streams do: nothing is called,
    and nobody wakes up, in between.
    """
    yield asyncio.core._io_queue.queue_read(sock)


class _Awaited:
    """What a task waits for: `outcome` is None, then True or what is to be raised."""

    outcome = _event = None

    def over(self, outcome=True):
        self.outcome = outcome
        if self._event:
            self._event.set()

    async def wait(self):
        if self.outcome is None:
            self._event = asyncio.Event()
            await self._event.wait()
        if self.outcome is not True:
            raise self.outcome


class _Message(_Awaited):
    """One to be published. packet_id: 0 before it was sent. given_up: nobody waits for it."""

    packet_id = 0
    given_up = False

    def __init__(self, topic, payload, qos, retain):
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.retain = retain


class _Asked(_Awaited):
    """A subscription to be made or taken back."""

    def __init__(self, entry):
        self.entry = entry


class Client:
    """A connection that comes back by itself.

    Takes umqtt's arguments, and those of umqtt_tls.MQTTClient by name. And its own:

    window: QoS 1 messages that are on their way at once, as many tasks publish: 1 to 32.
    queue: messages that may wait for `async for`. One more pushes out the oldest: `dropped` counts
    them, and `on_dropped(topic, payload)` is called.
    max_packet: bytes; a longer message is acknowledged, skipped and counted in `oversized`. The
    buffer begins with 256 bytes, and grows to what comes.
    will: (topic, payload, qos, retain), said by the broker when the connection breaks.
    before: a coroutine function that is awaited before each try to connect, such as for Wi-Fi; an
    OSError of it is a try that failed.
    backoff: a Backoff with the waits between two tries; the causes are its classes.

    up, down: asyncio.Events; one of them is set, at any time. cause: a word for why the last
    connection, or try, has ended. present: whether the broker had kept the session.
    """

    cause = None
    present = False
    dropped = 0

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
        window=16,
        queue=16,
        max_packet=16384,
        will=None,
        before=None,
        backoff=None,
        on_dropped=lambda topic, payload: None,
        **more,
    ):
        link = MQTTClient(
            client_id,
            server,
            port,
            user,
            password,
            keepalive,
            ssl,
            ssl_params,
            window=window,
            max_packet=1,
            max_payload=max_packet,
            **more,
        )
        link._reader = Growing(max_packet)
        if will:
            topic, payload, qos, retain = will
            link.set_last_will(topic, payload, retain, qos)
        link.owner = self
        link.on_message = self._on_message
        self._link = link
        self._before = before
        self._backoff = backoff or Backoff(
            random, floors_ms=dict.fromkeys(_MENDED_BY_HAND, _FLOOR_MS)
        )
        self.on_dropped = on_dropped
        self.up = asyncio.Event()
        self.down = asyncio.Event()
        self.down.set()
        self._queue = deque((), queue)  # noqa: RUF037 - MicroPython's way
        self._size = queue
        self._came = asyncio.Event()
        self._messages = []  # in the order in which they were published; the first `_sent` are out
        self._sent = 0
        self._asked = []
        self._ms = self._ticks = 0
        self._since = 0  # when it came up, while it is
        self._pause = 0
        self._tasks = ()
        self._reading = False  # the task that serves waits for the socket
        self._nudged = False  # and is to look at the client again
        self._closed = False

    # -- what is awaited ---------------------------------------------------------------------------

    async def __aenter__(self):
        """Begin to connect, and do not wait for it."""
        self._ticks = time.ticks_ms()
        self._tasks = asyncio.create_task(self._run()), asyncio.create_task(self._tick())
        return self

    async def __aexit__(self, *_):
        """Say goodbye, so that there is no last will: a second at most. Who still waits for
        something gets OSError, `closed`.
        """
        self._closed = True
        for task in self._tasks:
            task.cancel()
        link = self._link
        link.stop(self._now())
        while link.state != "down":
            await sleep_ms(min(link.step(self._now()), _LOOK_MS))
        self._end(OSError(ENOTCONN, "closed"))

    async def publish(self, topic, payload, qos=0, retain=False):
        """Publish str or bytes. With QoS 1 it comes back when the broker has the message, which may
        have come twice then; with QoS 0 when the network has it.

        Raises MemoryError where there is no heap for it, OSError when the client is closed.
        """
        if not 0 <= qos < 2:
            raise ValueError("QoS 0 or 1")
        if isinstance(topic, str):
            topic = topic.encode()
        if isinstance(payload, str):
            payload = payload.encode()
        if self._closed:
            raise OSError(ENOTCONN, "closed")
        message = _Message(topic, payload, qos, retain)
        self._messages.append(message)
        self._pump()
        try:
            link = self._link
            while link.state == "up" and link._connection._out:
                await sleep_ms(_LOOK_MS)
                self._turn()
            if message.outcome is True:
                await sleep_ms(0)  # who publishes in a loop lets others run
            else:
                await message.wait()
        finally:
            if message.outcome is None:
                message.given_up = True
                if message in self._messages[self._sent :]:
                    self._messages.remove(message)

    async def subscribe(self, topic, qos=0):
        """Subscribe, now and at each connect; comes back when the broker has acknowledged it.
        Raises OSError (EACCES) where it is refused.
        """
        await self._settled(topic, qos)

    async def unsubscribe(self, topic):
        """Take it back."""
        await self._settled(topic, None)

    def __aiter__(self):
        return self

    async def __anext__(self):
        while not self._queue:
            if self._closed:
                raise StopAsyncIteration
            self._came.clear()
            await self._came.wait()
        return self._queue.popleft()

    # -- what can be asked -------------------------------------------------------------------------

    @property
    def state(self):
        """Of the connection, a word; see umqtt_tls.py."""
        return self._link.state

    @property
    def oversized(self):
        """Messages that were longer than `max_packet`."""
        return self._link.oversized

    # -- the two tasks -----------------------------------------------------------------------------

    async def _run(self):
        try:
            await self._serve()
        except Exception as error:  # of the program's own, such as `before`: nobody shall hang
            self._link.abort()
            self._end(error)
            raise

    def _end(self, error):
        self._closed = True
        self._is_down()
        for each in self._messages + self._asked:
            each.over(error)
        self._messages = self._asked = []
        self._came.set()

    async def _serve(self):
        link = self._link
        while not self._closed:
            try:
                if self._before:
                    await self._before()
                link.start(self._now())
            except OSError:
                self.on_down("before")
            while link.state not in ("up", "down"):
                await sleep_ms(min(link.step(self._now()), _LOOK_MS))
            while link.state == "up":
                self._turn()
                if link.unread:
                    await sleep_ms(0)
                elif link.state == "up":
                    await self._heard()
            await sleep_ms(self._pause)

    async def _heard(self):
        """Wait for the socket, or until the connection has changed otherwise."""
        self._reading = True
        try:
            await readable(self._link._transport._raw)
        except asyncio.CancelledError:
            if self._closed or not self._nudged:
                raise
        finally:
            self._reading = self._nudged = False

    async def _tick(self):
        """Keep the deadlines, while nothing comes."""
        link = self._link
        while True:
            due = _TICK_MS if link.due is None else link.due - self._now()
            await sleep_ms(max(min(due, _TICK_MS), _LOOK_MS))
            if link.state == "up" and (self._now() >= link.due or link._connection._out):
                self._turn()

    def _turn(self):
        """Take a step, and do what has become possible by it; whichever task it is in."""
        link = self._link
        link.step(self._now())
        self._pump()
        if self._asked:
            self._look()
        # TLS may hold what the socket no longer shows.
        if self._reading and not self._nudged and (link.unread or link.state != "up"):
            self._nudged = True
            self._tasks[0].cancel()

    # -- publishing --------------------------------------------------------------------------------

    def _pump(self):
        """Send what can be sent, in order."""
        link = self._link
        messages = self._messages
        while self._sent < len(messages) and link.state == "up":
            each = messages[self._sent]
            try:
                packet_id = link.send(
                    each.topic, each.payload, each.qos, each.retain, each.packet_id
                )
            except MemoryError as error:
                messages.pop(self._sent).over(error)
                continue
            if packet_id is None:
                return
            if packet_id:
                each.packet_id = packet_id
                self._sent += 1
            else:
                messages.pop(self._sent).over()

    def on_ack(self, packet_id):
        """A PUBACK has come."""
        messages = self._messages
        for at in range(self._sent):
            if messages[at].packet_id == packet_id:
                self._sent -= 1
                messages.pop(at).over()
                return

    # -- subscribing -------------------------------------------------------------------------------

    async def _settled(self, topic, qos):
        if isinstance(topic, str):
            topic = topic.encode()
        if self._closed:
            raise OSError(ENOTCONN, "closed")
        link = self._link
        for each in link._subscriptions[:]:
            if each._topic == topic:
                link._subscriptions.remove(each)
        link.subscribe(topic, qos)
        asked = _Asked(link._subscriptions[-1])
        self._asked.append(asked)
        if link.state == "up":
            self._turn()
        try:
            await asked.wait()
        finally:
            if asked in self._asked:
                self._asked.remove(asked)

    def _look(self):
        subscriptions = self._link._subscriptions
        for each in self._asked[:]:
            if each.entry not in subscriptions or each.entry._due is None:
                self._asked.remove(each)
                each.over()

    def on_refused(self, topic, code):
        """A subscription is refused."""
        for each in self._asked[:]:
            if each.entry._topic is topic:
                self._asked.remove(each)
                self._link._subscriptions.remove(each.entry)
                each.over(OSError(EACCES, "refused"))

    # -- what the client below tells ---------------------------------------------------------------

    def on_state(self, state):
        """`up` and `down` say what is worth knowing of it."""

    def on_up(self, present):
        """CONNACK has come."""
        self.present = present
        if not present:
            for each in self._messages:
                each.packet_id = 0
        self._since = self._ms
        # 2 KB of heap that only the next connection needs.
        for name in ("mqtt_connect", "transport_causes"):
            modules.pop(name, None)
        self.down.clear()
        self.up.set()

    def on_down(self, cause):
        """The connection has ended, or a try has failed."""
        if self._since:  # a program may have cleared `up`
            self._backoff.rested(self._ms - self._since)
            self._since = 0
        self.cause = cause
        self._pause = self._backoff.next_ms(cause)
        self._is_down()

    def _is_down(self):
        # What is on its way goes out again, in the same order, unless nobody waits for it.
        self._messages = [each for each in self._messages if not each.given_up]
        self._sent = 0
        self.up.clear()
        self.down.set()

    def _on_message(self, topic, payload, retained, dup):
        queue = self._queue
        if len(queue) == self._size:
            self.dropped += 1
            self.on_dropped(*queue.popleft()[:2])
        try:
            queue.append((topic, payload, retained))
        except MemoryError:
            self.dropped += 1
        self._came.set()

    # -- time --------------------------------------------------------------------------------------

    def _now(self):
        ticks = time.ticks_ms()
        self._ms += max(time.ticks_diff(ticks, self._ticks), 0)
        self._ticks = ticks
        return self._ms
