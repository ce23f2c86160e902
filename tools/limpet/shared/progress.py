"""How far something is that takes a while: one line, written over on a terminal, elsewhere a new
one every few seconds, so that a log shows life.

Standard library only: tools/limpet_setup/ uses it before anything is installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from threading import Thread
from typing import IO

# Between two lines where there is no terminal.
EVERY_S = 5.0
_LOOK_S = 0.2
_END_S = 5


class Line:
    """What is being done, `title`, and how far it is."""

    def __init__(self, title: str, stream: IO[str] | None = None) -> None:
        self.title = title
        self._stream = stream or sys.stderr
        self._over = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._begun = self._said = time.monotonic()
        self._last = ""
        self._write("")

    def say(self, how_far: str) -> None:
        """Say how far it is; where lines are not written over, not more often than EVERY_S."""
        now = time.monotonic()
        if self._over or now - self._said >= EVERY_S:
            self._said = now
            self._write(how_far)

    def end(self, how_far: str = "") -> None:
        """Say for the last time how far it got."""
        self._write(how_far)
        if self._over:
            self._stream.write("\n")
            self._stream.flush()

    def _write(self, how_far: str) -> None:
        took = time.monotonic() - self._begun
        parts = [how_far, f"{took:.0f} s" if took >= 1 else ""]
        text = ": ".join(filter(None, ("limpet", self.title, ", ".join(filter(None, parts)))))
        if text != self._last:
            self._last = text
            cut = text[: shutil.get_terminal_size().columns - 1]
            self._stream.write(f"\r{cut}\x1b[K" if self._over else text + "\n")
            self._stream.flush()


def followed(
    command: Sequence[str],
    look: Callable[[list[str]], None] | None = None,
    *,
    env: Mapping[str, str] | None = None,
    limit_s: float = float("inf"),
) -> tuple[int, list[str]]:
    """Run `command`, calling `look` with the lines it has said so far several times a second.

    Returns its exit code and its lines, of both streams. Raises subprocess.TimeoutExpired after
    `limit_s`. However it is left, the command has ended.
    """
    said: list[str] = []
    deadline = time.monotonic() + limit_s
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=env,
    ) as process:
        assert process.stdout
        lines = process.stdout
        reader = Thread(target=lambda: said.extend(line.rstrip() for line in lines), daemon=True)
        reader.start()
        try:
            while reader.is_alive():
                reader.join(_LOOK_S)
                if look:
                    look(list(said))
                if time.monotonic() > deadline:
                    raise subprocess.TimeoutExpired(command, limit_s)
        except BaseException:
            process.terminate()
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
            raise
    return process.returncode, said
