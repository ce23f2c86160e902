"""Which serial port a board is on, and why it cannot be opened.

What is behind the port is for esptool and mpremote.
"""

import errno
import getpass
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import serial
from serial.tools import list_ports

from limpet.shared.problem import Problem

# USB vendors of what is between an ESP32 and the cable: the chip itself (Espressif), and the
# bridges CP210x (Silicon Labs), CH340 and CH9102 (WCH), FT232 (FTDI).
VENDORS = {0x303A, 0x10C4, 0x1A86, 0x0403}
_NAME_IT = "Plug it in with a cable that carries data, or name its port: --port /dev/... or a URL."


def find_port(wanted: str | None) -> str:
    """Return the port to use: `wanted`, or the only one on which a board can be.

    `wanted` may be a device or a URL that pyserial knows (`rfc2217://`, `socket://`). Raises
    Problem when there is no such device, and without `wanted` when no port, or more than one, fits.
    """
    if wanted is not None:
        if "://" not in wanted and not _is_there(wanted):
            here = _listed(_fitting())
            also = f" These are there: {here}." if here else " No board is plugged in."
            raise Problem(f"There is no {wanted}.{also}", _NAME_IT)
        return wanted
    found = _fitting()
    if not found:
        raise Problem("No board is plugged in.", _NAME_IT)
    if len(found) > 1:
        raise Problem(
            f"Several boards may be meant: {_listed(found)}.", f"Say --port {found[0].device}."
        )
    device: str = found[0].device
    return device


def open_port(name: str) -> Any:
    """Return the port `name`, opened for us alone, as pyserial's object.

    Raises Problem when it is not there, not ours to use, or in use.
    """
    try:
        # Opened in a second step, or else a URL's handler would not be told `exclusive`.
        port = serial.serial_for_url(name, exclusive=True, do_not_open=True)
        port.open()
    except (OSError, ValueError) as error:  # pyserial's own exception is an OSError
        raise _refused(name, error) from error
    return port


def _refused(name: str, error: Exception) -> Problem:
    """What is wrong with the port `name`, which pyserial could not open because of `error`."""
    number = getattr(error, "errno", None)
    if "://" in name and not _is_url(name):
        return Problem(
            f"{name} is no URL of a port.",
            "Say --port socket://HOST:NUMBER or --port rfc2217://HOST:NUMBER.",
        )
    if "://" in name:
        return Problem(
            f"{name} does not answer ({_reason(error)}).",
            "Check host and port, and that the server has a board and no other client.",
        )
    if number == errno.EACCES:
        return _not_ours(name)
    if getattr(error.__context__, "args", ())[:1] == (errno.ENOTTY,):  # by termios
        return Problem(f"{name} is no serial port.", _NAME_IT)
    # An advisory lock that somebody has, or a driver that lets one in at a time.
    if number in (errno.EAGAIN, errno.EBUSY):
        return Problem(
            f"{name} is in use by another program.",
            "End it (limpet console, mpremote, a serial monitor), then start again.",
        )
    if number in (errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.EIO):
        return Problem(f"{name} is not there any more.", _NAME_IT)
    return Problem(f"{name} cannot be opened ({_reason(error)}).", _NAME_IT)


def _is_url(name: str) -> bool:
    parts = urlsplit(name)
    try:
        return parts.scheme in ("socket", "rfc2217") and bool(parts.hostname and parts.port)
    except ValueError:  # the number
        return False


def _is_there(name: str) -> bool:
    # Windows's COM3 is no file.
    return Path(name).exists() or name in {port.device for port in list_ports.comports()}


def _not_ours(name: str) -> Problem:
    import grp  # Windows has none, and does not come here: it names no error

    owner = Path(name).stat().st_gid
    try:
        group = grp.getgrgid(owner).gr_name
    except KeyError:
        group = str(owner)
    cause = f"You may not use {name}: it belongs to the group {group}"
    try:
        member = getpass.getuser() in grp.getgrnam(group).gr_mem
    except (KeyError, OSError):
        member = False
    if member:
        return Problem(f"{cause}, which you joined after you logged in.", "Log out and in again.")
    if sys.platform == "linux":
        return Problem(f"{cause}.", f"sudo usermod -aG {group} $USER, then log out and in again.")
    return Problem(f"{cause}.", f"Have yourself added to {group}.")


def _fitting() -> list[Any]:
    return sorted(port for port in list_ports.comports() if port.vid in VENDORS)


def _listed(ports: Iterable[Any]) -> str:
    return ", ".join(f"{port.device} ({port.description})" for port in ports)


def _reason(error: Exception) -> str:
    number = getattr(error, "errno", None) or getattr(error.__context__, "errno", None)
    return os.strerror(number) if number and number > 0 else str(error)
