"""The embedded broker: amqtt behind TLS, where every client has a certificate and its name.

A client is its certificate's CN: client id, username and topics follow from it. Sessions and
retained Messages live in memory. Nobody gets in without a certificate. There is no MQTT 5, and
there are no WebSockets.
"""

import asyncio
import contextlib
import logging
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limpet.brokers.embedded import time_signal
from limpet.brokers.embedded.listener import Listener
from limpet.identity.layout import Layout, announced

if TYPE_CHECKING:
    # amqtt takes a second to import, which only who starts a broker should wait for.
    from limpet.brokers.embedded.certified_broker import CertifiedBroker

LOOPBACK = "127.0.0.1"
TLS_PORT = 8883
# amqtt takes a second to import, on a busy machine many.
_START_S = 60
# What is left to say after this long is not waited for.
_STOP_S = 5


class EmbeddedBroker:
    """A broker for the set-up in `root`, in a thread with a loop of its own.

    port: 0 takes a free one; after the first start it stays the same. plain: also a listener
    without TLS on loopback, for tests of clients that have to refuse it; nobody gets past CONNECT
    there.
    """

    def __init__(
        self, root: Path, host: str = LOOPBACK, port: int = 0, *, plain: bool = False
    ) -> None:
        self.layout = Layout(root)
        self.host = host
        self.port = port
        self.plain_port: int | None = 0 if plain else None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._broker: CertifiedBroker | None = None

    def start(self) -> int:
        """Listen and return the port. Raises OSError (EADDRINUSE: taken) or what amqtt says."""
        listeners = {"tls": Listener(self.host, self.port)}
        self.port = listeners["tls"].port
        if self.plain_port is not None:
            listeners["plain"] = Listener(LOOPBACK, self.plain_port)
            self.plain_port = listeners["plain"].port
        ready: Future[None] = Future()
        self._thread = threading.Thread(
            target=self._run, args=(listeners, ready), name="broker", daemon=True
        )
        self._thread.start()
        ready.result(_START_S)
        return self.port

    def stop(self) -> None:
        """Close every connection and stop listening. Twice does no harm."""
        if self._thread and self._loop and self._stopping:
            with contextlib.suppress(RuntimeError):  # the loop ended by itself
                self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(_STOP_S * 2)
        self._thread = None

    def restart(self) -> None:
        """Stop and start on the same port: sessions and retained Messages are forgotten."""
        self.stop()
        self.start()

    def throw_out(self, client_id: str) -> None:
        """End a client's connection as if it had broken: what it left as its will is said."""
        if self._broker and self._loop:
            ending = asyncio.run_coroutine_threadsafe(self._broker.end(client_id), self._loop)
            ending.result(_STOP_S)

    def subscribers(self) -> set[str]:
        """Return the ids of those who are connected and have subscribed to something; nobody, where
        it does not run.
        """
        broker, loop = self._broker, self._loop
        if not broker or not loop or not self._thread:
            return set()
        answer: Future[set[str]] = Future()
        try:
            loop.call_soon_threadsafe(lambda: answer.set_result(broker.subscribers()))
            return answer.result(_STOP_S)
        except (RuntimeError, TimeoutError):  # it ends just now
            return set()

    def __enter__(self) -> "EmbeddedBroker":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self, listeners: dict[str, Listener], ready: Future[None]) -> None:
        try:
            asyncio.run(self._serve(listeners, ready))
        except Exception as error:
            if ready.done():
                raise
            ready.set_exception(error)
        finally:
            for listener in listeners.values():
                listener.close()

    async def _serve(self, listeners: dict[str, Listener], ready: Future[None]) -> None:
        from limpet.brokers.embedded.certified_broker import CertifiedBroker

        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(_unexpected)
        self._stopping = asyncio.Event()
        self._broker = broker = CertifiedBroker(self.layout, listeners)
        await broker.start()
        telling = asyncio.create_task(
            time_signal.tell(self.layout, broker.internal_message_broadcast)
        )
        following = asyncio.create_task(broker.follow_registry())
        with announced(self.layout, self.host, self.port):
            ready.set_result(None)
            await self._stopping.wait()
            telling.cancel()
            following.cancel()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(broker.shutdown(), _STOP_S)


def _unexpected(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # Connections that break mid-word end up here, with tracebacks nobody can do anything about.
    logging.getLogger("limpet.broker").debug("%s", context.get("exception") or context["message"])
