"""The operator's connection to the broker, for `watch`, `send` and `run`: mutual TLS over paho.

What keeps it from connecting is a Problem: the cause, and the one thing to do. It never connects
without verifying the broker, and keeps no Messages while it is disconnected.
"""

import contextlib
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import paho.mqtt.client as mqtt

from limpet.identity.operators import Operator, operator_identity
from limpet.operating.where import SetupInfo, Where
from limpet.shared.problem import Problem

# Each verb names a broker in its own way, as a word or as an option: no remedy says which.
_NAMED = "name the broker that is meant"
START = f"Start `limpet run` or `limpet broker`, or {_NAMED}, with its port."

# Long enough for a handshake on a loaded laptop, short enough that nobody thinks it hangs.
CONNECT_S = 10
KEEPALIVE_S = 30
CLOSE_S = 3
# Who is thrown out by another client of its name comes back within seconds, and so does that one.
SHORT_S = 30


class Arrival(NamedTuple):
    """A Message as it arrived, `at` seconds on `time.monotonic`'s clock."""

    topic: str
    payload: bytes
    retained: bool
    at: float


class NamedContext(ssl.SSLContext):
    """A TLS context with a server name of its own: paho checks against the host's name alone.

    It is asked to wrap as soon as there is a TCP connection, and says so to `on_wrap`.
    """

    server_name: str | None = None
    on_wrap: Callable[[], None] | None = None

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        """Wrap as the base class does, with `server_name` where one is set."""
        if self.on_wrap:
            self.on_wrap()
        if self.server_name:
            kwargs["server_hostname"] = self.server_name
        return super().wrap_socket(*args, **kwargs)


