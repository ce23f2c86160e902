"""What a board says on its console while it is tried, for whoever has to find out why it failed.

It keeps the last lines only, never writes to the port, and leaves it to whoever needs it.
"""

import contextlib
import threading
from collections import deque
from collections.abc import Iterator, Sequence

from limpet.boards.port import open_port
from limpet.deploying.console_lines import Lines
from limpet.node_host import traces
from limpet.shared import payloads
from limpet.shared.problem import Problem

LAST = 12
_SLICE_S = 0.2
_END_S = 30  # longer than a URL's handshake takes to be given up
_AGAIN_S = 0.5  # a chip with USB of its own takes its port away in a reset


class ConsoleLog:
    """Listens at `port`. `with ConsoleLog(port) as log:` lets go of it at the end.

    marks: of lines that hold one, the last is kept apart, for who measures by them.
    """

    def __init__(self, port: str, marks: Sequence[str] = ()) -> None:
        self._port = port
        self._marks = marks
        self._marked: dict[str, str] = {}
        self._heard: deque[str] = deque(maxlen=LAST)
        self._stop = threading.Event()
        self._thread = threading.Thread()

    def __enter__(self) -> "ConsoleLog":
        self._begin()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Leave the port to somebody else while the block runs."""
        self._end()
        try:
            yield
        finally:
            self._begin()

    def take(self) -> list[str]:
        """Return the last lines, none of them a second time."""
        taken = []
        with contextlib.suppress(IndexError):  # the thread goes on meanwhile
            while True:
                taken.append(self._heard.popleft())
        return taken

    def marked(self, mark: str) -> str:
        """Return the last line that held `mark`; empty when none has."""
        return self._marked.get(mark, "")

    def forget(self) -> None:
        """What was marked so far counts no more."""
        self._marked = {}

    def _begin(self) -> None:
        self._stop.clear()
        self._thread = threading.Thread(target=self._listen, name="console-log", daemon=True)
        self._thread.start()

    def _end(self) -> None:
        self._stop.set()
        self._thread.join(_END_S)
        if self._thread.is_alive():
            raise Problem(f"{self._port} does not let go.", "Plug the board in again.")

    def _listen(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(Problem, OSError):
                self._hear(Lines(open_port(self._port), self._port))
            self._stop.wait(_AGAIN_S)

    def _hear(self, lines: Lines) -> None:
        """Keep what is said, until it is to stop. Raises OSError when the port goes."""
        try:
            while not self._stop.is_set():
                if not (line := lines.next(_SLICE_S)):
                    continue
                if mark := next((each for each in self._marks if each in line), None):
                    self._marked[mark] = line
                else:
                    self._heard.append(payloads.safe(traces.readable(line)))
        finally:
            lines.close()
