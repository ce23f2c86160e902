"""Ports on which nobody listens."""

from __future__ import annotations

import contextlib
import random
import socket
from pathlib import Path

# Which ports Linux gives to outgoing connections; the lowest of them where nobody says.
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST = 32768
_FIRST = 10000


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
