"""Finding the port of a board, and the words for one that cannot be opened."""

from __future__ import annotations

import errno
import fcntl
import getpass
import grp
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import serial
from limpet.boards.port import find_port, open_port
from limpet.shared.problem import Problem
from serial.tools.list_ports_common import ListPortInfo

Plug = Callable[..., None]
MEMBER = "dialout"


@pytest.fixture
def plug(monkeypatch: pytest.MonkeyPatch) -> Plug:
    """Plug in what has these (device, USB vendor, description)."""

    def plugged(*ports: tuple[str, int | None, str]) -> None:
        found = []
        for device, vendor, description in ports:
            port = ListPortInfo(device)
            port.vid, port.description = vendor, description
            found.append(port)
        monkeypatch.setattr("limpet.boards.port.list_ports.comports", lambda: found)

    return plugged


@pytest.mark.parametrize("vendor", [0x303A, 0x10C4, 0x1A86, 0x0403])
def test_only_board_is_taken(plug: Plug, vendor: int) -> None:
    """The one port that can be a board's is taken, whatever else has a serial port."""
    plug(("/dev/ttyS0", None, "n/a"), ("/dev/ttyUSB1", vendor, "a bridge"), ("/dev/x", 1, "modem"))
    assert find_port(None) == "/dev/ttyUSB1"


def test_no_board(plug: Plug) -> None:
    """Without a board there is nothing to guess: a mainboard's own port is none."""
    plug(("/dev/ttyS0", None, "n/a"))
    with pytest.raises(Problem, match="No board is plugged in") as problem:
        find_port(None)
    assert "--port " in problem.value.remedy


def test_several_boards_are_listed(plug: Plug) -> None:
    """With two boards the user chooses, and is told which there are and what they are."""
    plug(("/dev/ttyUSB10", 0x1A86, "USB Serial"), ("/dev/ttyUSB2", 0x10C4, "CP2102N"))
    with pytest.raises(Problem) as problem:
        find_port(None)
    assert "/dev/ttyUSB2 (CP2102N), /dev/ttyUSB10 (USB Serial)" in problem.value.cause
    assert problem.value.remedy == "Say --port /dev/ttyUSB2."


def test_what_is_named_is_taken(plug: Plug, tmp_path: Path) -> None:
    """URLs are passed on, and a device that is there, whoever made it."""
    plug()
    (tmp_path / "tty").touch()
    wanted = ["rfc2217://pi.local:4000", "socket://127.0.0.1:4000", str(tmp_path / "tty")]
    assert [find_port(name) for name in wanted] == wanted


def test_named_device_is_not_there(plug: Plug) -> None:
    """A device that is not there is named, and so are the ones that are."""
    plug(("/dev/ttyUSB1", 0x10C4, "CP2102N"))
    with pytest.raises(Problem, match=r"no /dev/ttyUSB0.*/dev/ttyUSB1 \(CP2102N\)"):
        find_port("/dev/ttyUSB0")


def test_port_in_use() -> None:
    """A port that another program has is not shared with it."""
    master, slave = os.openpty()
    fcntl.flock(slave, fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        with pytest.raises(Problem, match="in use by another program") as problem:
            open_port(os.ttyname(slave))
        assert "limpet console" in problem.value.remedy
    finally:
        os.close(master)
        os.close(slave)


def test_device_that_went_away(tmp_path: Path) -> None:
    """Between the list and the opening a cable may be pulled."""
    with pytest.raises(Problem, match="not there any more"):
        open_port(str(tmp_path / "ttyUSB0"))


@pytest.mark.parametrize("member", [False, True])
def test_no_permission(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, member: bool) -> None:
    """The group that may is named, and the command to join it, or to log in again."""
    device = tmp_path / "ttyUSB0"
    device.touch()
    joined = [getpass.getuser()] if member else []
    entry = grp.struct_group((MEMBER, "x", device.stat().st_gid, joined))
    monkeypatch.setattr("grp.getgrgid", lambda _: entry)
    monkeypatch.setattr("grp.getgrnam", lambda _: entry)
    monkeypatch.setattr("limpet.boards.port.sys.platform", "linux")

    def denied(*_: object, **__: object) -> None:
        raise serial.SerialException(errno.EACCES, "could not open port")

    monkeypatch.setattr("limpet.boards.port.serial.serial_for_url", denied)
    with pytest.raises(Problem, match=f"You may not use {device}.*group {MEMBER}") as problem:
        open_port(str(device))
    wanted = "Log out and in again." if member else f"sudo usermod -aG {MEMBER} $USER"
    assert wanted in problem.value.remedy


def test_nobody_listens() -> None:
    """A URL behind which nobody listens is said to be that, with the reason."""
    # Bound, so that nobody else can listen there, and not listening either.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"socket://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(Problem, match=f"{url} does not answer .Connection refused"):
            open_port(url)


@pytest.mark.parametrize("url", ["sockt://127.0.0.1:1", "socket://127.0.0.1", "socket://:x"])
def test_url_that_is_none(url: str) -> None:
    """A mistyped URL is the user's to put right, without pyserial's words for it."""
    with pytest.raises(Problem) as problem:
        open_port(url)
    assert problem.value.cause == f"{url} is no URL of a port."
    assert "socket://HOST:NUMBER" in problem.value.remedy


def test_file_that_is_no_port(tmp_path: Path) -> None:
    """A file of another kind is named, and what to name instead."""
    (tmp_path / "file").touch()
    with pytest.raises(Problem, match="file is no serial port") as problem:
        open_port(str(tmp_path / "file"))
    assert "--port " in problem.value.remedy
