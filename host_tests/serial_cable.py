"""A serial port, `port`, that leads to a stand-in for a chip: a pseudo-terminal of the system's."""

from __future__ import annotations

import contextlib
import os
import socket
import termios
import threading
import tty
from typing import Self

from rom_loader import RomLoader


class Cable:
    """`with Cable(chip) as cable:` plugs it in. Like every pty it has no RTS and no DTR."""

    def __init__(self, chip: RomLoader) -> None:
        self._near, self._far = os.openpty()
        tty.setraw(self._far)
        self.port = os.ttyname(self._far)
        self._chip = socket.create_connection(chip.address)
        ways = ((self._near, self._chip.fileno()), (self._chip.fileno(), self._near))
        self._threads = [threading.Thread(target=_pass_on, args=way, daemon=True) for way in ways]

    @property
    def baud(self) -> int:
        """The speed that the port was set to last."""
        speed = termios.tcgetattr(self._far)[5]
        return next(
            int(name[1:])
            for name, value in vars(termios).items()
            if name[:1] == "B" and name[1:].isdigit() and value == speed
        )

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._chip.shutdown(socket.SHUT_RDWR)
        os.close(self._far)
        for thread in self._threads:
            thread.join(10)
        self._chip.close()
        os.close(self._near)


def _pass_on(source: int, target: int) -> None:
    # A terminal whose other end is closed is an error to read from.
    with contextlib.suppress(OSError):
        while data := os.read(source, 4096):
            while data:
                data = data[os.write(target, data) :]
