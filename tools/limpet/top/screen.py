"""The live table: drawn on a screen of its own, which is put away at the end. What is on it, the
functions below `Screen` say; they touch no terminal.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.text import Text

from limpet.heard.listening import Hearing
from limpet.shared.plain import clock, plural, safe
from limpet.top import table
from limpet.top.rows import Row, age, place, row
from limpet.top.view import HELP, View, chosen, counted

# Lines that are no row: two above the titles, these, and the one below.
AROUND = 4
STYLES = {
    "silent": "bold red", "lost": "red", "alert": "yellow", "dropping": "yellow",
    "queueing": "yellow", "offline": "dim", "unseen": "dim", "asleep": "cyan",
}  # fmt: skip


class Said:
    """What the connection last said of itself."""

    def __init__(self) -> None:
        self.text = ""
        self._seen = ""

    def say(self, text: str) -> None:
        """Note it."""
        self.text = safe(text)

    def changed(self) -> bool:
        """Whether it is another one than at the last time this was asked."""
        before, self._seen = self._seen, self.text
        return before != self._seen


@dataclass
class Scene:
    """What is shown. fleet: its name for a person."""

    fleet: str
    hearing: Hearing
    view: View
    said: Said


class Screen:
    """A terminal, while the block runs. Ctrl-Z gives it back until the program goes on."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._live: Live | None = None
        self._stop = False

    def __enter__(self) -> Screen:
        if hasattr(signal, "SIGTSTP"):
            self._before = signal.signal(signal.SIGTSTP, self._asked)
        self._open()
        return self

    def __exit__(self, *_: object) -> None:
        self._close()
        if hasattr(signal, "SIGTSTP"):
            signal.signal(signal.SIGTSTP, self._before)

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines of now."""
        return self._console.size

    @property
    def stopping(self) -> bool:
        """Whether Ctrl-Z was pressed; `stop` does what it asks for."""
        return self._stop

    def stop(self) -> None:
        """Give the terminal back and stop, until a shell's `fg`."""
        self._stop = False
        self._close()
        if hasattr(signal, "SIGTSTP"):
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTSTP)
            signal.signal(signal.SIGTSTP, self._asked)
        self._open()

    def draw(self, lines: Sequence[Text]) -> None:
        """Draw these, the first at the top."""
        assert self._live
        self._live.update(Text("\n").join(lines), refresh=True)

    def _open(self) -> None:
        self._live = Live(console=self._console, screen=True, auto_refresh=False)
        self._live.start()

    def _close(self) -> None:
        if self._live:
            self._live.stop()
        self._live = None
        sys.stdout.flush()

    def _asked(self, *_: object) -> None:
        self._stop = True


def drawn(scene: Scene, width: int, height: int, now: float) -> list[Text]:
    """Return what a terminal of that size shows `now`, Unix seconds: `height` lines at most."""
    view, hearing = scene.view, scene.hearing
    page = max(height - AROUND, 1)
    with hearing.lock:
        at = hearing.judged_at(now)
        fleet = hearing.fleet
        bases = hearing.base_topics()
        names = chosen(fleet, bases, view, at)
        view.within(len(names), page)
        shown = names[view.top : view.top + page]
        rows = [row(name, bases.get(name, ""), fleet.devices[name], at) for name in shown]
        columns = table.fitting(
            width, list(fleet.devices), [place(bases.get(name, "")) for name in fleet.devices]
        )
        states = counted(fleet, at)
        many = len(fleet.devices)
        below = _connection(scene, now)
    top = [_line(width, ("limpet top", "bold"), (clock(now), "dim"), below, (scene.fleet, ""))]
    fault = hearing.known.fault
    top.append(_line(width, (plural(many, "device"), "bold"), (states, ""), (fault, "yellow")))
    body = _help(width) if view.help else _table(rows, columns)
    if not view.help and not rows:
        body.append(Text(_nobody(view, many)[:width], style="dim"))
    body = body[: page + 1]
    body += [Text()] * (page + 1 - len(body))
    return [*top, *body, _foot(view, len(rows), len(names), width)][:height]


def _connection(scene: Scene, now: float) -> tuple[str, str]:
    hearing = scene.hearing
    text = scene.said.text
    if hearing.up:
        return text, "green"
    since = "" if hearing.lost_at is None else f"for {age(now - hearing.lost_at)} "
    return f"! {since}{text or 'connecting'}", "bold red" if text else "yellow"


def _line(width: int, *parts: tuple[str, str]) -> Text:
    line = Text("   ").join(Text(text, style=style) for text, style in parts if text)
    line.truncate(width, overflow="ellipsis")
    return line


def _table(rows: Sequence[Row], columns: Sequence[table.Column]) -> list[Text]:
    titles = table.GAP.join(table.head(columns))
    return [Text(titles, style="underline"), *(_row(each, columns) for each in rows)]


def _row(row: Row, columns: Sequence[table.Column]) -> Text:
    line = Text()
    style = STYLES.get(row.trouble, "")
    for column, cell in zip(columns, table.cells(row, columns), strict=True):
        own = style
        if column.name == "device":
            own = f"bold {style}"
        elif column.name not in ("state", "alerts") and "dim" not in style:
            own = ""
        line.append(cell, own).append(table.GAP)
    line.right_crop(len(table.GAP))
    return line


def _nobody(view: View, many: int) -> str:
    if not many:
        return "The fleet has no device yet: limpet provision node-1"
    asked = f" with {view.search!r}" if view.search else ""
    kind = "" if view.show == "all" else f" {view.show}"
    return f"No device{kind}{asked}. f shows others, Esc forgets the search."


def _help(width: int) -> list[Text]:
    lines = [Text(), *(_line(width, (f"  {keys:<20}", "bold"), (text, "")) for keys, text in HELP)]
    return lines


def _foot(view: View, shown: int, count: int, width: int) -> Text:
    if view.typing:
        return _line(width, (f"/{view.search}_", "bold"), ("Enter keeps it, Esc forgets it", "dim"))
    where = f"{view.top + 1}-{view.top + shown} of {count:,}" if shown else "0"
    found = f"/{view.search}" if view.search else ""
    return _line(
        width,
        (where, ""),
        (f"s sort: {view.sort}", "dim"),
        (f"f show: {view.show}", "dim"),
        (found, "bold"),
        ("/ search  ? help  q end", "dim"),
    )