class OperatorClient:
    """One connection with the operator's certificate, or with another `identity`, to the broker of
    `device`, if one is named. Comes back by itself after it was up once.

    `on_message` and `on_change` (a line for a person: lost, back) are called on the network's
    thread and have to return at once. So is `on_step` ("TCP", "TLS", "login": that one is done),
    which whoever called `connect` may hear of on his own thread too.
    """

    def __init__(
        self,
        where: Where,
        on_message: Callable[[Arrival], None],
        on_change: Callable[[str], None] = lambda text: None,
        device: str | None = None,
        identity: Operator | None = None,
        on_step: Callable[[str], None] = lambda step: None,
    ) -> None:
        self.info = SetupInfo(where.root, device)
        # Where to connect to: the first of these that can be had.
        self.brokers = where.brokers(self.info)
        self.host, self.port = self.brokers[0]
        self._on_message = on_message
        self._on_change = on_change
        self._on_step = on_step
        self._filters: list[tuple[str, int]] = []
        self._changed = threading.Condition()
        self._greeting: Any = None
        self._granted: dict[int | None, list[Any]] = {}
        self._last_error = ""
        self._up_at = 0.0
        self._short = 0  # how many times in a row it was lost soon after it was there
        self._identity = identity or operator_identity(where.root)
        self.server_name: str | None = where.server_name or self.info.server_name
        self._client = self._paho(self.server_name)

    def _paho(self, server_name: str | None) -> mqtt.Client:
        identity = self._identity
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, identity.name)
        context = NamedContext(ssl.PROTOCOL_TLS_CLIENT)
        context.server_name = server_name
        context.on_wrap = lambda: self._on_step("TCP")
        context.load_verify_locations(identity.ca)
        context.load_cert_chain(identity.cert, identity.key)
        client.tls_set_context(context)
        client.connect_timeout = CONNECT_S
        client.reconnect_delay_set(1, 8)
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_subscribe = self._subscribed
        client.on_message = self._arrived
        client.on_log = self._logged
        client.on_socket_open = self._opened
        return client

    @property
    def identity(self) -> Operator:
        """Who we are to the broker."""
        return self._identity

    def server_ends(self) -> float | None:
        """Return until when the broker's certificate is good, as Unix seconds; None where there is
        no connection.
        """
        connection = self._client.socket()
        shown = connection.getpeercert() if isinstance(connection, ssl.SSLSocket) else None
        return ssl.cert_time_to_seconds(str(shown["notAfter"])) if shown else None

    def connect(self) -> None:
        """Connect and wait for the broker's greeting; raises Problem with the cause otherwise.

        Where the devices have several brokers it is the first of them that can be had, and a line
        on stderr says so.
        """
        for each in self.brokers:
            self.host, self.port = each
            try:
                self._reach()
                break
            except Problem as problem:
                if each == self.brokers[-1]:
                    raise
                print(f"limpet: {problem.cause} Trying the next one.", file=sys.stderr)
        self._client.loop_start()
        where = f"{self.host}:{self.port}"
        if not self._wait(lambda: self._greeting is not None, CONNECT_S):
            raise Problem(f"{where} does not greet.", "Is it an MQTT broker?")
        if self._greeting != "up":
            who = f"{self._identity.cert}, client id {self._identity.name}"
            raise Problem(f"{where} refuses us: {self._greeting}.", f"We are {who}.")
        self._on_step("login")

    def _reach(self) -> None:
        where = f"{self.host}:{self.port}"
        name = "Is this the broker that was provisioned here? --server-name gives another name."
        try:
            self._client.connect(self.host, self.port, KEEPALIVE_S)
        except ssl.SSLCertVerificationError as error:
            raise Problem(
                f"The certificate of {where} is refused: {error.verify_message.rstrip('.')}.", name
            ) from None
        except ssl.SSLError as error:
            raise Problem(
                f"{where} does not speak TLS with us: {error.reason}.",
                "Name the port at which it takes MQTT by TLS: 8883 is usual.",
            ) from None
        except socket.gaierror:
            raise Problem(f"No host is called {self.host}.", f"{_NAMED.capitalize()}.") from None
        except OSError as error:
            raise Problem(
                f"There is no broker at {where}: {error.strerror or error}.", START
            ) from None

    def subscribe(self, filters: Iterable[str], qos: int = 1) -> None:
        """Subscribe and wait until it is granted; raises Problem if it is not."""
        for name in filters:
            try:
                result, mid = self._client.subscribe(name, qos)
            except ValueError:
                raise Problem(
                    f"{name!r} is no topic filter.", "Such as limpet/+/+/+/+/status."
                ) from None
            if result != mqtt.MQTT_ERR_SUCCESS or not self._wait_granted(mid):
                raise Problem(f"The broker does not answer the subscription to {name}.", START)
            if any(code.is_failure for code in self._granted.pop(mid)):
                raise Problem(
                    f"The broker refuses the subscription to {name}.",
                    f"{self._identity.name} may read what is below its organisation.",
                )
            self._filters.append((name, qos))

    def publish(self, topic: str, payload: bytes) -> mqtt.MQTTMessageInfo:
        """Publish with QoS 1, not retained, and return at once, with what tells whether it is
        acknowledged.
        """
        return self._client.publish(topic, payload, qos=1)

    def clear(self, topic: str) -> bool:
        """Have the broker forget what is retained on `topic`; whether it has acknowledged that."""
        sent = self._client.publish(topic, b"", qos=1, retain=True)
        with contextlib.suppress(RuntimeError, ValueError):  # not connected just now
            sent.wait_for_publish(CLOSE_S)
        return sent.is_published()

    def close(self) -> None:
        """Disconnect and end the network's thread. Twice does no harm."""
        self._client.disconnect()
        # paho waits for its thread without a limit, and that one may be in a handshake or in DNS.
        ending = threading.Thread(target=self._client.loop_stop, name="leaving", daemon=True)
        ending.start()
        ending.join(CLOSE_S)
        self._identity.release()

    def __enter__(self) -> "OperatorClient":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _wait_granted(self, mid: int | None) -> bool:
        return self._wait(lambda: mid in self._granted, CONNECT_S)

    def _wait(self, ready: Callable[[], bool], timeout_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(ready, timeout_s)

    # What paho calls, on its own thread.

    def _connected(
        self, client: mqtt.Client, data: Any, flags: Any, reason: Any, props: Any
    ) -> None:
        with self._changed:
            self._up_at = time.monotonic()
            back = self._greeting == "up"
            if not back:
                self._greeting = str(reason) if reason.is_failure else "up"
            self._changed.notify_all()
        if back and not reason.is_failure:
            self._granted.clear()
            for name, qos in self._filters:
                client.subscribe(name, qos)
            self._on_change("connected again")

    def _disconnected(
        self, client: mqtt.Client, data: Any, flags: Any, reason: Any, props: Any
    ) -> None:
        with self._changed:
            if self._greeting is None:
                # With TLS 1.3 a broker refuses a client's certificate only after the handshake.
                self._greeting = self._last_error or "it closed the connection"
                self._changed.notify_all()
                client.disconnect()
                return
            if self._greeting != "up":
                return  # it has refused us, and `connect` says so
        if reason.is_failure:
            self._short = self._short + 1 if time.monotonic() - self._up_at < SHORT_S else 0
            self._on_change(f"connection lost, trying again{self._suspicion()}")

    def _suspicion(self) -> str:
        # MQTT 3.1.1 has no word for it: the broker just closes the older one of two connections.
        if self._short < 2:
            return ""
        name = self._identity.name
        return (
            f" (client-id-taken? Somebody else with {name}.crt throws us out, and we him: "
            "one certificate is good for one client at a time)"
        )

    def _subscribed(
        self, client: mqtt.Client, data: Any, mid: int, reasons: Any, props: Any
    ) -> None:
        with self._changed:
            self._granted[mid] = reasons
            self._changed.notify_all()

    def _arrived(self, client: mqtt.Client, data: Any, message: mqtt.MQTTMessage) -> None:
        try:
            topic = message.topic
        except (
            UnicodeDecodeError
        ):  # an MQTT topic is UTF-8; a broker that lets others pass is no reason to die
            topic = "(topic is not UTF-8)"
        self._on_message(Arrival(topic, bytes(message.payload), message.retain, time.monotonic()))

    def _opened(self, client: mqtt.Client, data: Any, connection: Any) -> None:
        # Behind the TLS handshake. paho leaves Nagle's algorithm on: with the other side's delayed
        # ACK that can cost 40 ms.
        self._on_step("TLS")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _logged(self, client: mqtt.Client, data: Any, level: int, text: str) -> None:
        if level == mqtt.MQTT_LOG_ERR:
            self._last_error = text.rpartition(": ")[2]
