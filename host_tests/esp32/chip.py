"""The chip of the virtual board: its flash at "/", its console, its boot. Runs under MicroPython.

boot.py and main.py are run, and the raw REPL answers, as in MicroPython 1.29's ports/esp32/main.c
and shared/runtime/pyexec.c, raw-paste included. The friendly REPL takes single lines only.

What goes out on the console is marked for the board, which stands between chip and cable: 0xFF
begins a mark, which is 0xFF or a line feed that is not to become CR LF, `I` or `i` when code
begins or ends that Ctrl-C interrupts, `-` when it is a byte like others, `R` or `F` when the raw or
the friendly REPL is entered. The text that a node prints is UTF-8 and has no 0xFF.
"""

import os
import struct
import sys
from collections import namedtuple

import ffi
import micropython
import uctypes
import utime
import vfs

_BLOCK = 4096
_WINDOW = 128  # of raw-paste, as on the ESP32
_RST = {
    "power-on": "0x1 (POWERON_RESET)",
    "hard": "0xc (SW_CPU_RESET)",
    "watchdog": "0xc (SW_CPU_RESET)",
}
_end = ffi.open(None).func("v", "_exit", "i")
_SOFT_RESET = 66
_POWER_CUT = 67


class Disk:
    """The flash: a file of so many blocks, behind which programs and erases are counted."""

    def __init__(self, path, cut_at):
        self._file = open(path, "r+b")  # noqa: SIM115 (as long as there is power)
        self._count_at = self._file.seek(0, 2) - 8
        self._blocks = self._count_at // _BLOCK
        self._cut_at = cut_at
        self._file.seek(self._count_at)
        self._counts = list(struct.unpack("<II", self._file.read(8)))

    def readblocks(self, block, buffer, offset=0):
        """Called by littlefs."""
        self._file.seek(block * _BLOCK + offset)
        self._file.readinto(buffer)

    def writeblocks(self, block, buffer, offset=0):
        """Called by littlefs: program."""
        torn = self._count(0)
        self._file.seek(block * _BLOCK + offset)
        if torn:
            self._file.write(buffer[: len(buffer) // 2])
            _end(_POWER_CUT)
        self._file.write(buffer)

    def ioctl(self, what, block):
        """Called by littlefs: 4 number of blocks, 5 their size, 6 erase."""
        if what == 4:
            return self._blocks
        if what == 5:
            return _BLOCK
        if what == 6:
            if self._count(1):
                _end(_POWER_CUT)
            self._file.seek(block * _BLOCK)
            self._file.write(b"\xff" * _BLOCK)
        return 0

    def _count(self, which):
        """Count an operation; whether it is the one at which the power goes."""
        self._counts[which] += 1
        self._file.seek(self._count_at)
        self._file.write(struct.pack("<II", *self._counts))
        return sum(self._counts) == self._cut_at

    def blank(self):
        """Whether nothing has ever been written to the first block."""
        self._file.seek(0)
        return self._file.read(_BLOCK) == b"\xff" * _BLOCK


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
    _tell(b"I" if key == 3 else b"-")


_stdin, _stdout = sys.stdin.buffer, sys.stdout.buffer


def _tell(mark):
    _stdout.write(b"\xff" + mark)


def _key():
    """The next byte from the cable."""
    data = _stdin.read(1)
    if not data:
        _end(1)
    return data[0]


def _soft_reset():
    print("MPY: soft reboot")
    _end(_SOFT_RESET)


class Console:
    """What answers at the cable once main.py has ended."""

    def __init__(self, space, banner, raw):
        self._space = space
        self._banner = banner
        self._raw = raw

    def run(self):
        """For ever."""
        while True:
            try:
                if self._raw:
                    _tell(b"R")
                    self._raw_repl()
                else:
                    _tell(b"F")
                    print(self._banner)
                    self._friendly_repl()
            except KeyboardInterrupt:
                pass  # came too late for what it was to end

    def _raw_repl(self):
        print("raw REPL; CTRL-B to exit")
        while True:
            _stdout.write(b">")
            code = bytearray()
            while True:
                key = _key()
                if key == 1:
                    if bytes(code) == b"\x05A":
                        if self._paste():
                            break
                        return
                    return
                if key == 2:
                    print()
                    self._raw = False
                    return
                if key == 3:
                    code = bytearray()
                elif key == 4:
                    _stdout.write(b"OK")
                    if not code:
                        print()
                        _soft_reset()
                    self._execute(code)
                    break
                else:
                    code.append(key)

    def _paste(self):
        """Take code with flow control, and run it. Returns True."""
        _stdout.write(b"R\x01" + struct.pack("<H", _WINDOW))
        _stdout.write(b"\x01")
        code = bytearray()
        left = _WINDOW
        while True:
            key = _key()
            if key == 3:
                _stdout.write(b"\x04\x04KeyboardInterrupt: \r\xff\n\x04")
                return True
            if key == 4:
                break
            code.append(key)
            left -= 1
            if not left:
                _stdout.write(b"\x01")
                left = _WINDOW
        _stdout.write(b"\x04")
        self._execute(code)
        return True

    def _execute(self, code):
        error = None
        try:
            try:
                _tell(b"I")
                exec(bytes(code), self._space)  # noqa: S102 (that is what a REPL is for)
            finally:
                _tell(b"i")
        except SystemExit:
            _soft_reset()
        except BaseException as raised:  # noqa: BLE001
            error = raised
        _stdout.write(b"\x04")
        if error:
            sys.print_exception(error)
        _stdout.write(b"\x04")

    def _friendly_repl(self):
        while True:
            _stdout.write(b">>> ")
            line = bytearray()
            while True:
                key = _key()
                if key == 1:
                    print()
                    self._raw = True
                    return
                if key == 2:
                    print()
                    return
                if key == 3:
                    print()
                    break
                if key == 4 and not line:
                    print()
                    _soft_reset()
                if key == 13:
                    print()
                    _run(line, self._space)
                    break
                line.append(key)
                _stdout.write(bytes((key,)))


def _run(code, space):
    """Run code or, as a function, whatever it does, with Ctrl-C on; whether it ended well."""
    try:
        try:
            _tell(b"I")
            if callable(code):
                code()
            else:
                exec(bytes(code), space)  # noqa: S102
        finally:
            _tell(b"i")
    except SystemExit:
        _soft_reset()
    except BaseException as error:  # noqa: BLE001
        sys.print_exception(error)
        return False
    return True


def _file(name, space):
    """Run a file if it is there; whether it ended well."""
    try:
        os.stat(name)
    except OSError:
        return True
    return _run(lambda: execfile(name, space), space)  # noqa: F821 (MicroPython has it)


def _mount(disk):
    """Mount the flash in place of all else; make a file system as a new chip does."""
    vfs.umount("/")
    if disk.blank():
        vfs.VfsLfs2.mkfs(disk)
    try:
        vfs.mount(vfs.VfsLfs2(disk), "/")
    except OSError:
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
    disk = Disk(os.getenv("VIRTUAL_FLASH"), int(os.getenv("VIRTUAL_CUT") or 0))
    memory = open(os.getenv("VIRTUAL_RTC"), "r+b")  # noqa: SIM115 (until the reset)
    _mount(disk)
    sys.path[:] = ["", ".frozen", "/lib", "/rom"]
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
    Console(space, banner, raw).run()


start()
