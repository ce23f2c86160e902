"""One connection to a broker, to see what somebody may: with a certificate, or with none.

It neither comes back by itself nor takes a refusal for an error. All waiting ends in time.
"""

import contextlib
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt

from limpet.doctor.facts import Message
from limpet.identity.authority import Identity
from limpet.operating.operator_client import NamedContext
from limpet.shared import private

# To connect, and for each answer. Brokers of one's own network answer in milliseconds; a machine
# that is busy, and a network far away, take their time.
ANSWER_S = 5.0
KEEPALIVE_S = 10
# More of it says nothing more, and may be anybody's.
KEPT_BYTES = 4096
KEPT_MESSAGES = 50_000
_REFUSED = 0x80
# What doctor says itself has it, and is found again among whatever else comes.
MARK = b"doctor"


def tls(
    ca: Path | None, server_name: str | None = None, files: tuple[Path, Path] | None = None
) -> NamedContext:
    """Return a context with a certificate and its key, or with none.

    ca: which authority the broker has to be of; None: any, for who has nothing to lose there.
    server_name: the name that its certificate has to carry, if not the host's.
    """
    context = NamedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.server_name = server_name
    if ca is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(ca)
    if files:
        context.load_cert_chain(*files)
    return context


def tls_of(ca: Path, server_name: str | None, identity: Identity) -> NamedContext:
    """Return a context with an identity that lies in no file; ssl reads them from there alone."""
    with tempfile.TemporaryDirectory(prefix="limpet-") as name:
        pem = Path(name) / "pem"
        private.write(pem, identity.key_pem() + identity.pem())
        return tls(ca, server_name, (pem, pem))


class Visitor:
    """A client called `name` at `at`; context: for TLS, None: without.

    theirs: the session is somebody else's; it is not ended, and nothing that comes is acknowledged,
    so that all of it comes to that one, too. `heard` is what came, the first KEPT_MESSAGES of it,
    and `more` how much came besides. closed: the broker, or the network, has ended it. silent: it
    did not even answer TLS.
    """

    def __init__(
        self,
        at: tuple[str, int],
        name: str,
        context: ssl.SSLContext | None,
        *,
        login: tuple[str, str] | None = None,
        theirs: bool = False,
    ) -> None:
        self.heard: list[Message] = []
        self.more = 0
        self.closed = False
        self.session = False
        self.silent = False
        self.name = name
        self._at = at
        self._changed = threading.Condition()
        self._greeting: str | None = None
        self._marked: dict[tuple[str, bytes], int] = {}
        self._granted: dict[int, int] = {}
        self._acknowledged: set[int] = set()
        self._paho = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            name,
            clean_session=not theirs,
            reconnect_on_failure=False,
            manual_ack=theirs,
        )
        if context:
            self._paho.tls_set_context(context)
        if login:
            self._paho.username_pw_set(*login)
        self._paho.connect_timeout = ANSWER_S
        self._paho.on_connect = self._on_connect
        self._paho.on_disconnect = self._on_disconnect
        self._paho.on_message = self._on_message
        self._paho.on_subscribe = self._on_subscribe
        self._paho.on_publish = self._paho.on_unsubscribe = self._on_acknowledged

    def connect(self) -> str:
        """Connect; return "" where it is let in, else why not."""
        try:
            # Its keepalive is paho's limit for the handshake, too.
            self._paho.connect(*self._at, keepalive=KEEPALIVE_S)
        except TimeoutError:
            self.silent = True
            return "no answer"
        except ssl.SSLError as error:
            return error.reason or "no TLS"
        except OSError as error:
            return error.strerror or str(error)
        self._paho.loop_start()
        self.wait(lambda: self._greeting is not None or self.closed)
        if self._greeting == "":
            return ""
        return self._greeting or ("the connection is closed" if self.closed else "no answer")

    @property
    def greeted(self) -> bool:
        """Whether an MQTT server has answered, if only with a refusal."""
        return self._greeting is not None

    def subscribe(self, topic_filter: str, qos: int = 1) -> int | None:
        """Return the QoS that is granted; None where it is refused, or not answered."""
        _, number = self._paho.subscribe(topic_filter, qos)
        self.wait(lambda: number in self._granted or self.closed)
        granted = self._granted.get(number or 0, _REFUSED)
        return granted if granted < _REFUSED else None

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Publish with QoS 1; whether it is acknowledged."""
        with contextlib.suppress(ValueError, RuntimeError):
            return self._wait_acknowledged(self._paho.publish(topic, payload, 1, retain).mid)
        return False

    def _wait_acknowledged(self, number: int | None) -> bool:
        self.wait(lambda: number in self._acknowledged or self.closed)
        return number in self._acknowledged

    def wait(self, ready: Callable[[], bool], limit_s: float = ANSWER_S) -> bool:
        """Wait until something is so; return whether it is."""
        until = time.monotonic() + limit_s
        with self._changed:
            # In short turns: a wait without an end would not be interrupted on every system.
            while not ready() and (left := until - time.monotonic()) > 0:
                self._changed.wait(min(left, 0.5))
            return ready()

    def hears(self, topic: str, payload: bytes, limit_s: float) -> bool:
        """Wait for that Message, which has MARK in it, and return whether it has come."""
        said = (topic, payload)
        self.wait(lambda: said in self._marked or self.closed, limit_s)
        return said in self._marked

    def came_with(self, topic: str) -> int | None:
        """Return the QoS with which a Message with MARK came on a topic; None: none came."""
        return next((self._marked[said] for said in self._marked if said[0] == topic), None)

    def forget(self, filters: Iterable[str]) -> None:
        """Take back subscriptions: those of a session that is kept would outlive this one."""
        for each in filters:
            if not self.closed:
                _, number = self._paho.unsubscribe(each)
                self._wait_acknowledged(number)

    def close(self) -> None:
        """Disconnect. Twice does no harm."""
        self._paho.disconnect()
        ending = threading.Thread(target=self._paho.loop_stop, name="leaving", daemon=True)
        ending.start()
        ending.join(ANSWER_S)

    def __enter__(self) -> "Visitor":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # What paho calls, on its own thread.

    def _on_connect(self, client: Any, data: Any, flags: Any, reason: Any, props: Any) -> None:
        with self._changed:
            self.session = flags.session_present
            self._greeting = str(reason) if reason.is_failure else ""
            self._changed.notify_all()

    def _on_disconnect(self, client: Any, data: Any, flags: Any, reason: Any, props: Any) -> None:
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    def _on_message(self, client: Any, data: Any, message: mqtt.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = "(topic is not UTF-8)"
        payload = bytes(message.payload[:KEPT_BYTES])
        said = Message(topic, payload, message.qos, message.retain, time.time())
        with self._changed:
            if MARK in payload and len(self._marked) < KEPT_MESSAGES:
                self._marked[topic, payload] = message.qos
            if len(self.heard) < KEPT_MESSAGES:
                self.heard.append(said)
            else:
                self.more += 1
            self._changed.notify_all()

    def _on_subscribe(self, client: Any, data: Any, number: int, reasons: Any, props: Any) -> None:
        with self._changed:
            self._granted[number] = reasons[0].value if reasons else _REFUSED
            self._changed.notify_all()

    def _on_acknowledged(
        self, client: Any, data: Any, number: int, reason: Any, props: Any
    ) -> None:
        with self._changed:
            self._acknowledged.add(number)
            self._changed.notify_all()
