"""The connection of `limpet ingest`: a session that the broker keeps, whose Messages stay its until
they are acknowledged. Who only wants what is said now asks for one that is not kept.

One thread does it all, by paho's calls for loops of one's own: so what is acknowledged is always of
the connection it came by. paho connects, subscribes and keeps the connection alive; PUBLISH and
PUBACK go past it (packets.py). MQTT 5 where the broker speaks it, else 3.1.1.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from limpet.ingest.asked import Address, Wanted
from limpet.ingest.buffered import BufferedContext, BufferedSocket
from limpet.ingest.packets import Publish, acknowledged
from limpet.shared.problem import Problem

CONNECT_S = 10
KEEPALIVE_S = 60
# How long the broker queues for us while we are away: as long as its own settings say. With 30 days
# here mosquitto 2.0.21 dropped the session of a client that was killed and back within seconds.
SESSION_S = 0xFFFFFFFF
# So many Messages a broker that speaks MQTT 5 sends ahead of our acknowledgements.
WINDOW = 2000
# Of one packet; what is longer, such a broker keeps to itself.
MAX_PACKET = 1 << 20
# Taken in one step; of 3.1.1 a packet may have up to 256 MB.
MAX_BYTES = 1 << 24
BACKOFF_S = (1, 30)
_NEEDED = "which several workers need"
_ALONE = "Run one, without --share and --workers; or take another broker: docs/ingest.md."
_UNSUPPORTED = 132  # as paho calls CONNACK 1 of a broker that knows 3.1.1 alone


class Message(NamedTuple):
    """A Message as it came. topic: None where it is not UTF-8. generation and mid: for
    `acknowledge`; mid 0 where there is nothing to acknowledge. retained: said before we asked.
    """

    topic: str | None
    payload: bytes
    generation: int
    mid: int
    retained: bool = False


class Consumer:
    """One connection. Connects again by itself, with a back-off, and says so by `say`.

    What has come waits in `arrived` until its owner takes it with `take`, and says with
    `acknowledge` that it is stored.
    """

    def __init__(self, address: Address, wanted: Wanted, say: Callable[[str], None]) -> None:
        self.address = address
        self.arrived: list[Message] = []
        self.bytes = 0  # of what has arrived
        self.up = False
        self.connects = 0
        self.unacknowledged = 0
        self._wanted = wanted
        self._asking = wanted.filters()
        self._unheard = 0  # how many connections in a row ended before there was a SUBACK
        self._say = say
        self._generation = 0
        self._protocol = mqtt.MQTTv5
        self._client: mqtt.Client | None = None
        self._socket: BufferedSocket | None = None
        self._next_try = 0.0
        self._delay_s = BACKOFF_S[0]
        self._unanswered = 0
        self._told = ""
        self._error = ""
        self._fatal: Problem | None = None

    @property
    def version(self) -> str:
        """What is spoken: `MQTT 5` or `MQTT 3.1.1`."""
        return "MQTT 5" if self._protocol == mqtt.MQTTv5 else "MQTT 3.1.1"

    @property
    def leaving(self) -> bool:
        """Whether the session is given up once it is empty."""
        return self._wanted.leaving

    def step(self, timeout_s: float, *, reading: bool = True) -> None:
        """Wait for the broker for at most `timeout_s`, and take what has come. Without `reading`
        only what has to be said is said. Raises Problem for what only a person can put right, as
        long as there was no connection yet.
        """
        if self._fatal and not self.connects:
            raise self._fatal
        if self._client is None:
            self._connect_when_due(timeout_s)
            return
        client, connection = self._client, self._socket
        if connection is None:
            self._lost()
            return
        self._wait(connection, timeout_s, reading)
        if reading:
            self._read(client, connection)
        client.loop_misc()
        self._write()

    def take(self) -> list[Message]:
        """Return what has arrived, which is its owner's from now on."""
        taken, self.arrived, self.bytes = self.arrived, [], 0
        return taken

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Tell the broker that these are stored. What came by an earlier connection is left out:
        the broker sends it again, and its id may stand for another Message by now.
        """
        if self._socket is None:
            return
        now = self._generation
        self._socket.send(
            acknowledged([each.mid for each in messages if each.mid and each.generation == now])
        )
        self._write()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Send a Message, QoS 1; False where there is no connection. What the broker has not
        acknowledged when the connection ends is gone; `unacknowledged` counts it until then.
        """
        if self._client is None or not self.up:
            return False
        self.unacknowledged += 1
        self._client.publish(topic, payload, 1, retain)
        self._write()
        return True

    def close(self, *, for_good: bool = False) -> None:
        """Leave; the broker goes on queueing, unless it is `for_good`. Twice does no harm."""
        if client := self._client:
            client.on_disconnect = None  # it is no loss
            last = None
            if for_good:
                last = Properties(PacketTypes.DISCONNECT)
                last.SessionExpiryInterval = 0
            with contextlib.suppress(OSError, ValueError):
                client.disconnect(properties=last)
                self._write()
        self._forget()

    def _wait(self, connection: BufferedSocket, timeout_s: float, reading: bool) -> None:
        if reading and not connection.dry:
            return
        more = connection.unwritten or (self._client and self._client.want_write())
        writing = [connection] if more else []
        try:
            select.select([connection] if reading else [], writing, [], timeout_s)
        except (OSError, ValueError):
            self._lost()

    def _read(self, client: mqtt.Client, connection: BufferedSocket) -> None:
        """Take what is there, but not for longer than a batch: who sends all the time would keep us
        from storing.
        """
        most = len(self.arrived) + WINDOW
        try:
            while len(self.arrived) < most and self.bytes <= MAX_BYTES:
                for each in connection.receive():
                    self._message(each)
                while connection.waiting and self._socket is connection:
                    if client.loop_read() and self._socket is connection:
                        self._lost()
                if connection.dry or self._socket is not connection:
                    return
        except ValueError as error:
            self._error = f"it sends {error}"
            self._lost()
        except OSError as error:
            self._error = error.strerror or str(error)
            self._lost()

    def _write(self) -> None:
        client, connection = self._client, self._socket
        if client is None or connection is None:
            return
        client.loop_write()
        try:
            connection.flush()
        except OSError as error:
            self._error = error.strerror or str(error)
            self._lost()

    # Connecting.

    def _connect_when_due(self, timeout_s: float) -> None:
        wait_s = self._next_try - time.monotonic()
        if wait_s > 0:
            time.sleep(min(wait_s, timeout_s))
            return
        self._client = client = self._paho()
        self._error = ""
        address = self.address
        try:
            client.connect(address.host, address.port, KEEPALIVE_S, **self._session())
            self._write()
        except ssl.SSLCertVerificationError as error:
            self._fail(
                f"its certificate is refused: {error.verify_message.rstrip('.')}", fatal=True
            )
        except ssl.SSLError as error:
            self._fail(f"it does not speak TLS with us: {error.reason}")
        except socket.gaierror:
            self._fail("there is no host of that name")
        except OSError as error:
            self._fail(error.strerror or str(error))

    def _session(self) -> dict[str, Any]:
        if self._protocol != mqtt.MQTTv5:
            return {}
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = SESSION_S if self._wanted.kept else 0
        properties.ReceiveMaximum = WINDOW
        properties.MaximumPacketSize = MAX_PACKET
        return {"clean_start": not self._wanted.kept, "properties": properties}

    def _paho(self) -> mqtt.Client:
        version_5 = self._protocol == mqtt.MQTTv5
        client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            self.address.name,
            protocol=self._protocol,
            reconnect_on_failure=False,
            **({} if version_5 else {"clean_session": not self._wanted.kept}),  # type: ignore[arg-type]
        )
        context = BufferedContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.server_name = self.address.server_name
        context.version_5 = version_5
        context.load_verify_locations(self.address.ca)
        context.load_cert_chain(self.address.certificate, self.address.key)
        client.tls_set_context(context)
        client.connect_timeout = CONNECT_S
        client.on_connect = self._greeted
        client.on_disconnect = self._disconnected
        client.on_subscribe = self._subscribed
        client.on_publish = self._published
        client.on_log = self._logged
        client.on_socket_open = self._opened
        # With one of these set, paho writes when it is told to, not at each call.
        client.on_socket_register_write = _nothing
        return client

    def _opened(self, client: mqtt.Client, data: Any, connection: Any) -> None:
        self._socket = connection
        self._generation += 1
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _greeted(self, client: mqtt.Client, data: Any, flags: Any, reason: Any, props: Any) -> None:
        if reason.is_failure:
            if self._protocol == mqtt.MQTTv5 and reason.value == _UNSUPPORTED:
                self._downgrade()
                return
            name = self.address.name
            self._fail(f"it refuses {name}: {reason}", fatal=True)
            return
        if self._wanted.shared and getattr(props, "SharedSubscriptionAvailable", 1) == 0:
            self._fail(f"it has no shared subscriptions, {_NEEDED}", fatal=True, remedy=_ALONE)
            return
        self._unanswered = 0
        self.up = True
        client.on_log = None  # else paho puts each packet into words
        self._delay_s = BACKOFF_S[0]
        if self._wanted.leaving:
            self._connected()
        else:
            self._unheard += 1
            client.subscribe([(each, 1) for each in self._asking])
        if flags.session_present:
            # What it was subscribed to as another number of workers would come twice.
            client.unsubscribe(self._wanted.others())

    def _subscribed(
        self, client: mqtt.Client, data: Any, mid: int, reasons: Any, props: Any
    ) -> None:
        self._unheard = 0
        asked = zip(self._asking, reasons, strict=False)
        refused = [name for name, reason in asked if reason.is_failure]
        if set(refused) & set(self._wanted.optional):
            self._ask_less()
            refused = [name for name in refused if name not in self._wanted.optional]
        if refused:
            self._fail(f"it refuses {self.address.name} the subscription to {refused[0]}", True)
            return
        self._connected()

    def _ask_less(self) -> None:
        """Leave out what a broker may refuse from the next connection on: RabbitMQ ends the one in
        which it is asked for, others without an answer.
        """
        optional = self._wanted.optional
        self._asking = [name for name in self._wanted.filters() if name not in optional]

    def _connected(self) -> None:
        kept = "connected again" if self.connects else "connected"
        self.connects += 1
        self._told = ""
        left = ", for what was left there" if self.leaving else ""
        self._say(f"{kept} to {self.address.host}:{self.address.port}, {self.version}{left}")

    def _published(self, client: mqtt.Client, data: Any, mid: int, reason: Any, props: Any) -> None:
        self.unacknowledged -= 1

    def _message(self, came: Publish) -> None:
        try:
            topic: str | None = came.topic.decode()
        except UnicodeDecodeError:
            topic = None
        self.bytes += len(came.payload)
        self.arrived.append(Message(topic, came.payload, self._generation, came.mid, came.retained))

    def _disconnected(
        self, client: mqtt.Client, data: Any, flags: Any, reason: Any, props: Any
    ) -> None:
        if client is self._client:
            self._error = self._error or str(reason)
            self._lost()

    def _logged(self, client: mqtt.Client, data: Any, level: int, text: str) -> None:
        if level == mqtt.MQTT_LOG_ERR:
            self._error = text.rpartition(": ")[2]

    # Failing.

    def _downgrade(self) -> None:
        if self._wanted.version_5:
            self._fail(f"it speaks no MQTT 5, {_NEEDED}", fatal=True, remedy=_ALONE)
            return
        self._protocol = mqtt.MQTTv311
        self._forget()

    def _lost(self) -> None:
        if self._unheard > 1:
            self._ask_less()
        if not self.up:
            # There are brokers that answer a version they do not know by closing.
            self._unanswered += 1
            if self._unanswered % 3 == 0 and not self._wanted.version_5:
                newer = self._protocol == mqtt.MQTTv5
                self._protocol = mqtt.MQTTv311 if newer else mqtt.MQTTv5
        self._fail(self._error or "it closed the connection")

    def _fail(self, why: str, fatal: bool = False, remedy: str = "") -> None:
        """Forget the connection, and try again later. fatal: only a person can put it right, by
        `remedy`.
        """
        at = f"{self.address.host}:{self.address.port}"
        was_up = self.up
        self._forget()
        self._next_try = time.monotonic()
        self.address = self.address.turned(was_up)
        if self.address.at:
            fatal = False  # the next one may be had
        else:
            self._next_try += self._delay_s
            self._delay_s = min(self._delay_s * 2, BACKOFF_S[1])
        if fatal:
            self._fatal = Problem(
                f"No connection to {at}: {why}.",
                remedy or f"We are {self.address.certificate}; is this its broker, and up to date?",
            )
            if not self.connects:
                return  # `step` raises it
        if why != self._told or was_up:
            self._told = why
            self._say(f"no connection to {at}: {why}; trying again")

    def _forget(self) -> None:
        connection, self._client, self._socket, self.up = self._socket, None, None, False
        self.unacknowledged = 0
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.close()


def _nothing(client: mqtt.Client, data: Any, connection: Any) -> None:
    """Nothing is to be done."""
