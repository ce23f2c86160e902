"""Ports that are given up for a while, and wanted back.

A port that the system chose is one that it may also give to somebody's outgoing connection.
"""

import contextlib
import socket


class Held:
    """Keeps ports of loopback from others while nobody listens on them; who connects there is
    refused.
    """

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []

    def hold(self, *ports: int) -> None:
        """Take the ports; 0, and one that somebody was quicker to take, are left out."""
        for port in filter(None, ports):
            taken = socket.socket()
            self._sockets.append(taken)
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                taken.bind(("127.0.0.1", port))
                # What it was good for is that connections of before do not hinder us; left on, it
                # would let others in as well.
                taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)

    def release(self) -> None:
        """Give them back."""
        while self._sockets:
            self._sockets.pop().close()
