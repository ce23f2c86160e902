"""A client for tests: paho-mqtt behind calls that wait for what they cause, with a deadline.

It neither reconnects nor swallows a refusal.
"""

from __future__ import annotations

import json
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import paho.mqtt.client as mqtt
from limpet.identity.authority import Identity
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from support import schemas

# Far above what anything here takes, so that only what never comes meets it.
TIMEOUT_S = 60


class Message(NamedTuple):
    """A Message as it arrived."""

    topic: str
    payload: bytes
    qos: int
    retain: bool

    def json(self) -> Any:
        """Return the payload decoded."""
        return json.loads(self.payload)


class Refused(Exception):
    """The broker did not let the client in; the text is its reason, or `closed` where it said
    none.
    """


class Client:
    """One connection with a certificate (`identity`), or without.

    name: the client id. will: (topic, payload, retain). session_s: with MQTT 5, how long its
    session is to outlive the connection. ca: the file with the CA to believe; None: no TLS at all.
    """

    def __init__(
        self,
        address: tuple[str, int],
        name: str,
        identity: Identity | None,
        ca: Path | None,
        *,
        username: str | None = None,
        password: str | None = None,
        will: tuple[str, str, bool] | None = None,
        clean_session: bool = True,
        keepalive_s: int = 60,
        protocol: mqtt.MQTTProtocolVersion = mqtt.MQTTv311,
        session_s: int = 0,
    ) -> None:
        self.messages: list[Message] = []
        self.session_present = False
        self.closed = False
        self.name = name
        self._address = address
        self._keepalive_s = keepalive_s
        self._changed = threading.Condition()
        self._greeting: str | None = None
        self._acknowledged: set[int] = set()
        self._granted: dict[int, int] = {}
        self._connecting: dict[str, Any] = {}
        if protocol == mqtt.MQTTv5 and session_s:
            wishes = Properties(PacketTypes.CONNECT)
            wishes.SessionExpiryInterval = session_s
            self._connecting = {"clean_start": False, "properties": wishes}
        clean = {} if protocol == mqtt.MQTTv5 else {"clean_session": clean_session}
        self._paho = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            name,
            protocol=protocol,
            reconnect_on_failure=False,
            **clean,  # type: ignore[arg-type]
        )
        if ca:
            self._paho.tls_set_context(_context(identity, ca))
        if username is not None:
            self._paho.username_pw_set(username, password)
        if will:
            schemas.own(*will[:2])
            self._paho.will_set(will[0], will[1], qos=1, retain=will[2])
        self._paho.on_connect = self._on_connect
        self._paho.on_disconnect = self._on_disconnect
        self._paho.on_message = self._on_message
        self._paho.on_publish = self._on_publish
        self._paho.on_subscribe = self._on_subscribe

    def connect(self) -> Client:
        """Connect and wait for CONNACK; raises Refused."""
        try:
            self._paho.connect(*self._address, keepalive=self._keepalive_s, **self._connecting)
        except (ssl.SSLError, ConnectionResetError, BrokenPipeError) as error:
            raise Refused("closed") from error
        self._paho.loop_start()
        self._wait(lambda: self._greeting is not None, "CONNACK")
        if self._greeting != "Success":
            self.close()
            raise Refused(self._greeting)
        return self

    def subscribe(self, topic_filter: str, qos: int = 1) -> int:
        """Subscribe and return what was granted: a QoS, or 0x80."""
        _, number = self._paho.subscribe(topic_filter, qos)
        assert number is not None
        self._wait(lambda: number in self._granted, f"SUBACK for {topic_filter}")
        return self._granted[number]

    def ask_and_say(self, filters: list[str], topic: str, payload: str) -> None:
        """Subscribe to each at QoS 1 and publish at QoS 1 behind, without waiting for answers."""
        schemas.own(topic, payload)
        for each in filters:
            self._paho.subscribe(each, 1)
        self._paho.publish(topic, payload, 1)

    def publish(
        self, topic: str, payload: str | bytes | dict[str, Any], qos: int = 1, retain: bool = False
    ) -> None:
        """Publish, and with QoS 1 wait for the PUBACK. A dict is sent as JSON."""
        data = json.dumps(payload) if isinstance(payload, dict) else payload
        schemas.own(topic, data)
        number = self._paho.publish(topic, data, qos, retain).mid
        self._wait(lambda: number in self._acknowledged, f"PUBACK for {topic}")

    def offer(self, topic: str, payload: str, retain: bool = False) -> bool:
        """Publish at QoS 1, and wait until it is acknowledged or the connection is closed for it;
        whether it was acknowledged.
        """
        schemas.own(topic, payload)
        number = self._paho.publish(topic, payload, 1, retain).mid
        self._wait(lambda: number in self._acknowledged or self.closed, "PUBACK, or an end")
        return number in self._acknowledged

    def ask(self, topic_filter: str) -> bool:
        """Subscribe at QoS 1, and wait until that is answered or the connection is closed for it;
        whether it was granted.
        """
        _, number = self._paho.subscribe(topic_filter, 1)
        self._wait(lambda: number in self._granted or self.closed, "SUBACK, or an end")
        return self._granted.get(number or 0, 0x80) < 0x80

    def wait_for(
        self,
        topic: str,
        predicate: Callable[[Message], bool] = lambda message: True,
        timeout: float = TIMEOUT_S,
    ) -> Message:
        """Return the first Message, past or to come, on `topic` (or filter) that `predicate`
        likes.
        """
        found: list[Message] = []

        def there() -> bool:
            found[:] = [m for m in self.seen(topic) if predicate(m)]
            return bool(found)

        self._wait(there, f"a Message on {topic}", timeout)
        return found[0]

    def seen(self, topic: str) -> list[Message]:
        """Return what has arrived so far on `topic` (or filter), in its order."""
        return [m for m in list(self.messages) if mqtt.topic_matches_sub(topic, m.topic)]

    def wait_closed(self, timeout: float = TIMEOUT_S) -> None:
        """Wait until the broker has closed the connection."""
        self._wait(lambda: self.closed, "the connection to be closed", timeout)

    def close(self) -> None:
        """Disconnect properly. Twice does no harm."""
        self._paho.disconnect()
        self._paho.loop_stop()

    def freeze(self) -> None:
        """Leave the socket open and say nothing more, as a process that hangs does."""
        self._paho.loop_stop()

    def drop(self) -> None:
        """Close the socket without DISCONNECT, as a killed process does: the will speaks."""
        raw = self._paho.socket()
        assert isinstance(raw, socket.socket)
        raw.shutdown(socket.SHUT_RDWR)
        self._paho.loop_stop()

    def _wait(self, there: Callable[[], bool], what: str, timeout: float = TIMEOUT_S) -> None:
        with self._changed:
            if not self._changed.wait_for(there, timeout):
                seen = "\n".join(map(str, self.messages[-20:]))
                raise TimeoutError(f"{what} did not come within {timeout} s; arrived:\n{seen}")

    # What paho calls, on its own thread.

    def _on_connect(self, client: Any, data: Any, flags: Any, reason: Any, props: Any) -> None:
        with self._changed:
            self.session_present = flags.session_present
            self._greeting = reason.getName()
            self._changed.notify_all()

    def _on_disconnect(self, client: Any, data: Any, flags: Any, reason: Any, props: Any) -> None:
        with self._changed:
            self._greeting = self._greeting or "closed"
            self.closed = True
            self._changed.notify_all()

    def _on_message(self, client: Any, data: Any, message: mqtt.MQTTMessage) -> None:
        with self._changed:
            self.messages.append(
                Message(message.topic, bytes(message.payload), message.qos, message.retain)
            )
            self._changed.notify_all()
        schemas.note(message.topic, bytes(message.payload))

    def _on_publish(self, client: Any, data: Any, number: int, reason: Any, props: Any) -> None:
        with self._changed:
            self._acknowledged.add(number)
            self._changed.notify_all()

    def _on_subscribe(self, client: Any, data: Any, number: int, reasons: Any, props: Any) -> None:
        with self._changed:
            self._granted[number] = reasons[0].value
            self._changed.notify_all()


def _context(identity: Identity | None, ca: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca)
    if identity:
        # The ssl module reads keys from files alone.
        with tempfile.NamedTemporaryFile() as file:
            file.write(identity.key_pem() + identity.pem())
            file.flush()
            context.load_cert_chain(file.name)
    return context
