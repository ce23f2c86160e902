"""Watches a node start until the broker has let it in, or says why it has not.

It never touches the node: whatever it says, it goes on.
"""

import time
from typing import Any

from limpet.deploying.console import Shown
from limpet.deploying.console_lines import Lines
from limpet.deploying.node_log import CAUSES, FINAL, Said
from limpet.shared.problem import Problem

_GONE_S = 10.0  # a chip with USB of its own takes its port away in a reset
_DEPLOY = "Put that right, and deploy again."


def watch(port: Any, name: str, timeout_s: float) -> None:
    """Show the log from `port` until the node is up. Raises Problem with what keeps it from that.

    The port, an open one of pyserial's, is closed at the end.
    """
    lines, shown, news = Lines(port, name), Shown(), _News()
    deadline = time.monotonic() + timeout_s
    try:
        while (left_s := deadline - time.monotonic()) > 0:
            try:
                line = lines.next(left_s)
            except OSError:
                if not lines.again(_GONE_S):
                    raise Problem(f"{name} went away.", "Plug the board in again.") from None
                continue
            if line is not None and news.take(shown.line(line)):
                return
        raise news.late(timeout_s)
    finally:
        lines.close()


class _News:
    """What the lines so far amount to."""

    def __init__(self) -> None:
        self._cause: str | None = None
        self._trace: list[str] = []
        self._in_trace = False

    def take(self, said: Said) -> bool:
        """Whether the node is up. Raises Problem when it cannot come up by itself."""
        if said.area == "config" and said.text.startswith("refused"):
            field, _, rule = said.text.partition("field=")[2].partition(" rule=")
            raise Problem(f"The node refuses its config: {field} {rule}.", _DEPLOY)
        if said.area == "config" and said.text.startswith("missing"):
            raise Problem(
                "The node has no config.", "Provision a device (limpet provision), deploy again."
            )
        self._cause = said.cause or self._cause
        if self._cause in FINAL:
            raise Problem(f"The node is not let in: {self._cause}. {CAUSES[self._cause]}", _DEPLOY)
        if not said.area:
            self._other(said.text)
        return said.up

    def _other(self, text: str) -> None:
        """What is no line of the log."""
        if text.startswith("limpet: "):
            told = text.removeprefix("limpet: ")
            if told.startswith("slot "):
                told += "; its old version runs"
            raise Problem(f"The node cannot run: {told}.", _DEPLOY)
        if text.startswith("Traceback"):
            self._in_trace, self._trace = True, []
        elif self._in_trace:
            self._trace.append(text)
            self._in_trace = text.startswith(" ")
        elif self._trace and text.startswith(("rst:", "MicroPython v")):
            raise Problem(f"The node crashed: {self._trace[-1]}.", "Put that right, deploy again.")

    def late(self, timeout_s: float) -> Problem:
        """What to say when the time is over."""
        if self._trace:
            return Problem(f"The node has a bug: {self._trace[-1].rstrip(': ')}.", _DEPLOY)
        why = f" ({self._cause})" if self._cause else ""
        return Problem(
            f"The node is not up after {timeout_s:g} s{why}. It goes on trying.",
            CAUSES.get(self._cause or "", "See what it says: limpet console."),
        )
