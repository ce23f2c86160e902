"""A TLS socket for paho that reads and writes in pieces worth a system call.

paho reads a packet in three pieces, two of them a byte long, and writes each PUBACK by itself, in a
TLS record of its own. Here reads come out of what one read has brought, and what paho writes is
collected until `flush`. paho has to be run by its `loop_read` and `loop_write`.
"""

from __future__ import annotations

import contextlib
import ssl
from typing import Any

# A TLS record's most: OpenSSL gives no more at once.
_PIECE = 16384


class BufferedSocket:
    """Has of a socket what paho calls, and `flush`. While it is not `dry` there may be something to
    read that no `select` knows of.
    """

    def __init__(self, connection: ssl.SSLSocket) -> None:
        self._connection = connection
        self._read = b""
        self._at = 0
        self._out = bytearray()
        self.dry = False  # whether the last read found nothing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def recv(self, size: int) -> bytes:
        """Return at least one byte and at most `size`; b"" at the end. Raises as a socket does."""
        at = self._at
        if at >= len(self._read):
            self.dry = True
            self._read = self._connection.recv(_PIECE)
            self.dry = False
            at = 0
        self._at = at + size
        return self._read[at : at + size]

    def send(self, data: Any) -> int:
        """Take all of it, for the next `flush`."""
        self._out += data
        return len(data)

    def close(self) -> None:
        """Write what was collected, as far as it goes, and close: paho closes behind DISCONNECT."""
        with contextlib.suppress(OSError):
            self.flush()
        self._connection.close()

    def flush(self) -> bool:
        """Write what was collected, as far as it goes; True when that was all. Raises OSError."""
        while self._out:
            try:
                sent = self._connection.send(self._out)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return False
            del self._out[:sent]
        return True


class BufferedContext(ssl.SSLContext):
    """A TLS context whose sockets are buffered ones. server_name: what the broker's certificate has
    to carry, where that is not the host's name.
    """

    server_name: str | None = None

    def wrap_socket(self, *args: Any, **kwargs: Any) -> Any:
        """Wrap as the base class does."""
        if self.server_name:
            kwargs["server_hostname"] = self.server_name
        return BufferedSocket(super().wrap_socket(*args, **kwargs))
