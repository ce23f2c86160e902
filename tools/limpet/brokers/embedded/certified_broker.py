"""amqtt's Broker with its holes closed. Numbers in brackets are cases that amqtt 0.12.1 gets wrong.

Overridden instead of plugged in: amqtt asks plugins after it has acted (a CONNECT wipes the session
of that client id before anybody is asked), and waiting for a plugin in the middle of its table of
subscriptions loses Messages whenever the table changes meanwhile. What is waited for in the
overrides below never suspends unless it says so. Another amqtt has to be read first: these are
private methods.
"""

import asyncio
import contextlib
import logging
import ssl
from functools import partial
from math import ceil
from typing import Any

from amqtt.adapters import BufferReader, ReaderAdapter, WriterAdapter
from amqtt.broker import Broker
from amqtt.contexts import Action, BrokerConfig, ListenerConfig, ListenerType
from amqtt.errors import MQTTError
from amqtt.mqtt.connack import ConnackPacket
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.session import Session

from limpet.brokers import rules
from limpet.brokers.embedded import admission
from limpet.brokers.embedded.connection import Connection
from limpet.brokers.embedded.listener import Listener
from limpet.identity.layout import Layout
from limpet.shared.problem import Problem

# Set before anybody has a say: amqtt's warnings are about its own insides. `limpet broker
# --verbose` undoes it.
logging.getLogger("amqtt").setLevel(logging.CRITICAL)
# What a client chose is logged with %a: no control character gets to a terminal.
log = logging.getLogger("limpet.broker")

# Who is through the TLS handshake has this long for its CONNECT, and this much room.
CONNECT_S = 10
# A peer that is gone never answers a TLS close; asyncio would wait 30 s for it.
_CLOSE_S = 0.5
_TAKE_OVER_S = 5
# Between two looks at whether the registry has changed.
_LOOK_S = 0.5


