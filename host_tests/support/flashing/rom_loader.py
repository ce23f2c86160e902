"""A stand-in for a chip in download mode: its ROM loader, the stub that esptool loads, its flash.

It speaks esptool's serial protocol on a TCP port, so that esptool's own code runs from end to end.
It is stricter than a chip, as its flash is. It does NOT reset, or boot.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from functools import reduce
from hashlib import md5
from operator import xor
from typing import Self

from support.flashing.chip_flash import Unplugged
from support.flashing.rom_commands import Refused, RomCommands

_END, _ESC = b"\xc0", b"\xdb"
_INVALID = b"\x01\x05"  # an unknown command


class RomLoader(RomCommands):
    """A chip of 4 MB behind `url`. `with RomLoader() as chip:` plugs it in.

    `plug_in()` gives it another chance after the cable was pulled. A `deaf` chip answers nothing,
    and the commands in `failing` with an error. `locks`: see RomCommands.
    """

    def __init__(self, name: str = "esp32", flash_mb: int = 4, *locks: str) -> None:
        super().__init__(name, flash_mb, *locks)
        self.connections = 0
        self.deaf = False
        self.failing: set[str] = set()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._server.getsockname()
        self.url = f"socket://127.0.0.1:{self.address[1]}"
        self._thread = threading.Thread(target=self._serve, name="chip", daemon=True)
        self._client: socket.socket | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        if self._client:
            with contextlib.suppress(OSError):
                self._client.shutdown(socket.SHUT_RDWR)
        self._thread.join(60)
        if not kind:
            assert not self.wrong

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                self._client = client
                self.connections += 1
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._write = None
                with client, contextlib.suppress(Unplugged, OSError):
                    for packet in self._packets():
                        if not self.deaf:
                            self._packet(packet)

    def _packets(self) -> Iterator[bytes]:
        """What the client sends, frame by frame."""
        assert self._client
        rest = b""
        while data := self._client.recv(65536):
            *frames, rest = (rest + data).split(_END)
            for frame in filter(None, frames):
                yield frame.replace(_ESC + b"\xdc", _END).replace(_ESC + b"\xdd", _ESC)

    def _send(self, packet: bytes) -> None:
        assert self._client
        escaped = packet.replace(_ESC, _ESC + b"\xdd").replace(_END, _ESC + b"\xdc")
        self._client.sendall(_END + escaped + _END)

    def _packet(self, packet: bytes) -> None:
        if len(packet) == 4:
            return  # how much of a flash that was read has arrived
        way, number, size, check = struct.unpack("<BBHI", packet[:8])
        body = packet[8:]
        name = {code: name for name, code in self.rom.ESP_CMDS.items()}.get(number, "")
        self.expect(way == 0 and size == len(body), f"{name}: a bad header")
        if name in ("MEM_DATA", "FLASH_DATA", "FLASH_DEFL_DATA"):
            self.expect(check == reduce(xor, body[16:], 0xEF), f"{name}: a bad checksum")
        handler = getattr(self, "_" + name.lower(), None)
        try:
            if handler is None:
                raise Refused
            if name in self.failing:
                self._answer(number, 0, b"", b"\x01\x06")
                return
            value, data = handler(body) or (0, b"")
        except Refused:
            # The ROM does not say whom it answers.
            self._answer(0 if self.stub else 0xFF, 0, b"", _INVALID)
            return
        for _ in range(8 if name == "SYNC" else 1):
            self._answer(number, value, data, b"\0\0")
        if name == "MEM_END":
            self.stub = True
            self._send(b"OHAI")
        elif name == "READ_FLASH":
            address, length, block, _ = struct.unpack("<IIII", body)
            wanted = bytes(self.flash[address : address + length])
            for start in range(0, length, block):
                self._send(wanted[start : start + block])
            self._send(md5(wanted, usedforsecurity=False).digest())

    def _answer(self, number: int, value: int, data: bytes, status: bytes) -> None:
        # The ROM's status has two bytes more.
        status += b"" if self.stub else b"\0\0"
        length = len(data) + len(status)
        self._send(struct.pack("<BBHI", 1, number, length, value) + data + status)
