"""A TLS socket for paho that reads and writes in pieces worth a system call, and gives it no
PUBLISH.

paho reads a packet in three pieces, two of them a byte long, and writes each packet by itself, in a
TLS record of its own. Here one read brings what is there, and what is written is collected until
`flush`. paho has to be run by its `loop_read` and `loop_write`.
"""

from __future__ import annotations

import contextlib
import ssl
from typing import Any

from limpet.ingest.packets import Packets, Publish

# A TLS record's most: OpenSSL gives no more at once.
_PIECE = 16384


class BufferedSocket:
    """Has of a socket what paho calls, and gives it what is no PUBLISH. While it is not `dry` there
    may be something to read that no `select` knows of.
    """

    def __init__(self, connection: ssl.SSLSocket, packets: Packets) -> None:
        self._connection = connection
        self._packets = packets
        self._out = bytearray()
        self._ended = False
        self.dry = False  # whether the last read found nothing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def receive(self) -> list[Publish]:
        """Read once, and return the PUBLISHes that are whole; `dry` says whether there was nothing.
        Raises OSError, and ValueError for what is no MQTT.
        """
        try:
            data = self._connection.recv(_PIECE)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            self.dry = True
            return []
        self.dry = self._ended = not data
        return self._packets.feed(data)

    @property
    def waiting(self) -> bool:
        """Whether there is something for paho."""
        return bool(self._packets.others) or self._ended

    def recv(self, size: int) -> bytes:
        """Return at least one byte and at most `size`; b"" at the end. Raises BlockingIOError."""
        others = self._packets.others
        if not others and not self._ended:
            raise BlockingIOError
        found = bytes(others[:size])
        del others[:size]
        return found

    @property
    def unwritten(self) -> bool:
        """Whether something waits for `flush`."""
        return bool(self._out)

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
    version_5 = True

    def wrap_socket(self, *args: Any, **kwargs: Any) -> Any:
        """Wrap as the base class does."""
        if self.server_name:
            kwargs["server_hostname"] = self.server_name
        return BufferedSocket(super().wrap_socket(*args, **kwargs), Packets(self.version_5))
