"""An Improv client on a serial port, for tests: what a browser does that sets up a node.

It is as strict as the JavaScript SDK: a packet has to begin a line, and everything else is the log.
"""

from __future__ import annotations

from time import monotonic

import improv
import serial

TIMEOUT_S = 60.0


class ImprovClient:
    """The other end of the console at `port` (a device or a URL). `lines` is what was logged."""

    def __init__(self, port: str) -> None:
        self._port = serial.serial_for_url(port, baudrate=115200, timeout=0.05)
        self._reader = improv.Reader()
        self._text = bytearray()
        self._packets: list[tuple[int, bytes]] = []
        self.lines: list[str] = []

    def send(self, data: bytes) -> None:
        """Say something."""
        self._port.write(data)
        self._port.flush()

    def packet(self, timeout_s: float = TIMEOUT_S) -> tuple[int, bytes]:
        """Return the next packet: type and data."""
        deadline = monotonic() + timeout_s
        while not self._packets:
            assert monotonic() < deadline, f"no packet; log: {self.lines}"
            self._read()
        return self._packets.pop(0)

    def ask(self, packet: bytes, count: int) -> list[tuple[int, bytes]]:
        """Send a packet, and return the `count` that come back."""
        self.send(packet)
        return [self.packet() for _ in range(count)]

    def line(self, wanted: str, since: int = 0, timeout_s: float = TIMEOUT_S) -> str:
        """Wait for a line of the log that holds `wanted`, from line `since` on; return it."""
        deadline = monotonic() + timeout_s
        while True:
            for each in self.lines[since:]:
                if wanted in each:
                    return each
            assert monotonic() < deadline, f"no line {wanted!r}: {self.lines[-20:]}"
            self._read()

    def _read(self) -> None:
        for byte in self._port.read(256):
            kind = self._reader.feed(byte)
            if kind == improv.TEXT:
                self._text.append(byte)
            elif kind == improv.START:
                assert self._text == b"IMPROV", "a packet does not begin a line"
                self._text.clear()
            elif kind == improv.WHOLE:
                self._packets.append((self._reader.type, self._reader.data))
            assert kind != improv.BAD, "a bad packet from the node"
            if byte == 10 and kind == improv.TEXT:
                self.lines.append(self._text.decode(errors="replace").rstrip())
                self._text.clear()

    def __enter__(self) -> ImprovClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._port.close()
