"""A listening TCP socket that remembers whom it let in, to be able to cut all of them off.

asyncio holds no handle on a connection whose TLS handshake is not finished, before Python 3.13: it
would outlive its broker until the handshake's own time-out.
"""

import contextlib
import socket
import weakref
from typing import Any


class Listener(socket.socket):
    """A socket that listens on `host` and `port` (0: a free one). Raises OSError if taken."""

    def __init__(self, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # create_server knows the options each system wants for a port that was in use a moment ago.
        with socket.create_server((host, port), family=family) as made:
            super().__init__(fileno=made.detach())
        self._connections: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.getsockname()[1])

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept a connection, as any socket does, and remember it."""
        connection, address = super().accept()
        self._connections.add(connection)
        return connection, address

    def cut(self) -> None:
        """End every connection that is still open, whatever state it is in."""
        for connection in list(self._connections):
            with contextlib.suppress(OSError):  # closed already
                connection.shutdown(socket.SHUT_RDWR)
