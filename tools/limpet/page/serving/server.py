"""uvicorn on a thread and a loop of its own."""

from __future__ import annotations

import socket
import threading

import uvicorn
from starlette.types import ASGIApp

from limpet.shared.problem import Problem

KEEP_S = 15
MAX_HEADERS = 16 * 1024
MAX_MESSAGE = 4096
_START_S = 10.0
_CLOSE_S = 5.0


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
            http="h11",
            ws="websockets-sansio",
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
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="page", daemon=True)

    def _run(self) -> None:
        self._server.run(sockets=[self._listener])

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
