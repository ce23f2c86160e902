"""A time server on loopback whose time, manners and mistakes a test chooses.

What it says is what `unix()` says.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable

FROM_1900_S = 2_208_988_800
ERA_S = 1 << 32
LIMIT_S = 60


def reply(
    request: bytes, unix: float, *, leap: int = 0, mode: int = 4, stratum: int = 2
) -> bytearray:
    """Return the packet (RFC 5905, figure 8) that answers `request` at Unix time `unix`."""
    stamp = int((unix + FROM_1900_S) * ERA_S) % (ERA_S * ERA_S)
    head = struct.pack("!BBbbII4s", leap << 6 | 4 << 3 | mode, stratum, 6, -20, 0, 0, b"TEST")
    return bytearray(head + struct.pack("!Q8sQQ", stamp, request[40:48], stamp, stamp))


class NtpServer:
    """Answers on `port` by `unix()` in a thread, as a context manager.

    silent: take requests and say nothing. elsewhere: answer from another port. spoil: is given the
    reply and returns what to send instead, packets in a row. All may be changed while it runs.
    `requests` is what came.
    """

    def __init__(self, unix: Callable[[], float]) -> None:
        self.unix = unix
        self.silent = False
        self.elsewhere = False
        self.spoil: Callable[[bytearray], list[bytes | bytearray]] = lambda packet: [packet]
        self.requests: list[bytes] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._stranger.bind(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._came = threading.Condition()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def address(self) -> str:
        """Its place in LIMPET_NTP."""
        return f"127.0.0.1:{self.port}"

    def wait_for_requests(self, count: int) -> None:
        """Wait until `count` requests have come, in all."""
        with self._came:
            if not self._came.wait_for(lambda: len(self.requests) >= count, LIMIT_S):
                raise TimeoutError(f"{len(self.requests)} requests, not {count}")

    def __enter__(self) -> NtpServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # A blocked recvfrom is woken by a packet, and by nothing else on every system.
        self._stranger.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()
        self._stranger.close()

    def _serve(self) -> None:
        while True:
            request, source = self._socket.recvfrom(1024)
            if not request:
                return
            with self._came:
                self.requests.append(request)
                self._came.notify_all()
            if self.silent:
                continue
            sender = self._stranger if self.elsewhere else self._socket
            for packet in self.spoil(reply(request, self.unix())):
                sender.sendto(packet, source)