class CertifiedBroker(Broker):
    """A broker on sockets that are bound already: `tls`, and in tests `plain`."""

    def __init__(self, layout: Layout, listeners: dict[str, Listener]) -> None:
        self._layout = layout
        self._listeners = listeners
        self._grants: dict[str, rules.Grant] = {}
        self._serials: dict[str, str] = {}
        # amqtt insists on a listener `default`, whose settings the others inherit: this one is
        # never bound.
        bound = {"default": ListenerConfig(bind=None)}
        for name in listeners:
            # The address is a form to be filled in; _create_server_instance takes the socket.
            bound[name] = ListenerConfig(bind="127.0.0.1:0")
        bound["tls"].ssl = True
        bound["tls"].cafile = layout.ca_certificate
        bound["tls"].certfile = layout.server_certificate
        bound["tls"].keyfile = layout.server_key
        super().__init__(BrokerConfig(listeners=bound, plugins={}))

    # Listening

    @staticmethod
    def _create_ssl_context(listener: ListenerConfig) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(listener.cafile)
        context.load_cert_chain(str(listener.certfile), listener.keyfile)
        # No client here resumes a session, and a ticket is one more record for a small client to
        # read.
        context.num_tickets = 0
        return context

    async def _create_server_instance(
        self,
        listener_name: str,
        listener_type: ListenerType,
        address: str | None,
        port: int,
        ssl_context: ssl.SSLContext | None,
    ) -> asyncio.Server:
        return await asyncio.start_server(
            partial(self.stream_connected, listener_name=listener_name),
            sock=self._listeners[listener_name],
            ssl=ssl_context,
            ssl_shutdown_timeout=_CLOSE_S if ssl_context else None,
        )

    async def shutdown(self) -> None:
        """Stop as a process that ends: every connection is cut, whatever state it is in."""
        for name, listener in self._listeners.items():
            if name in self._servers:
                self._servers[name].instance.close()
            listener.cut()
        await super().shutdown()

    # Who may come in

    async def _initialize_client_session(
        self, reader: ReaderAdapter, writer: WriterAdapter, remote_address: str, remote_port: int
    ) -> tuple[BrokerProtocolHandler, Session]:
        # [6] amqtt reads the CONNECT and at once throws away the session of the client id in it. So
        # it is read here first, and handed on only when it has the right to that session.
        client = admission.client_of(writer.get_ssl_info())
        name = client.name
        try:
            raw = await asyncio.wait_for(admission.read_connect(reader), CONNECT_S)
            connect = await admission.decode(raw)
            self._grants[name] = admission.admit(self._layout, client, connect)
            self._serials[name] = client.serial
        except admission.Refused as refusal:
            log.info("refused %s: %s", name or remote_address, refusal)
            with contextlib.suppress(OSError):
                await ConnackPacket.build(0, refusal.code).to_stream(writer)
            await _close(writer)
            raise MQTTError(str(refusal)) from None
        except (OSError, EOFError, TimeoutError, MQTTError) as error:
            log.info(
                "no CONNECT from %s: %s", name or remote_address, error or type(error).__name__
            )
            await _close(writer)
            raise MQTTError("no CONNECT") from None
        await self._take_over(name)
        _, session = await super()._initialize_client_session(
            BufferReader(raw), writer, remote_address, remote_port
        )
        # Of a session that goes on amqtt keeps the old will's retain flag, and of each the
        # password.
        session.will_retain = connect.will_retain_flag
        session.password = None
        session.keep_alive = ceil(connect.keep_alive * 1.5)
        return Connection(self.plugins_manager), session

    async def end(self, name: str) -> None:
        """End the connection of the client `name`, if there is one, with its will."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TAKE_OVER_S):
                while (old := self._sessions.get(name)) and old[0].transitions.is_connected():
                    await old[1].handle_connection_closed()
                    await asyncio.sleep(0.01)

    def subscribers(self) -> set[str]:
        """Return the ids of those who are connected and have subscribed to something. In the loop's
        thread.
        """
        found = [each for granted in self._subscriptions.values() for each, _ in granted]
        return {str(each.client_id) for each in found if each.transitions.is_connected()}

    async def follow_registry(self) -> None:
        """For ever: give whoever is connected the rights of now, and end who has none any more, as
        if his connection had broken.
        """
        known = None
        while True:
            with contextlib.suppress(OSError, Problem):  # a registry that is none just now
                if (found := self._layout.registered()) is not known:
                    known = found
                    for name in list(self._grants):
                        await self._follow(name)
            await asyncio.sleep(_LOOK_S)

    async def _follow(self, name: str) -> None:
        layout = self._layout
        grant = rules.grant(name, layout.bases(), layout.consumers())
        if grant and self._serials.get(name) not in layout.registered().revoked:
            self._grants[name] = grant
            return
        del self._grants[name]  # what comes from now on is for nobody
        log.info("ended %s: is in no registry any more, or revoked", name)
        await self.end(name)

    async def _take_over(self, name: str) -> None:
        # [9] The old connection ends, with its will, before the new one is greeted (section 3.1.4).
        # amqtt does both at once: the old will arrives after the new birth, or the new connection
        # is killed. This does suspend.
        await self.end(name)
        if (old := self._sessions.get(name)) and old[0].clean_session:
            # Swept up once a second only; until then amqtt would tell the client that its session
            # is present.
            await self._delete_session(name)

    async def _authenticate(self, session: Session, _: ListenerConfig) -> bool:
        return True  # who was not admitted has no session

    # Who may say and hear what

    async def _topic_filtering(self, session: Session, topic: str, action: Action) -> bool:
        grant = self._grants.get(session.client_id or "")
        if grant is None:
            return False
        allowed = grant.may_write(topic) if action == Action.PUBLISH else grant.may_read(topic)
        if not allowed and action != Action.RECEIVE:
            log.info("refused %s: may not %s %a", session.client_id, action.value, topic)
        return allowed

    async def _handle_disconnect(
        self,
        client_session: Session,
        handler: BrokerProtocolHandler,
        disconnect_waiter: asyncio.Future[Any],
    ) -> None:
        # [10] What was acknowledged a moment before the end, amqtt would forget: Readings, and the
        # goodbye. It goes out in its order, and ahead of the will.
        assert isinstance(handler, Connection)
        queue = client_session.delivered_message_queue
        while handler.undelivered or not queue.empty():
            handler.undelivered = handler.undelivered or queue.get_nowait()
            ready: asyncio.Future[Any] = asyncio.Future()
            ready.set_result(handler.undelivered)
            await self._handle_message_delivery(client_session, handler, ready)
        await super()._handle_disconnect(client_session, handler, disconnect_waiter)

    async def _handle_message_delivery(
        self,
        client_session: Session,
        handler: BrokerProtocolHandler,
        wait_deliver: asyncio.Future[Any],
    ) -> bool:
        assert isinstance(handler, Connection)
        message = handler.undelivered
        if message is None or message is not wait_deliver.result():
            return True  # [10] was passed on ahead of the client's end
        handler.undelivered = None
        if message.topic and message.topic.startswith("$"):
            # [5] amqtt would stop listening to this client and leave it connected. Dropped like any
            # other topic that is not the client's own.
            log.info("refused %s: may not publish %a", client_session.client_id, message.topic)
        elif not await super()._handle_message_delivery(client_session, handler, wait_deliver):
            # A malformed topic: the same half-dead state, ended properly (section 4.8).
            await handler.handle_connection_closed()
        return True

    async def _handle_subscription(
        self,
        client_session: Session,
        handler: BrokerProtocolHandler,
        subscribe_waiter: asyncio.Future[Any],
    ) -> None:
        # [11] amqtt takes one SUBSCRIBE for each Message it passes on, and meanwhile waits for the
        # PUBACKs of what is retained: a Message overtook the SUBSCRIBE that its client sent first.
        assert isinstance(handler, Connection)
        waiter: asyncio.Future[Any] | None = subscribe_waiter
        while waiter:
            await self._subscribe(client_session, handler, waiter)
            waiter = handler.next_subscription()

    async def _subscribe(
        self,
        client_session: Session,
        handler: BrokerProtocolHandler,
        subscribe_waiter: asyncio.Future[Any],
    ) -> None:
        await super()._handle_subscription(client_session, handler, subscribe_waiter)
        for topic_filter, qos in subscribe_waiter.result().topics:
            # What was granted is covered by the client's rights, and so is all that matches it.
            granted = self._subscriptions.get(topic_filter, [])
            if any(session is client_session for session, _ in granted):
                await super()._publish_retained_messages_for_subscription(
                    (topic_filter, qos), client_session
                )

    async def retain_message(
        self,
        source_session: Session | None,
        topic_name: str,
        data: bytes | bytearray,
        qos: int | None = None,
    ) -> None:
        """Keep a Message that is meant to be kept, a will too; any other is passed on alone."""
        grant = self._grants.get((source_session.client_id or "") if source_session else "")
        # Who is revoked has no rights any more, and still a will to be kept: `offline`.
        if grant.may_retain(topic_name) if grant else rules.is_kept(topic_name):
            await super().retain_message(source_session, topic_name, data, qos)
        else:
            log.info("not retained: %a", topic_name)

    async def _publish_retained_messages_for_subscription(
        self, subscription: tuple[str, int], session: Session
    ) -> None:
        # [2] amqtt calls this at every CONNECT for the subscriptions of *all* clients. Retained
        # Messages belong to a SUBSCRIBE (section 3.3.1.3): _handle_subscription sends them.
        return

    async def _publish_session_retained_messages(self, session: Session) -> None:
        # [4] What waited for the client is not retained: it is the live Message, late (section
        # 3.3.1.3).
        handler = self._get_handler(session)
        waiting = []
        while handler and not session.retained_messages.empty():
            kept = session.retained_messages.get_nowait()
            sending = handler.mqtt_publish(kept.topic, kept.data, kept.qos, retain=False)
            waiting.append(asyncio.ensure_future(sending))
        if waiting:
            await asyncio.wait(waiting)


async def _close(writer: WriterAdapter) -> None:
    with contextlib.suppress(OSError, TimeoutError):
        await writer.close()
