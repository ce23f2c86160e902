"""uvicorn on a thread and a loop of its own, with limits that it has not by itself: how many
connections there are, and how long somebody may take to ask.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from typing import Any

import uvicorn
from h11 import LocalProtocolError
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from limpet.page.serving.guard import MAX_HEADERS
from limpet.shared.problem import Problem

# 64 browsers, each with a WebSocket and what it loads beside it.
CONNECTIONS = 400
# From the connection, or from the answer before, to a request.
ASK_S = 10.0
KEEP_S = 8
MAX_MESSAGE = 4096
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-type: text/plain\r\n"
    b"retry-after: 10\r\n\r\nToo many are connected. Try again later.\n"
)
_START_S = 10.0
_CLOSE_S = 5.0


class _Connection(H11Protocol):
    """One connection, until it becomes a WebSocket. Who has asked for nothing within ASK_S goes."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            transport.write(_FULL)
            transport.close()
            return
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: Any) -> None:
        self._stop()  # _WebSocket has its own
        super().handle_websocket_upgrade(event)

    def _look(self) -> None:
        """Look again in a while; without a request that is being answered it is over by then."""
        closing = self.transport.is_closing()
        self._timer = self.loop.call_later(ASK_S, self._looked, self.cycle, closing)

    def _looked(self, before: Any, closing: bool) -> None:
        cycle = self.cycle
        # Closing waits for what was written to be taken, for ever.
        if closing or (cycle is before and (cycle is None or cycle.response_complete)):
            self.transport.abort()
        else:
            self._look()

    def _stop(self) -> None:
        if self._timer:
            self._timer.cancel()


class _WebSocket(WebSocketsSansIOProtocol):
    """What a connection has become. Who has not shaken hands within ASK_S goes, and who does not
    take the goodbye.
    """

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer:
            self._timer.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        self._timer = self.loop.call_later(ASK_S, self._looked, self.transport.is_closing())

    def _looked(self, closing: bool) -> None:
        if closing or not self.handshake_complete:
            self.transport.abort()
        else:
            self._look()


def _ours(record: logging.LogRecord) -> bool:
    """Whether it is a bug of ours: what somebody sends that is no HTTP is none."""
    kind = record.exc_info[0] if record.exc_info else None
    theirs = record.getMessage().startswith("Invalid UTF-8")
    return kind is not None and not issubclass(kind, LocalProtocolError) and not theirs


class Server:
    """Serves `app` while the block runs, on a socket that listens already. tls: files with
    certificate and key, None for plain HTTP. Raises Problem where it does not start.
    """

    def __init__(
        self, app: ASGIApp, listener: socket.socket, tls: tuple[str, str] | None = None
    ) -> None:
        self._listener = listener
        certificate, key = tls or (None, None)
        config = uvicorn.Config(
            app,
            http=_Connection,
            ws=_WebSocket,
            loop="asyncio",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=KEEP_S,
            timeout_graceful_shutdown=1,
            h11_max_incomplete_event_size=MAX_HEADERS,
            ws_max_size=MAX_MESSAGE,
            ws_per_message_deflate=False,
            ssl_certfile=certificate,
            ssl_keyfile=key,
        )
        logging.getLogger("uvicorn.error").addFilter(_ours)
        self._server = uvicorn.Server(config)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="page", daemon=True)

    def _run(self) -> None:
        self._server.run(sockets=[self._listener])
        if self._error:
            raise self._error

    def end_by(self, error: BaseException) -> None:
        """End, and let the thread fail by this."""
        self._error = error
        self._server.should_exit = True

    def __enter__(self) -> Server:
        self._thread.start()
        for _ in range(int(_START_S / 0.01)):
            if self._server.started or not self._thread.is_alive():
                break
            self._thread.join(0.01)
        if not self._server.started:
            raise Problem("The page's server does not start.", "This is a bug: report it.")
        return self

    def __exit__(self, *error: object) -> None:
        self._server.should_exit = True
        self._thread.join(_CLOSE_S)
        self._listener.close()


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Raises OSError where that cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except BaseException:
        listener.close()
        raise
    return listener
