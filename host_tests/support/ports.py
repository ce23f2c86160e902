"""Ports that are given up for a while, and wanted back.

A port that the system chose is one that it may also give to somebody's outgoing connection.
"""

from __future__ import annotations

import contextlib
import random
import socket
from pathlib import Path

# Which ports Linux gives to outgoing connections; the lowest of them where nobody says.
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST = 32768
_FIRST = 10000


class Held:
    """Keeps ports from others while nobody listens on them; who connects there is refused."""

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

    def release(self) -> None:
        """Give them back."""
        while self._sockets:
            self._sockets.pop().close()


def closed_port() -> int:
    """Return a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def standing_ports(count: int) -> list[int]:
    """Return so many ports on which nobody listens, and which the system gives to nobody: for
    servers that take long to start, or are away for a while.
    """
    try:
        lowest = int(_RANGE.read_text().split()[0])
    except (OSError, ValueError):
        lowest = _LOWEST
    found: list[int] = []
    for port in random.sample(range(_FIRST, lowest), lowest - _FIRST):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.append(port)
        if len(found) == count:
            break
    return found
