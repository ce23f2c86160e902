"""A program that serves, run for a test: what it says is kept, and it ends when the test does."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence

# Far above what anything here takes, so that only what never comes meets it.
START_S = 120.0
STOP_S = 30.0


class Served:
    """One program, started as often as is wanted; never two at once."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: list[str] = []
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._changed = threading.Condition()

    @property
    def pid(self) -> int:
        """The id of the process that runs, or ran last."""
        assert self._process
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def start(self, command: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        """Start it."""
        assert not self.running
        self._process = subprocess.Popen(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # A Ctrl-C is for who started it, who ends it in his order.
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()

    def until(self, wanted: str, since: int = 0, timeout_s: float = START_S) -> str:
        """Wait for a line that holds `wanted`, from line `since` on, and return it. Raises
        RuntimeError with what it said when it has ended, or after `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while True:
                for line in self.lines[since:]:
                    if wanted in line:
                        return line
                since = len(self.lines)
                left_s = deadline - time.monotonic()
                if left_s <= 0 or not (self._reader and self._reader.is_alive()):
                    raise RuntimeError(self.last(f"does not say {wanted!r}"))
                self._changed.wait(min(left_s, 0.5))

    def last(self, what: str) -> str:
        """Return `what` is wrong with it, and its last lines."""
        return "\n".join((f"{self.name} {what}:", *self.lines[-40:]))

    def signal(self, which: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, which)

    def kill(self) -> None:
        """SIGKILL, as a machine that loses its power; waits until it is gone."""
        if self._process:
            self._process.kill()
            self._ended()

    def stop(self) -> None:
        """SIGTERM, and SIGKILL for who does not obey. Twice does no harm."""
        if self._process:
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
            self._ended()

    def _ended(self) -> None:
        assert self._process
        assert self._reader
        self._process.wait(STOP_S)
        # Somebody it started may hold its output open.
        self._reader.join(STOP_S)

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout
        with process.stdout as lines:
            for line in lines:
                with self._changed:
                    self.lines.append(line.rstrip())
                    self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()
