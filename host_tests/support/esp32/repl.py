"""What answers at the cable of the virtual board: the REPL, as in MicroPython 1.29's
shared/runtime/pyexec.c, raw-paste included. The friendly one takes single lines only.
"""

import struct
import sys

import ffi

_WINDOW = 128  # of raw-paste, as on the ESP32
_SOFT_RESET = 66
_end = ffi.open(None).func("v", "_exit", "i")
_stdin, _stdout = sys.stdin.buffer, sys.stdout.buffer


def tell(mark):
    """Send a mark: see chip.py."""
    _stdout.write(b"\xff" + mark)


def _key():
    """The next byte from the cable."""
    data = _stdin.read(1)
    if not data:
        _end(1)
    return data[0]


def soft_reset():
    """End the interpreter, and have it started again."""
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
                    tell(b"R")
                    self._raw_repl()
                else:
                    tell(b"F")
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
                        soft_reset()
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
                tell(b"I")
                exec(bytes(code), self._space)  # noqa: S102 (that is what a REPL is for)
            finally:
                tell(b"i")
        except SystemExit:
            soft_reset()
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
                    soft_reset()
                if key == 13:
                    print()
                    run(line, self._space)
                    break
                line.append(key)
                _stdout.write(bytes((key,)))


def run(code, space):
    """Run code or, as a function, whatever it does, with Ctrl-C on; whether it ended well."""
    try:
        try:
            tell(b"I")
            if callable(code):
                code()
            else:
                exec(bytes(code), space)  # noqa: S102
        finally:
            tell(b"i")
    except SystemExit:
        soft_reset()
    except BaseException as error:  # noqa: BLE001
        sys.print_exception(error)
        return False
    return True
