"""An ESP32 in download mode, by esptool's Python API: who it is, and reading and writing its flash.

What goes wrong in esptool comes out as a Problem. It never flashes a chip whose owner has locked
it, and tries no transfer again by itself.
"""

import re
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from esp_pylib.logger import EspLog
from esptool import cmds
from esptool.logger import TemplateLogger, log
from rich.console import Console

from limpet.boards.board_facts import BLOCK
from limpet.boards.port import open_port
from limpet.shared.problem import Problem

terminal_error: type[Exception]
try:
    from termios import error as terminal_error
except ImportError:  # Windows has none: pyserial says all of it by OSErrors there
    terminal_error = OSError

# What the ROM is talked to with; the stub that esptool puts into RAM then takes a faster one.
ROM_BAUD = 115200
CONNECT_ATTEMPTS = 7

# All that esptool lets out: its own errors are RuntimeErrors, pyserial's are OSErrors; a port that
# goes away in a tcflush is neither.
FAULTS = (RuntimeError, OSError, terminal_error, struct.error, ValueError)
Progress = Callable[[float], None]


class _Silence(TemplateLogger):
    """esptool's logger, which says nothing and hands on how far a transfer is."""

    def __init__(self) -> None:
        self.progress: Progress | None = None

    def print(self, *args: Any, **kwargs: Any) -> None:
        """Drop it, as all the others do that have words."""

    note = warning = error = stage = set_verbosity = debug = print

    def progress_bar(self, cur_iter: int, total_iters: int, *_: Any, **__: Any) -> None:
        """Hand on the share that is done."""
        if self.progress:
            self.progress(cur_iter / max(total_iters, 1))


class Chip:
    """A chip that answers. `with connected(...) as chip:` makes one.

    `name` is as esptool writes it in options ("esp32s3"), `title` as people do ("ESP32-S3").
    """

    def __init__(self, esp: Any, port: str, logger: _Silence) -> None:
        self.title: str = esp.CHIP_NAME
        self.name = re.sub("[^a-z0-9]", "", self.title.lower())
        self._esp = esp
        self._port = port
        self._logger = logger

    def check_unlocked(self) -> None:
        """Raise Problem when the chip's owner has locked it: what we wrote would not run."""
        with _words(self._port, "looking at its eFuses"):
            locks = {
                "secure download mode": self._esp.secure_download_mode,
                # Registers that can no longer be read in that mode come second.
                "secure boot": self._esp.secure_download_mode
                or self._esp.get_secure_boot_enabled(),
                "flash encryption": self._esp.secure_download_mode
                or self._esp.get_flash_encryption_enabled(),
            }
        for lock, is_set in locks.items():
            if is_set:
                raise Problem(
                    f"The chip on {self._port} has {lock} enabled: it runs only what its owner "
                    "signed or encrypted.",
                    "Nothing was written, and nothing can undo the lock: take another board.",
                )

    def prepare(self, baud: int) -> int | None:
        """Load esptool's stub into RAM, go to `baud`, and return the size of the flash in MB.

        None when the flash does not say its size. The chip's ROM alone could neither read nor erase
        as fast, nor write less than it erases.
        """
        with _words(self._port, "loading what writes the flash"):
            self._esp = cmds.run_stub(self._esp)
            # A plugged-out cable is for the user to see, not to be waited for.
            self._esp.WRITE_FLASH_ATTEMPTS = 1
            # The other end of a plain socket would not be told.
            if baud != ROM_BAUD and not self._port.startswith("socket:"):
                self._esp.change_baud(baud)
            cmds.attach_flash(self._esp)
            said = cmds.detect_flash_size(self._esp)
        found = re.fullmatch(r"(\d+)MB", said or "")
        return int(found[1]) if found else None

    def read(self, address: int, size: int) -> bytes:
        """Return `size` bytes of flash."""
        with _words(self._port, "reading its flash"):
            data: bytes = self._esp.read_flash(address, size)
        return data

    def erase(self, address: int, size: int) -> None:
        """Erase whole blocks, from the lowest to the highest."""
        assert not (address | size) % BLOCK
        with _words(self._port, "erasing its flash"):
            cmds.erase_region(self._esp, address, size)

    def write(self, address: int, data: bytes, progress: Progress | None = None) -> None:
        """Write `data` to the block at `address` and those that follow, and compare its MD5 with
        the flash's. `progress` is called with the share that is done.
        """
        assert not address % BLOCK
        self._logger.progress = progress
        try:
            with _words(self._port, "writing its flash"):
                cmds.write_flash(self._esp, [(address, data)])
        finally:
            self._logger.progress = None

    def start(self) -> bool:
        """Reset the chip into what is on its flash; False where the port has no line for that."""
        if self._port.startswith("socket:"):
            return False
        with _words(self._port, "being reset"):
            cmds.reset_chip(self._esp, "hard-reset")
        return True


@contextmanager
def connected(port: str) -> Iterator[Chip]:
    """Yield the chip on `port`, put into download mode. Raises Problem when none answers."""
    before = EspLog.instance
    logger = _Silence()
    log.set_logger(logger)
    serial = open_port(port)
    try:
        status = Console(stderr=True).status(f"Connecting to {port}")
        with _words(port, "connecting"), status:
            esp = cmds.detect_chip(serial, ROM_BAUD, connect_attempts=CONNECT_ATTEMPTS)
        yield Chip(esp, port, logger)
    finally:
        serial.close()
        EspLog.instance = before


@contextmanager
def _words(port: str, doing: str) -> Iterator[None]:
    """Turn what esptool raises into a Problem that says what the chip was doing."""
    try:
        yield
    except FAULTS as fault:
        raise _problem(port, doing, fault) from fault


def _problem(port: str, doing: str, fault: Exception) -> Problem:
    said = str(fault).partition("\n")[0]
    if "multiple access" in said and Path(port).exists():
        return Problem(
            f"Another program reads from {port}.",
            "End it (a serial monitor, mpremote, limpet console), then start again.",
        )
    if isinstance(fault, (OSError, terminal_error)):  # pyserial's own exception is an OSError
        return Problem(
            f"{port} went away while the chip was {doing}.",
            "Plug the board in again (another cable, no hub) and start again.",
        )
    if doing == "connecting":
        return Problem(
            f"Nothing on {port} answers as an ESP32 in download mode.",
            "Hold BOOT, press EN (RST) once, let go of BOOT, and start again.",
        )
    if "MD5" in said or "region is empty" in said:
        return Problem(
            f"The flash of the board on {port} does not hold what was written to it.",
            "Start again with --baud 115200; if it fails again, the flash or its supply is bad.",
        )
    if "requires chip revision" in said:
        return Problem(f"This MicroPython is not for the chip on {port}: {said}", "Take another.")
    return Problem(
        f"The chip on {port} failed while {doing} ({said.rstrip('.')}).",
        "Start again; if it does so twice, with --baud 115200 or another cable.",
    )
