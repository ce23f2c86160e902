"""`limpet console`: what a node says on its serial port, in colour, with what a cause means.

It sends the node nothing: Ctrl-C ends the console alone.
"""

from rich.console import Console
from rich.text import Text

from limpet.boards.port import find_port, open_port
from limpet.deploying import node_log
from limpet.deploying.console_lines import Lines
from limpet.deploying.node_log import CAUSES, Said
from limpet.node_host import traces
from limpet.shared import ending, payloads

# How often it looks whether anybody still reads what it says.
_LOOK_S = 0.5
_STYLES = {"up": "green", "joined": "green", "down": "red", "not": "red", "refused": "red"}


class Shown:
    """Prints lines; each known cause is explained the first time."""

    def __init__(self, raw: bool = False) -> None:
        self._raw = raw
        self._explained: set[str] = set()
        self._console = Console(highlight=False)

    def line(self, line: str) -> Said:
        """Print a line of the console, and return what it says."""
        line = traces.readable(line)
        said = node_log.parse(line)
        if self._raw or not self._console.is_terminal:
            print(payloads.safe(line), flush=True)
        else:
            self._console.print(_coloured(said), soft_wrap=True)
        cause = said.cause
        if cause in CAUSES and cause not in self._explained and not self._raw:
            self._explained.add(cause)
            self.remark(CAUSES[cause])
        return said

    def remark(self, text: str) -> None:
        """Print what is not the node's."""
        self._console.print(Text(f"         -> {text}", style="yellow"), soft_wrap=True)


def _coloured(said: Said) -> Text:
    if not said.area:
        return Text(payloads.safe(said.text), style="red" if _is_trace(said.text) else "dim")
    text = Text().append(f"{said.at:>9} ", style="dim").append(f"{said.area:<8} ", style="bold")
    first = "up" if said.up else said.text.split(" ", 1)[0]
    if said.cause == "starting":
        first = ""  # on its way
    return text.append(payloads.safe(said.text), style=_STYLES.get(first, "none"))


def _is_trace(text: str) -> bool:
    return text.startswith(("Traceback", "  File ", "limpet: ")) or "Error: " in text


def console(*, port: str | None = None, raw: bool = False) -> int:
    """Show what a node says on its serial port, until Ctrl-C, which does not reach the node.

    Parameters
    ----------
    port
        Serial port or URL; not needed when one board is plugged in.
    raw
        The lines as they are.
    """
    where = find_port(port)
    lines, shown = Lines(open_port(where), where), Shown(raw)
    try:
        while not ending.lost():
            try:
                line = lines.next(_LOOK_S)
            except OSError:
                shown.remark(f"{where} has gone; waiting for it to come back")
                while not lines.again(_LOOK_S):
                    if ending.lost():
                        return 0
                shown.remark("it is back")
                continue
            if line is not None:
                shown.line(line)
    except KeyboardInterrupt:
        return 130
    finally:
        lines.close()
    return 0
