"""A small HTTP server for metrics: so many clients at once, so many seconds for each.

prometheus_client's own has a thread for whoever connects, for as long as that one likes.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import sys
import threading
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import MetricsHandler

from limpet.shared.problem import Problem

# Prometheus is one client, two of them a pair; a person looks now and then.
CLIENTS = 8
# From the connection to the last byte, however slow: Prometheus itself waits for 10 s.
CLIENT_S = 10.0
_CLOSE_S = 3.0


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Not http.server's: that asks the name server what this machine is called."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 32

    def __init__(self, host: str, port: int, handler: type[MetricsHandler]) -> None:
        if ":" in host:
            self.address_family = socket.AF_INET6
        self._room = threading.BoundedSemaphore(CLIENTS)
        super().__init__((host, port), handler)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether there is room for one more client; who finds none is sent away at once."""
        return self._room.acquire(blocking=False)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer one client, and cut it off when its time is over."""
        timer = threading.Timer(CLIENT_S, _cut, [request])
        timer.daemon = True
        timer.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            timer.cancel()
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is gone is no error; all else is a bug, and said."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def _cut(request: socket.socket) -> None:
    with contextlib.suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)


class Serving:
    """Serves the metrics of `registry` at `host` and `port` (0: any that is free) while the block
    runs. Raises Problem where that cannot be had.
    """

    def __init__(self, registry: CollectorRegistry, host: str, port: int) -> None:
        handler = type("Handler", (MetricsHandler.factory(registry),), {"timeout": CLIENT_S})
        at = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            self._server = _Server(host, port, handler)
        except (OSError, UnicodeError) as error:
            raise Problem(
                f"{at} cannot be listened on: {getattr(error, 'strerror', None) or error}.",
                "Say another one: --listen HOST:PORT.",
            ) from None
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._server.server_address[1]}/metrics"

    def __enter__(self) -> Serving:
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="metrics", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join(_CLOSE_S)
        self._server.server_close()
