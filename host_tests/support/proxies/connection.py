"""One connection through a proxy: the node's end, and the broker's."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

from support.brokers.codec import Packet

_CLOSE_S = 0.02


class Ended(Exception):
    """Raised while a piece is passed on to close the connection."""


class Connection:
    """The node's end and, once it is there, the broker's. A way is "up" or "down", to the node.

    tls: whether TLS ends there.
    """

    def __init__(self, near: asyncio.StreamWriter, tls: bool) -> None:
        self.writers = [near]
        self._tls = tls
        self.lost = False
        # asyncio holds tasks weakly: those of a black hole, which nothing will wake, would go.
        self.tasks: list[asyncio.Task[Any] | None] = []
        self.published: dict[int | None, Packet] = {}  # by packet id: what the broker owes a PUBACK

    def tell(self, data: bytes) -> None:
        """Say `data` to the node."""
        if not self.writers[0].is_closing():
            self.writers[0].write(data)

    def close(self) -> None:
        """Close both ends behind what they were given; with TLS's goodbye, as brokers do."""
        loop = asyncio.get_running_loop()
        for writer in self.writers:
            writer.close()
            if self._tls:
                # Else asyncio keeps TCP open until the other side has said goodbye too, up to 30 s.
                loop.call_later(_CLOSE_S, writer.transport.abort)

    def abort(self) -> None:
        """Close both ends now."""
        for writer in self.writers:
            writer.transport.abort()

    def reset(self) -> None:
        """Close both ends by a RST."""
        for writer in self.writers:
            # Without it an end that has nothing unread says FIN instead.
            linger = struct.pack("ii", 1, 0)
            if not writer.is_closing():
                end = writer.get_extra_info("socket")
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.abort()
