"""The virtual board is a board as far as mpremote can tell: its REPL, its resets, its flash."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from limpet.node_host.debian import HOST
from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport
from support.virtual_board.board import VirtualBoard

Make = Callable[..., VirtualBoard]
LOOP = b"import time\nprint('main runs')\nwhile True:\n    time.sleep(1)\n"


@contextmanager
def raw(where: str, soft_reset: bool = False) -> Iterator[SerialTransport]:
    """mpremote's own transport in the raw REPL."""
    transport = SerialTransport(where, timeout=60)
    try:
        transport.enter_raw_repl(soft_reset=soft_reset)
        yield transport
    finally:
        with suppress(OSError):  # of a cable that was pulled
            transport.close()


@pytest.mark.parametrize("arch", [HOST, "i386"])
def test_bare_board_makes_a_file_system_and_answers(virtual_board: Make, arch: str) -> None:
    """A chip from the factory has an empty flash, a REPL at either port, and it is 2000."""
    board = virtual_board(arch=arch, chip="ESP32S3", blocks=64)
    for where in (board.port, board.url):
        with raw(where) as repl:
            assert repl.eval("__import__('sys').implementation._machine").endswith("with ESP32S3")
            assert repl.eval("__import__('sys').path")[:3] == ["", ".frozen", "/lib"]
            assert repl.eval("__import__('os').statvfs('/')")[:3] == (4096, 4096, 64)
            assert repl.eval("__import__('machine').RTC().datetime()")[0] == 2000
            assert repl.fs_listdir("/")[0].name == "rom"
            assert repl.use_raw_paste


def test_files_go_both_ways_and_are_counted(virtual_board: Make) -> None:
    """What mpremote writes is on the flash, and reading does not touch it."""
    board = virtual_board(blocks=64)
    data = bytes(range(256)) * 20
    with raw(board.port) as repl:
        repl.fs_writefile("/x.bin", data, chunk_size=1024)
        before = board.counters()
        assert repl.fs_readfile("/x.bin", chunk_size=1024) == data
        assert board.counters() == before > (0, 0)
    assert board.files() == {"/x.bin": data}


def test_boot_and_main_run_as_on_a_chip(virtual_board: Make) -> None:
    """boot.py, then main.py, in one namespace; Ctrl-C ends main; a soft reset in the raw REPL runs
    boot.py alone, a hard one both.
    """
    board = virtual_board(
        files={"/boot.py": b"print('boot')\nx = 5\n", "/main.py": b"print(x)\n" + LOOP}
    )
    board.wait_for("main runs")
    with raw(board.port, soft_reset=True) as repl:
        assert "KeyboardInterrupt: " in board.lines
        assert repl.eval("x") == 5
        assert (board.lines.count("boot"), board.lines.count("main runs")) == (2, 1)
        said = len(board.lines)
        repl.exec_raw_no_follow("import machine; machine.reset()")
        board.wait_for("main runs", since=said)
    assert board.starts == ["power-on", "soft", "hard"]


def test_boot_that_fails_keeps_main_from_running(virtual_board: Make) -> None:
    """As on the chip: a traceback, and the REPL."""
    board = virtual_board(files={"/boot.py": b"1 / 0\n", "/main.py": LOOP})
    board.wait_for("MicroPython v")
    assert "ZeroDivisionError: divide by zero" in board.lines
    assert "main runs" not in board.lines


def test_ctrl_c_is_a_byte_while_it_does_not_interrupt(virtual_board: Make) -> None:
    """kbd_intr(-1) lets 0x03 through, and bytes that are no text go out as they are."""
    code = (
        b"import micropython, sys\nmicropython.kbd_intr(-1)\nprint('ready')\n"
        b"sys.stdout.buffer.write(sys.stdin.buffer.read(4))\nmicropython.kbd_intr(3)\n" + LOOP
    )
    board = virtual_board(files={"/main.py": code})
    board.wait_for("ready")
    port = SerialTransport(board.url, timeout=60)
    try:
        port.serial.write(b"\x03\n\xff\x01")
        assert port.serial.read(4) == b"\x03\n\xff\x01"
        board.wait_for("main runs")
        port.serial.write(b"\x03")
        board.wait_for("KeyboardInterrupt")
    finally:
        port.close()


def test_watchdog_bites_and_rtc_memory_outlives_it(virtual_board: Make) -> None:
    """A watchdog that nobody feeds resets the chip, whose RTC memory and clock stay; a power cut
    takes both.
    """
    code = b"""
import machine, time
rtc = machine.RTC()
print("found", rtc.memory(), rtc.datetime()[0], time.gmtime()[0], machine.reset_cause())
if not rtc.memory():
    rtc.memory(b"kept")
    rtc.datetime((2031, 5, 6, 1, 7, 8, 9, 0))
    machine.WDT(timeout=20000)
while True:
    time.sleep(1)
"""
    board = virtual_board(files={"/main.py": code}, haste=100)
    board.wait_for("found b'' 2000 2000 1")
    board.wait_for("found b'kept' 2031 2031 3")
    assert board.starts == ["power-on", "watchdog"]
    said = len(board.lines)
    board.power_cycle()
    board.wait_for("found b'' 2000 2000 1", since=said)


def test_power_goes_at_a_flash_operation(virtual_board: Make) -> None:
    """At the operation asked for it is off, and what was written before is there afterwards."""
    board = virtual_board(blocks=64, files={"/old": b"old"})
    board.cut_after(40)
    board.wait_for("MicroPython v")

    def write() -> None:
        with raw(board.port) as repl:
            repl.exec("for i in range(99):\n with open('/n', 'w') as f: f.write(str(i))")

    with pytest.raises((TransportError, OSError)):
        write()
    board.wait(lambda: not board.powered)
    assert board.files()["/old"] == b"old"
    assert 0 < int(board.files()["/n"]) < 99


def test_cable_is_pulled_in_the_middle(virtual_board: Make) -> None:
    """The tool sees an error at once, the board goes on, and the port is there again later."""
    board = virtual_board()
    board.wait_for("MicroPython v")
    for where in (board.port, board.url):
        with raw(where) as repl:
            board.unplug_after(2000)
            with pytest.raises((TransportError, OSError)):
                repl.fs_writefile("/x", b"x" * 4096)
        board.plug()
    with raw(board.port) as repl:
        assert repl.fs_exists("/x")
    assert board.starts == ["power-on"]


def test_watchdog_outlives_a_soft_reset(virtual_board: Make) -> None:
    """As on the chip: whoever works at the REPL has until it bites."""
    board = virtual_board(files={"/main.py": b"import machine\nmachine.WDT()\n"}, haste=20)
    board.wait_for("MicroPython v")
    with raw(board.port, soft_reset=True):
        board.wait(lambda: board.starts[:3] == ["power-on", "soft", "watchdog"])
