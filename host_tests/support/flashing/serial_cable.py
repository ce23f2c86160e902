"""A serial port, `port`, that leads to a stand-in for a chip: a pseudo-terminal of the system's."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import termios
import threading
import tty
from typing import Self

from support.flashing.rom_loader import RomLoader


class Cable:
    """`with Cable(chip) as cable:` plugs it in. Like every pty it has no RTS and no DTR."""

    def __init__(self, chip: RomLoader) -> None:
        self._near, self._far = os.openpty()
        tty.setraw(self._far)
        self.port = os.ttyname(self._far)
        self._chip = socket.create_connection(chip.address)
        self._thread = threading.Thread(target=self._pass_on, name="cable", daemon=True)

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
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.pull()
        self._thread.join(60)
        self._chip.close()
        os.close(self._far)

    def pull(self) -> None:
        """Pull it: the port is hung up, as one whose USB device has gone."""
        with contextlib.suppress(OSError):
            self._chip.shutdown(socket.SHUT_RDWR)

    def _pass_on(self) -> None:
        chip = self._chip.fileno()
        with contextlib.suppress(OSError, EOFError):
            while True:
                for source in select.select([self._near, chip], [], [])[0]:
                    data = os.read(source, 4096)
                    if not data:
                        raise EOFError
                    while data:
                        target = chip if source == self._near else self._near
                        data = data[os.write(target, data) :]
        os.close(self._near)
