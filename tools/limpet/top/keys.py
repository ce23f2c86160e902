"""What is pressed, on a terminal that hands over each key at once; where there is none, nothing."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time
from collections.abc import Iterator

# As xterm and the Linux console say them, behind ESC [ or ESC O.
_SEQUENCES = {
    "A": "up", "B": "down", "H": "home", "F": "end",
    "5~": "pgup", "6~": "pgdn", "1~": "home", "4~": "end", "7~": "home", "8~": "end",
}  # fmt: skip
_SINGLE = {"\r": "enter", "\n": "enter", "\x7f": "backspace", "\x08": "backspace", "\x04": "q"}
# Windows's second half of a key that is no letter.
_WINDOWS = {
    "H": "up", "P": "down", "I": "pgup", "Q": "pgdn", "G": "home", "O": "end",
}  # fmt: skip
_PIECE = 1024
_WINDOWS_S = 0.05


def names(text: str) -> Iterator[str]:
    """Yield the names of the keys in what a terminal sent: letters as they are, else `up`, `esc`,
    ...; what is none of these is left out.
    """
    at = 0
    while at < len(text):
        letter = text[at]
        at += 1
        if letter == "\x1b" and text[at : at + 1] in ("[", "O"):
            end = at + 1
            while end < len(text) and not "@" <= text[end] <= "~":
                end += 1
            if name := _SEQUENCES.get(text[at + 1 : end + 1]):
                yield name
            at = end + 1
        elif letter == "\x1b":
            yield "esc"
        elif letter in _SINGLE:
            yield _SINGLE[letter]
        elif letter.isprintable():
            yield letter


class Keys:
    """The keys of standard input while the block runs, which is put back then. There are none
    where that is no terminal.
    """

    def __enter__(self) -> Keys:
        self._old: list[object] | None = None
        self._open = sys.stdin is not None and sys.stdin.isatty()
        if self._open and sys.platform != "win32":
            import termios
            import tty

            self._number = sys.stdin.fileno()
            self._old = termios.tcgetattr(self._number)
            tty.setcbreak(self._number)
        return self

    def __exit__(self, *_: object) -> None:
        if self._old is not None and sys.platform != "win32":
            import termios

            with contextlib.suppress(termios.error):  # the terminal has gone
                termios.tcsetattr(self._number, termios.TCSADRAIN, self._old)  # type: ignore[arg-type]

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Put standard input back for as long as the block runs."""
        self.__exit__()
        yield
        self.__enter__()

    def pressed(self, timeout_s: float) -> list[str]:
        """Return the names of what is pressed; wait for the first for at most `timeout_s`."""
        if not self._open:
            time.sleep(timeout_s)
            return []
        if sys.platform == "win32":
            return _on_windows(timeout_s)
        if not select.select([self._number], [], [], timeout_s)[0]:
            return []
        try:
            data = os.read(self._number, _PIECE)
        except OSError:
            data = b""
        if not data:  # its other end has gone
            self._open = False
        return list(names(data.decode(errors="ignore")))


def _on_windows(timeout_s: float) -> list[str]:
    if sys.platform != "win32":
        return []
    import msvcrt

    end = time.monotonic() + timeout_s
    while not msvcrt.kbhit():
        if time.monotonic() >= end:
            return []
        time.sleep(_WINDOWS_S)
    found: list[str] = []
    while msvcrt.kbhit():
        letter = msvcrt.getwch()
        if letter in ("\x00", "\xe0"):
            found += filter(None, [_WINDOWS.get(msvcrt.getwch())])
        else:
            found += names(letter)
    return found
