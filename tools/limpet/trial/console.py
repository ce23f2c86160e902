"""The board by its port, for the checks that need more than the broker.

What a probe raises there becomes a Problem, and so one check that failed.
"""

import contextlib
import re
import time
from collections.abc import Iterator
from typing import NamedTuple

from limpet.deploying.remote import NoRoom, Remote
from limpet.shared.problem import Problem
from limpet.trial import probes
from limpet.trial.console_log import ConsoleLog

_SLICE_S = 0.2
# How MicroPython tells of the longest free piece, in blocks.
_PIECE = re.compile(r"max free sz: (\d+)")
_TURNS = re.compile(rf"{probes.MARK} (\d+) (\d+) (\d+) (\d+)$")
# A dict as MicroPython prints it.
_STEP = re.compile(r"'(\w{1,32})': (\d{1,12})\b")


class Memory(NamedTuple):
    """Bytes: the interpreter's heap free, the IDF's free and its least ever; None where none is."""

    gc: int
    idf: int | None
    idf_least: int | None


class Published(NamedTuple):
    """What the client alone has done: Messages acknowledged within `ms`, and why it ended early."""

    acknowledged: int
    ms: int
    handshake_ms: int | None
    cause: str | None


class Turns(NamedTuple):
    """Of a node that is watched, since its first turn: ms awake and in all, Readings taken."""

    awake_ms: int
    whole_ms: int
    reads: int
    block: int  # bytes of a block of its heap


class Console:
    """`step_ms`: the longest step that the time budget allows; `look_s`: how long to look."""

    def __init__(self, port: str, log: ConsoleLog, step_ms: int, look_s: float) -> None:
        self.step_ms = step_ms
        self.look_s = look_s
        self._port = port
        self._log = log
        self.about = ("unknown", "unknown")

    def memory(self) -> Memory:
        """Stop the node as Ctrl-C does, and return what memory it leaves."""
        with self._board() as remote:
            self.about = remote.run(probes.ABOUT)
            return Memory(*remote.run(probes.MEMORY))

    def commits(self, count: int) -> list[int]:
        """Return the microseconds of so many commits of one Reading to flash, each."""
        with self._board() as remote:
            found: list[int] = remote.run(probes.COMMIT % count)
            return found

    def publish(self, for_s: float, link_s: float) -> Published:
        """Have the client alone publish for so long, once it is up, within `link_s`."""
        ms = {"for_ms": int(for_s * 1000), "link_ms": int(link_s * 1000)}
        with self._board() as remote:
            remote.set_clock()
            return Published(*remote.run(probes.CLIENT % ms))

    def watch(self) -> None:
        """Start the node with a stopwatch around its sleep, see `turns`."""
        with self._board() as remote:
            self._log.forget()
            remote.start(probes.LOOK % {"look_ms": int(self.look_s * 1000)})

    def turns(self) -> Turns | None:
        """Return what the stopwatch said last."""
        found = _TURNS.search(self._log.marked(probes.MARK))
        return Turns(*map(int, found.groups())) if found else None

    def largest(self, timeout_s: float) -> int | None:
        """Return the bytes of the longest free piece of the watched node's heap as it is now, or
        None when it has not said so within `timeout_s`; to be asked when the look is over.
        """
        self._log.forget()
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            found, turns = _PIECE.search(self._log.marked("max free sz")), self.turns()
            if found and turns:
                return int(found.group(1)) * turns.block
            time.sleep(_SLICE_S)
        return None

    def steps(self) -> dict[str, float]:
        """Return the milliseconds of the longest step of each part of the watched node, by name."""
        said = self._log.marked(probes.STEPS)
        return {name: int(us) / 1000 for name, us in _STEP.findall(said)}

    def hang(self, watchdog_ms: int) -> None:
        """Let nothing run until the watchdog bites, after `watchdog_ms`."""
        with self._board() as remote:
            remote.start(probes.HANG % watchdog_ms)

    @contextlib.contextmanager
    def _board(self) -> Iterator[Remote]:
        try:
            with self._log.away(), Remote(self._port) as remote:
                yield remote
        except NoRoom:
            raise Problem("The flash is full.", "Put the node on it anew: limpet flash.") from None
        except RuntimeError as error:
            raise Problem(f"The board said {error}", "Look at its console.") from None
