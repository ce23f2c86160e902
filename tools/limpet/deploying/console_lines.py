"""A board's console as lines, from a port that may go and come back.

It never writes to the port: Ctrl-C is for whoever reads, not for the node.
"""

import contextlib
import time
from typing import Any

from limpet.boards.port import open_port
from limpet.shared.problem import Problem

_LONGEST = 4096  # what has no end of line is given up in pieces
_SLICE_S = 0.2


class Lines:
    """Lines from `port`, an open one of pyserial's; `name` is what it is opened by."""

    def __init__(self, port: Any, name: str) -> None:
        self._port = port
        self._name = name
        self._rest = b""
        self._ready: list[str] = []
        port.timeout = _SLICE_S

    def next(self, timeout_s: float) -> str | None:
        """The next line, or None when there is none within `timeout_s`.

        Raises OSError when the port has gone.
        """
        deadline = time.monotonic() + timeout_s
        while not self._ready:
            # Also while bytes without an end of line trickle in.
            over = time.monotonic() >= deadline
            data = self._port.read(1)
            data += self._port.read(self._port.in_waiting)
            *lines, self._rest = (self._rest + data).split(b"\n")
            if len(self._rest) > _LONGEST:
                lines, self._rest = [*lines, self._rest], b""
            self._ready = [line.rstrip(b"\r").decode(errors="replace") for line in lines]
            if over and not self._ready:
                return None
        return self._ready.pop(0)

    def again(self, timeout_s: float) -> bool:
        """Wait for the port to come back and open it; whether it has within `timeout_s`."""
        with contextlib.suppress(OSError):
            self._port.close()
        deadline = time.monotonic() + timeout_s
        self._rest = b""
        while time.monotonic() < deadline:
            try:
                self._port = open_port(self._name)
            except Problem:
                time.sleep(_SLICE_S)
                continue
            self._port.timeout = _SLICE_S
            return True
        return False

    def close(self) -> None:
        """Let go of the port."""
        with contextlib.suppress(OSError):
            self._port.close()
