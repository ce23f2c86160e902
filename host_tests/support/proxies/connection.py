"""One connection through a proxy, and what a proxy can do to it besides."""

from __future__ import annotations

import asyncio
import socket
import struct

from limpet.operating.levers import relay
from support.brokers.codec import Packet

_CLOSE_S = 0.02


class Ended(OSError):
    """Raised while a piece is passed on to close the connection."""


class Connection(relay.Connection):
    """tls: whether TLS ends there. lost: nothing comes through for good."""

    def __init__(self, near: asyncio.StreamWriter, tls: bool, lost: bool) -> None:
        super().__init__(near)
        self._tls = tls
        self.lost = lost
        self.published: dict[int | None, Packet] = {}  # by packet id: what the broker owes a PUBACK

    def tell(self, data: bytes) -> None:
        """Say `data` to the node."""
        if not self.writers[0].is_closing():
            self.writers[0].write(data)

    def close(self) -> None:
        """Close both ends behind what they were given; with TLS's goodbye, as brokers do."""
        super().close()
        loop = asyncio.get_running_loop()
        for writer in self.writers:
            if self._tls:
                # Else asyncio keeps TCP open until the other side has said goodbye too, up to 30 s.
                loop.call_later(_CLOSE_S, writer.transport.abort)

    def reset(self) -> None:
        """Close both ends by a RST."""
        for writer in self.writers:
            # Without it an end that has nothing unread says FIN instead.
            linger = struct.pack("ii", 1, 0)
            if not writer.is_closing():
                end = writer.get_extra_info("socket")
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.abort()
