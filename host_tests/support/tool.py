"""The `limpet` command as a user has it: a process that prints into a pipe or on a terminal."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Condition, Thread
from time import monotonic

LIMPET = Path(sys.executable).with_name("limpet")
# Far above what anything takes, so that only a hang meets it.
TIMEOUT_S = 60
COLUMNS = 80


def limpet(
    *words: str | Path, cwd: Path | None = None, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run `limpet` to its end, without a terminal, with `env` besides the environment."""
    return subprocess.run(
        [LIMPET, *words],
        cwd=cwd,
        env=os.environ | env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=2 * TIMEOUT_S,
    )


class Tool:
    """`limpet` with arguments, running. `output` is what it printed so far, both streams together.

    terminal: it prints on one of 80 columns, or `columns`, and 25 lines. keys: it reads from that,
    too, as its own terminal. program: another one.
    """

    def __init__(
        self,
        *arguments: str | Path,
        terminal: bool = False,
        columns: int = COLUMNS,
        keys: bool = False,
        cwd: Path | None = None,
        program: str | Path = LIMPET,
    ) -> None:
        self.output = b""
        self._changed = Condition()
        self._read, write = pty.openpty() if terminal else os.pipe()
        if terminal:
            self.resize(25, columns)
        self.process = subprocess.Popen(
            [program, *arguments],
            stdin=write if keys else subprocess.DEVNULL,
            stdout=write,
            stderr=write,
            env={**os.environ, "TERM": "xterm", "PYTHONUNBUFFERED": "1"},
            cwd=cwd,
            start_new_session=True,
        )
        os.close(write)
        self._reader = Thread(target=self._collect, daemon=True)
        self._reader.start()

    def _collect(self) -> None:
        # A terminal whose other end has gone is an error to read from, a pipe an end of file.
        with contextlib.suppress(OSError):
            while data := os.read(self._read, 65536):
                with self._changed:
                    self.output += data
                    self._changed.notify_all()

    @property
    def text(self) -> str:
        """What it printed so far."""
        return self.output.decode(errors="replace")

    def wait_for(self, wanted: str | Callable[[str], object]) -> str:
        """Wait until the output holds `wanted`, or `wanted` is true of it; return the output."""
        fits = wanted if callable(wanted) else lambda text: wanted in text
        deadline = monotonic() + TIMEOUT_S
        with self._changed:
            while not fits(self.text):
                left_s = deadline - monotonic()
                if left_s <= 0 or not self._reader.is_alive():
                    raise AssertionError(f"no {wanted!r} in:\n{self.text}")
                self._changed.wait(min(left_s, 0.5))
            return self.text

    def resize(self, lines: int, columns: int) -> None:
        """Make its terminal another size."""
        fcntl.ioctl(self._read, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def press(self, keys: str) -> None:
        """Type on its terminal."""
        os.write(self._read, keys.encode())

    def by_line(self) -> bool:
        """Whether its terminal hands over whole lines, and shows what is typed, as a shell's."""
        modes = termios.tcgetattr(self._read)[3]
        return bool(modes & termios.ICANON and modes & termios.ECHO)

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def end(self) -> int:
        """Wait until it has ended, with all of its output; return its exit code."""
        code = self.process.wait(TIMEOUT_S)
        self._reader.join(TIMEOUT_S)
        return code

    def __enter__(self) -> Tool:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join(TIMEOUT_S)
        os.close(self._read)


@contextlib.contextmanager
def serving(verb: str, fleet: Path) -> Iterator[Callable[..., Tool]]:
    """Yield what starts `limpet VERB` on a free port, told its broker's port and more words. In the
    end those that still run are ended.
    """
    started: list[Tool] = []

    def start(port: int, *more: str) -> Tool:
        at = ["--broker", "127.0.0.1", "--port", str(port), "--listen", "127.0.0.1:0"]
        tool = Tool(verb, "--fleet", fleet, *at, *more)
        started.append(tool)
        tool.wait_for("Ctrl-C ends it")
        return tool

    try:
        yield start
    finally:
        for each in started:
            each.__exit__()


def gone(pid: int) -> bool:
    """Whether there is no process `pid`, not even one to be waited for."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False
