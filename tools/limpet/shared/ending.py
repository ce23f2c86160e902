"""How the command ends: output that is gone, a thread that failed, SIGTERM.

What cannot be written to standard output is dropped and the error kept: an exception out of print
would end whatever thread it meets. So who has work to do does it to the end, who only shows asks
`lost` and ends, and cli.main tells the cause. A thread that ends by an exception ends the program.
"""

import _thread
import errno
import io
import os
import select
import signal
import stat
import sys
import threading
from typing import Any, cast

_FULL_S = 1


class _Descriptor(io.FileIO):
    """One of the process's own outputs; the first error is kept, what comes after dropped."""

    error: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Write all of it, or drop it."""
        rest = memoryview(data).cast("B")
        size = rest.nbytes
        try:
            while rest and self.error is None:
                # None: somebody else has made it non-blocking, and it is full.
                sent = super().write(rest)
                rest = rest[sent or 0 :]
                if sent is None:
                    select.select([], [self], [], _FULL_S)
        except OSError as error:
            self.error = error
        return size

    def look(self) -> OSError | None:
        """The error, if there is one. The reader of a pipe is seen to go without a write."""
        # Windows has no poll: there only a write tells.
        if self.error is None and hasattr(select, "poll"):
            poll = select.poll()
            poll.register(self.fileno(), 0)
            if any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0)):
                self.error = BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        return self.error


_output: _Descriptor | None = None
_thread_error: tuple[str, BaseException] | None = None


def prepare() -> None:
    """Make standard output and the main thread what the docstring above says. Once, by cli.main."""
    global _output
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # Closed by the caller: the next file that is opened would take its number.
            descriptor = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, open(descriptor, mode, closefd=False))  # noqa: SIM115 - for good
    _output = _guarded("stdout", 1)
    _guarded("stderr", 2)
    threading.excepthook = _thread_failed
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def _guarded(name: str, number: int) -> _Descriptor | None:
    stream = getattr(sys, name)
    try:
        if not isinstance(stream, io.TextIOWrapper) or stream.fileno() != number:
            return None
        # Windows's console is no file of bytes, and takes every letter.
        if not isinstance(getattr(stream.buffer, "raw", stream.buffer), io.FileIO):
            return None
    except OSError:  # a stream without a number: somebody else's
        return None
    made = _Descriptor(number, "wb", closefd=False)
    # By line in a pipe too: who follows a log wants it now. And not every terminal has a degree
    # sign; none is a reason to end. No BufferedWriter: after Ctrl-C in the middle of a write it
    # would write the same again.
    text = io.TextIOWrapper(
        cast(Any, made), stream.encoding, "backslashreplace", line_buffering=True
    )
    setattr(sys, name, text)
    return made


def lost() -> bool:
    """Whether standard output is gone. Costs one system call."""
    return _output is not None and _output.look() is not None


def shortfall() -> str | None:
    """Why standard output does not hold all that was said; None as well when its reader has gone,
    which is his right: a closed pipe, a closed terminal.
    """
    error = _output.error if _output else None
    if error is None or error.errno == errno.EPIPE:
        return None
    terminal = _output and stat.S_ISCHR(os.fstat(_output.fileno()).st_mode)
    return None if error.errno == errno.EIO and terminal else error.strerror


def thread_error() -> tuple[str, BaseException] | None:
    """Name and exception of the thread that ended the program, if one did."""
    return _thread_error


def _thread_failed(args: threading.ExceptHookArgs) -> None:
    global _thread_error
    if args.exc_value is None or isinstance(args.exc_value, SystemExit) or _thread_error:
        return
    _thread_error = (args.thread.name if args.thread else "?", args.exc_value)
    if hasattr(signal, "pthread_kill"):
        # To the main thread itself: a wait of any other would not be interrupted.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    else:
        _thread.interrupt_main()
