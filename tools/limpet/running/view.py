"""How `limpet run` looks: a scrolling log of Events, and on a terminal two calm lines below it.

On a terminal the log stays in the scrollback and only the footer is drawn again; elsewhere there
are plain lines and no footer. What is worth an Event, the scene decides.
"""

import sys
import textwrap
import time

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from limpet.running.scene import Event, Scene
from limpet.shared.seen_readings import measured, wrapped

# Time and kind before the text of an Event, both with a space after them.
MARGIN = 9 + 9
# The terminal writes ^C where the cursor is: at the edge that would begin a new line, and what is
# drawn after it be one line off.
ROOM = 6
# Of the lines below the first one of what is no Event: where the text of `broker`, `node` begins.
INDENT = 11

STYLES = {"plain": "none", "good": "green", "bad": "red", "quiet": "dim"}


class PlainView:
    """One line per Event: for pipes, logs and CI."""

    def open(self) -> None:
        """Nothing to prepare."""

    def say(self, text: str) -> None:
        """Print a line that is no Event."""
        print(text, flush=True)

    def event(self, event: Event) -> None:
        """Print an Event with the time of day."""
        print(f"{time.strftime('%H:%M:%S')} {event.kind:<8} {event.text}", flush=True)

    def refresh(self, scene: Scene, since: float) -> None:
        """There is no footer."""

    def close(self) -> None:
        """Nothing to take down."""


class LiveView:
    """The same lines in colour, and below them the state of the node, redrawn as it changes."""

    def __init__(self, device_id: str, hint: str) -> None:
        self._device_id = device_id
        self._hint = hint
        self._console = Console(highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)

    def open(self) -> None:
        """Start drawing."""
        self._live.start()

    def say(self, text: str) -> None:
        """Print a line that is no Event."""
        indent = " " * INDENT if text.startswith("  ") else ""
        lines = wrapped(text, self._console.width, indent)
        self._console.print(escape("\n".join(lines)), soft_wrap=True)

    def event(self, event: Event) -> None:
        """Print an Event above the footer."""
        first, *rest = wrapped(event.text, max(20, self._console.width - MARGIN))
        line = Text().append(f"{time.strftime('%H:%M:%S')} ", style="dim")
        line.append(f"{event.kind:<8} ", style="bold").append(first, style=STYLES[event.weight])
        for more in rest:
            line.append(f"\n{' ' * MARGIN}{more}", style=STYLES[event.weight])
        self._console.print(line, soft_wrap=True)

    def refresh(self, scene: Scene, since: float) -> None:
        """Draw the footer; `since` is how long the node has been running, in seconds."""
        self._live.update(self._footer(scene, since), refresh=True)

    def _footer(self, scene: Scene, since: float) -> Text:
        width = self._console.width - ROOM
        colour = {"up": "green", "down": "red"}.get(scene.link, "yellow")
        state = [Text(self._device_id, style="bold") + Text(f" ● {scene.link}", style=colour)]
        if scene.last is not None:
            state += map(Text, measured(scene.last, "  "))
        lost = f", link lost {scene.losses}x" if scene.losses else ""
        before = f", {scene.earlier} from before" if scene.earlier else ""
        state.append(Text(f"{scene.arrived} arrived{before}, {scene.waiting} waiting{lost}"))
        state.append(Text(_clock(since)))
        hint = [Text("Ctrl-C stops. ", style="dim"), Text("In another terminal:", style="dim")]
        hint += [Text(word, style="cyan") for word in textwrap.wrap(self._hint, max(1, width - 1))]
        rule = Text("─" * width, style="dim")
        lines = [rule, *_flow(state, "   ", width), *_flow(hint, " ", width)]
        for line in lines:
            line.truncate(width, overflow="ellipsis")
        return Text("\n").join(lines)

    def close(self) -> None:
        """Take the footer away; the log stays."""
        self._live.stop()


def _flow(pieces: list[Text], between: str, width: int) -> list[Text]:
    """Return lines with as many of the pieces on each as it holds, a space before the first."""
    lines = [Text(" ") + pieces[0]]
    for piece in pieces[1:]:
        if len(lines[-1]) + len(between) + len(piece) <= width:
            lines[-1] = lines[-1] + between + piece
        else:
            lines.append(Text(" ") + piece)
    return lines


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def view_for(device_id: str, hint: str) -> "PlainView | LiveView":
    """Return the view that fits standard output."""
    dumb = not sys.stdout.isatty() or Console().is_dumb_terminal
    return PlainView() if dumb else LiveView(device_id, hint)
