"""The chip of the virtual board: its flash at "/", its console, its boot. Runs under MicroPython.

boot.py and main.py are run as in MicroPython 1.29's ports/esp32/main.c. disk.py has the flash, and
repl.py what answers at the cable.

What goes out on the console is marked for the board, which stands between chip and cable: 0xFF
begins a mark, which is 0xFF or a line feed that is not to become CR LF, `I` or `i` when code
begins or ends that Ctrl-C interrupts, `-` when it is a byte like others, `R` or `F` when the raw or
the friendly REPL is entered. The text that a node prints is UTF-8 and has no 0xFF.
"""

import os
import sys
from collections import namedtuple

import disk
import ffi
import micropython
import repl
import uctypes
import utime
import vfs

_RST = {
    "power-on": "0x1 (POWERON_RESET)",
    "hard": "0xc (SW_CPU_RESET)",
    "watchdog": "0xc (SW_CPU_RESET)",
}


class _Out:
    """sys.stdout.buffer: bytes that are not text, each sent as it is."""

    def __init__(self, real):
        self._real = real

    def write(self, data):
        """Bytes, all of them."""
        for byte in bytes(data):
            self._real.write(b"\xff" + bytes((byte,)) if byte in (10, 255) else bytes((byte,)))
        return len(data)


class _Stdout:
    """sys.stdout, with that buffer."""

    def __init__(self, real):
        self._real = real
        self.buffer = _Out(real.buffer)

    def write(self, text):
        """Text."""
        return self._real.write(text)

    def __getattr__(self, name):
        return getattr(self._real, name)


_Implementation = namedtuple("implementation", "name version _machine _mpy _build")


class _Sys:
    """`sys` of the chip."""

    platform = "esp32"

    def __init__(self, real, chip, release):
        self._real = real
        self.stdout = _Stdout(real.stdout)
        machine = "Generic %s module with %s" % (chip, chip)
        version = real.implementation.version
        if release:
            version = tuple(int(part) for part in release.split(".")) + ("",)
        mpy = real.implementation._mpy
        self.implementation = _Implementation("micropython", version, machine, mpy, chip)

    def __getattr__(self, name):
        return getattr(self._real, name)


class _Micropython:
    """`micropython` of the chip: Ctrl-C is decided upon at the cable's end."""

    def __init__(self, real):
        self._real = real
        self.kbd_intr = _kbd_intr  # no method: `from micropython import` takes none

    def __getattr__(self, name):
        return getattr(self._real, name)


def _kbd_intr(key):
    """Which byte interrupts; -1: none."""
    repl.tell(b"I" if key == 3 else b"-")


def _file(name, space):
    """Run a file if it is there; whether it ended well."""
    try:
        os.stat(name)
    except OSError:
        return True
    return repl.run(lambda: execfile(name, space), space)  # noqa: F821 (MicroPython has it)


def _mount(flash):
    """Mount the flash in place of all else; make a file system as a new chip does.

    Only where none is: who takes the power away between erasing the first block and programming it
    leaves a blank block, and a file system in the second.
    """
    vfs.umount("/")
    try:
        vfs.mount(vfs.VfsLfs2(flash), "/")
    except OSError:
        if flash.blank():
            vfs.VfsLfs2.mkfs(flash)
            vfs.mount(vfs.VfsLfs2(flash), "/")
            return
        while True:  # as ports/esp32/modules/inisetup.py
            print("The filesystem appears to be corrupted. If you had important data there, you")
            print("may want to make a flash snapshot to try to recover it. Otherwise, perform")
            print("factory reprogramming of MicroPython firmware (completely erase flash, followed")
            print("by firmware programming).")
            utime.sleep(3)


def _rom(path):
    """What is part of a chip's own firmware, outside the heap."""
    size = os.stat(path)[6]
    rom = uctypes.bytearray_at(ffi.open(None).func("p", "malloc", "L")(size), size)
    with open(path, "rb") as file:
        file.readinto(rom)
    vfs.mount(vfs.VfsRom(rom), "/rom")


def start():
    """Boot."""
    cause, chip = os.getenv("LIMPET_RESET"), os.getenv("VIRTUAL_CHIP")
    raw = bool(os.getenv("VIRTUAL_RAW"))
    if cause != "soft":
        print("ets Jul 29 2019 12:21:46\n\nrst:%s,boot:0x13 (SPI_FAST_FLASH_BOOT)" % _RST[cause])
    _rom(os.getenv("LIMPET_ROM"))
    flash = disk.Disk(os.getenv("VIRTUAL_FLASH"), int(os.getenv("VIRTUAL_CUT") or 0))
    memory = open(os.getenv("VIRTUAL_RTC"), "r+b")  # noqa: SIM115 (until the reset)
    _mount(flash)
    sys.path[:] = ["", ".frozen", "/lib", "/rom"]
    del sys.modules["disk"], sys.modules["repl"]  # no modules of a chip
    sys.modules["flashbdev"] = namedtuple("flashbdev", ("bdev",))(flash)
    sys.modules["sys"] = _Sys(sys, chip, os.getenv("VIRTUAL_RELEASE") or "")
    sys.modules["micropython"] = _Micropython(micropython)
    if os.getenv("VIRTUAL_UMQTT") == "no":
        sys.modules["umqtt"] = object()  # which has nothing in it
    import rtc_file

    watchdog_ms = rtc_file.start(memory, cause == "soft")
    if watchdog_ms:
        import machine

        machine.WDT(timeout=watchdog_ms)
    space = {"__name__": "__main__"}
    if _file("boot.py", space) and not raw:
        _file("main.py", space)
    told = sys.modules["sys"].implementation
    banner = 'MicroPython v%d.%d.%d on 2025-04-15; %s\nType "help()" for more information.' % (
        told.version[:3] + (told._machine,)
    )
    repl.Console(space, banner, raw).run()


start()
