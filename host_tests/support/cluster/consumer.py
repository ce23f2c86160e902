"""A consumer as one has to be behind a cluster: a session that is kept, QoS 1, and it comes back by
itself. It sends Commands as well.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import paho.mqtt.client as mqtt
from limpet.identity.operators import Operator, operator_identity
from paho.mqtt.enums import CallbackAPIVersion
from support import schemas, wire_readings
from support.brokers.running import RunningBroker
from support.cluster.ledger import Ledger

_WAIT_S = 60.0
_KEEPALIVE_S = 10
_SUFFIXES = ("telemetry/#", "status", "commands/response")


class Said(NamedTuple):
    """A Message, and when it came (time.monotonic())."""

    topic: str
    payload: bytes
    retain: bool
    at: float

    def json(self) -> Any:
        """Return the payload decoded."""
        return json.loads(self.payload)


class Consumer:
    """An operator of the set-up, connected to the broker's address for as long as the block lasts.

    Readings go into the ledger; `said` is what else came: statuses and Responses.
    """

    def __init__(self, broker: RunningBroker, ledger: Ledger) -> None:
        self.connects = 0
        self.said: list[Said] = []
        self._ledger = ledger
        self._changed = threading.Condition()
        self._granted = 0
        self._lease: Operator = operator_identity(broker.setup.layout.root)
        self._where = (broker.host, broker.port)
        self._paho = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            self._lease.name,
            protocol=mqtt.MQTTv311,
            clean_session=False,
        )
        self._paho.tls_set(str(self._lease.ca), str(self._lease.cert), str(self._lease.key))
        self._paho.reconnect_delay_set(1, 2)
        # A Command that nobody has taken yet is kept, however long that lasts.
        self._paho.max_queued_messages_set(0)
        self._paho.on_connect = self._connected
        self._paho.on_subscribe = self._subscribed
        self._paho.on_message = self._arrived

    def __enter__(self) -> Consumer:
        self._paho.connect_async(*self._where, keepalive=_KEEPALIVE_S)
        self._paho.loop_start()
        with self._changed:
            if not self._changed.wait_for(lambda: self._granted, _WAIT_S):
                raise TimeoutError(f"the cluster lets {self._lease.name} not subscribe")
        return self

    def __exit__(self, *_: object) -> None:
        self._paho.disconnect()
        self._paho.loop_stop()
        self._lease.release()

    def publish(self, topic: str, payload: dict[str, Any]) -> None:
        """Publish with QoS 1, once there is a connection."""
        data = json.dumps(payload)
        schemas.own(topic, data)
        self._paho.publish(topic, data, 1)

    def wait_for(
        self, topic: str, wanted: Callable[[Said], Any], timeout_s: float = _WAIT_S
    ) -> bool:
        """Wait for a Message on `topic` for which `wanted` is true, past or to come; whether it
        came.
        """

        def there() -> bool:
            return any(each.topic == topic and wanted(each) for each in self.said)

        with self._changed:
            return self._changed.wait_for(there, timeout_s)

    def wait_until(self, done: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until `done`, which is asked again after each Message; whether it is."""
        with self._changed:
            return self._changed.wait_for(done, timeout_s)

    def _connected(self, client: Any, data: Any, flags: Any, reason: Any, props: Any) -> None:
        if reason.is_failure:
            return
        self.connects += 1
        # A session that is still there has them; one that was lost needs them again.
        client.subscribe([(f"limpet/+/+/+/+/{each}", 1) for each in _SUFFIXES])

    def _subscribed(self, client: Any, data: Any, number: int, reasons: Any, props: Any) -> None:
        with self._changed:
            self._granted += not any(each.is_failure for each in reasons)
            self._changed.notify_all()

    def _arrived(self, client: Any, data: Any, message: mqtt.MQTTMessage) -> None:
        now, payload = time.monotonic(), bytes(message.payload)
        schemas.note(message.topic, payload)
        if wire_readings.is_telemetry(message.topic):
            self._ledger.got(message.topic.split("/")[4], payload)
            return
        with self._changed:
            self.said.append(Said(message.topic, payload, message.retain, now))
            self._changed.notify_all()
