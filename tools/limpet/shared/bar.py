"""A bar for work that is counted in pieces: on a terminal; elsewhere a line every few seconds."""

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from limpet.shared.progress import Line

# What is done sooner is said by its end.
_TELL_S = 2.0


@contextlib.contextmanager
def counted(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Yield what is to be called with how many more of `total` are done. It goes to standard
    error, and is gone at the end where there is a terminal.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        begun, done = time.monotonic(), 0
        line: Line | None = None

        def say(count: int) -> None:
            nonlocal done, line
            done += count
            if line is None and time.monotonic() - begun > _TELL_S:
                line = Line(title)
            if line:
                line.say(f"{done:,} of {total:,}")

        yield say
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda count: bar.advance(task, count)
