"""A board in its raw REPL, by mpremote's own Python API; what goes wrong there becomes a Problem.

Every wait for an answer ends after 10 s.
"""

import ast
import contextlib
import errno
import io
import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport
from rich.console import Console

from limpet.boards.port import open_port
from limpet.shared.problem import Problem

_TIMEOUT_S = 10
_ABANDON_S = 5  # somebody waits at the terminal, and a busy board may take 2
# A chip needs its text as Python code, up to four characters a byte, in one piece of heap.
_CHUNK = 1024
_TRIES = 3  # a node that looks up a name hears Ctrl-C only afterwards


class NoRoom(Exception):
    """The board's file system is full."""


class Gone(Problem):
    """The port has gone, and the board with it."""


class Remote:
    """The board at `port`, stopped, its heap empty. `with Remote(port) as board:` lets go of it.

    boot.py has been run, main.py not. Every method raises Problem when the board is gone or does
    not answer.
    """

    def __init__(self, port: str) -> None:
        self.port = port
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                self._transport = SerialTransport(port, timeout=_TIMEOUT_S)
            except (TransportError, OSError, ValueError):
                open_port(port).close()  # which says why not
                raise Problem(f"{port} cannot be opened.", "Plug it in again.") from None
        try:
            with Console(stderr=True).status(f"Stopping the node at {port}"):
                self._enter()
        except BaseException as error:
            with contextlib.ExitStack() as stack:
                stack.callback(self.close)
                if isinstance(error, KeyboardInterrupt):
                    self.abandon()  # what is stopped by now goes on
            raise

    def _enter(self) -> None:
        for attempt in range(_TRIES):
            try:
                with self._talking():
                    self._transport.enter_raw_repl(soft_reset=True, timeout_overall=_TIMEOUT_S)
                return
            except Problem:
                if attempt == _TRIES - 1 or not self._there():
                    raise
        raise AssertionError

    def _there(self) -> bool:
        try:
            self._transport.serial.inWaiting()
        except OSError:
            return False
        return True

    def __enter__(self) -> "Remote":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def serial(self) -> Any:
        """The port itself, as pyserial's object, for what the board says after a reset."""
        return self._transport.serial

    def close(self) -> None:
        """Let go of the port. What the board does is not changed by that."""
        try:
            self._transport.close()
        except OSError:  # the cable was pulled; then mpremote's own close stops half-way
            with contextlib.suppress(OSError):
                self._transport.serial.close()

    def run(self, code: str) -> Any:
        """Run `code` on the board and return what it printed, a Python literal; None for nothing.

        Raises RuntimeError with the board's own last line when the code raises there.
        """
        with self._talking():
            try:
                said = self._transport.exec(code).decode().strip()
            except TransportExecError as error:
                raise _failed(error) from None
        return ast.literal_eval(said) if said else None

    def write(self, path: str, data: bytes, on_bytes: Callable[[int], None]) -> None:
        """Write a file; `on_bytes` is called with how many more bytes have gone. Raises NoRoom."""
        sent = 0

        def progress(written: int, size: int) -> None:
            nonlocal sent
            on_bytes(written - sent)
            sent = written

        with self._talking():
            try:
                self._transport.fs_writefile(path, data, _CHUNK, progress)
            except TransportExecError as error:
                raise _failed(error) from None
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    raise NoRoom from None
                raise

    def append(self, path: str, data: bytes, on_bytes: Callable[[int], None]) -> None:
        """Add to a file, or begin it; as `write` does."""
        self.run(f"guard.feed()\nfile = open({path!r}, 'ab')")
        for at in range(0, len(data), _CHUNK):
            piece = data[at : at + _CHUNK]
            self.run(f"_ = file.write({piece!r})")
            on_bytes(len(piece))
        self.run("file.close()")

    def rename(self, old: str, new: str) -> None:
        """Put a file in the place of another one, in one step."""
        self.run(f"import os\nos.rename({old!r}, {new!r})")

    def remove(self, path: str) -> None:
        """Remove a file."""
        self.run(f"import os\nos.remove({path!r})")

    def remove_folder(self, path: str) -> None:
        """Remove a folder in which nothing is."""
        self.run(f"import os\nos.rmdir({path!r})")

    def make_folder(self, path: str) -> None:
        """Make a folder in one that is there."""
        self.run(f"import os\nos.mkdir({path!r})")

    def set_clock(self) -> None:
        """Set the board's clock to UTC, as `mpremote rtc --set` does for local time."""
        now = datetime.now(UTC)
        date = (now.year, now.month, now.day, now.weekday(), now.hour, now.minute, now.second, 0)
        self.run(f"import machine\nmachine.RTC().datetime({date})")

    def start(self, code: str) -> None:
        """Run `code` on the board, and leave it to it."""
        with self._talking():
            self._transport.exec_raw_no_follow(code)

    def reset(self) -> None:
        """Reset the chip; it boots as if the button was pressed."""
        self.start("import machine\nmachine.reset()")

    def abandon(self) -> None:
        """Reset the chip from whatever state it is in, if it still hears."""
        with contextlib.suppress(Problem, RuntimeError), self._talking():
            self._transport.enter_raw_repl(soft_reset=False, timeout_overall=_ABANDON_S)
            self.reset()

    @contextlib.contextmanager
    def _talking(self) -> Iterator[None]:
        try:
            # mpremote prints what it does not understand.
            with contextlib.redirect_stdout(io.StringIO()):
                yield
        except TransportError:
            if self._there():
                raise Problem(
                    f"The board at {self.port} does not answer.",
                    "Press its reset button and try again; if that does not help, put MicroPython "
                    "on it: limpet flash.",
                ) from None
            raise self._gone() from None
        except (OSError, struct.error):
            raise self._gone() from None

    def _gone(self) -> Problem:
        return Gone(f"{self.port} went away.", "Plug the board in and start again.")


def _failed(error: TransportExecError) -> Exception:
    last = error.error_output.strip().splitlines()[-1:]
    text = last[0] if last else "unknown"
    number = text.removeprefix("OSError: ").removeprefix("[Errno ").split("]")[0].strip()
    return NoRoom() if number == str(errno.ENOSPC) or "ENOSPC" in text else RuntimeError(text)
