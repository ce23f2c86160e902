"""One connection of the embedded broker: amqtt's handler with holes closed.

The numbers in brackets are those of certified_broker.py.
"""

import asyncio
from typing import Any

from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.session import ApplicationMessage


class Connection(BrokerProtocolHandler):
    """amqtt's end of one connection, which also ends when the client falls silent [1]."""

    undelivered: ApplicationMessage | None = None

    def handle_read_timeout(self) -> None:
        """Close: nothing came for one and a half keepalives (MQTT 3.1.1 section 3.1.2.10)."""
        self._closing = asyncio.ensure_future(self.handle_connection_closed())

    async def mqtt_deliver_next_message(self) -> ApplicationMessage | None:
        """Take the next Message to pass on, and keep it in `undelivered` until that is done."""
        self.undelivered = await super().mqtt_deliver_next_message()
        return self.undelivered

    def next_subscription(self) -> asyncio.Future[Any] | None:
        """Take a SUBSCRIBE that has come already and is not answered yet, or None [11]."""
        if self._pending_subscriptions.empty():
            return None
        ready: asyncio.Future[Any] = asyncio.Future()
        ready.set_result(self._pending_subscriptions.get_nowait())
        return ready
