"""A bar for work that is counted in pieces: on a terminal; elsewhere a line every few seconds."""

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from limpet.shared.progress import Line


@contextlib.contextmanager
def counted(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Yield what is to be called with how many more of `total` are done. It goes to standard
    error, and is gone at the end where there is a terminal.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        line = Line(title)
        done = 0

        def say(count: int) -> None:
            nonlocal done
            done += count
            line.say(f"{done:,} of {total:,}")

        yield say
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda count: bar.advance(task, count)
