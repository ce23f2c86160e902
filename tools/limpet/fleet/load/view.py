"""How a load run is, while it runs: a few lines on a terminal, elsewhere a line every few seconds.
Both go to standard error.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import IO

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from limpet.fleet.load.play import Play
from limpet.shared.progress import Line

_WIDTH = 40


@contextlib.contextmanager
def view(play: Play, stream: IO[str]) -> Iterator[Callable[[Play], None]]:
    """Yield what is to be called every now and then."""
    console = Console(file=stream)
    if not console.is_terminal:
        line = Line(f"{play.wanted.nodes:,} nodes", stream)
        yield lambda now: line.say(", ".join(said(now).values()))
        line.end(", ".join(said(play).values()))
        return
    with Live(console=console, transient=True, auto_refresh=False) as live:

        def show(now: Play) -> None:
            live.update(_table(now), refresh=True)

        yield show


def said(play: Play) -> dict[str, str]:
    """Return what is to be said of it now, by its name."""
    figures, record = play.figures, play.record
    last = record.samples[-1] if record.samples else None
    found = {
        "phase": record.phase,
        "connected": f"{figures.up:,} of {play.wanted.nodes:,} connected",
        "Readings": f"{figures.delivered:,} of {figures.taken:,} Readings delivered",
    }
    if last:
        found["connected"] += f" ({last.connects:.0f}/s)"
        found["Readings"] += f" ({last.delivered:.0f}/s)"
        found["waiting"] = f"{last.waiting:,} wait"
        if last.broker_mb is not None:
            found["broker"] = f"broker {last.broker_mb:.0f} MB"
    delay = figures.consumed.percentile(95)
    if delay is not None:
        found["latency"] = f"95 % within {delay * 1000:.0f} ms"
    return found


def _table(play: Play) -> Table:
    found = said(play)
    table = Table.grid(padding=(0, 2))
    phase = found.pop("phase")
    hint = "ending; Ctrl-C again cuts it short" if play.record.interrupted else "Ctrl-C ends it"
    table.add_row(phase, f"[dim]{hint}[/dim]")
    table.add_row(
        ProgressBar(play.wanted.nodes, play.figures.up, width=_WIDTH), found.pop("connected")
    )
    table.add_row("", found.pop("Readings"))
    table.add_row("", ", ".join(found.values()))
    return table
