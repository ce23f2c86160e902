"""The `limpet` command: one table of subcommands, each imported only when it is used.

Nothing is imported here but what is there anyway: Ctrl-C while the rest is loaded, which may take a
second, ends in main.
"""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cyclopts import App

# Each in a module of its own name.
COMMANDS = {
    "operating": ("run", "watch", "send"),
    "micropython": ("node",),
    "brokers": ("broker",),
    "board": ("image", "flash"),
    "deploying": ("deploy", "console"),
    "simulator": ("wokwi",),
    "": ("setup", "provision", "bench"),
}
_HELP = ("-h", "--help")


def command_line() -> App:
    """Return the command line with all its subcommands, none of them loaded."""
    from cyclopts import App

    app = App(
        name="limpet", help="Sensor-node firmware that holds on: run it, watch it, command it."
    )
    for package, names in COMMANDS.items():
        for name in names:
            module = ".".join(part for part in ("limpet", package, name) if part)
            app.command(f"{module}:{name}", name=name)
    app.command("limpet.trial.command:trial", name="test-board")
    return app


def main() -> None:
    """Entry point of the console script. A Problem becomes cause and remedy, and exit code 1; a
    command line that is none exit code 2; Ctrl-C 130.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Not every terminal has a degree sign; none is a reason to end.
            stream.reconfigure(errors="backslashreplace")
    try:
        _run()
    except KeyboardInterrupt:
        sys.exit(130)


def _run() -> None:
    from cyclopts import CycloptsError

    from limpet.problem import Problem

    app = command_line()
    if not sys.argv[1:] or sys.argv[1] in _HELP:
        app.resolved_commands()  # for what each does
    try:
        app(exit_on_error=False, print_error=False)
    except Problem as problem:
        sys.exit(f"limpet: {problem.cause}\n{problem.remedy}")
    except CycloptsError as error:
        words = ("limpet", *(error.command_chain or ()), "--help")
        print(f"limpet: {error}\nSee {' '.join(words)}.", file=sys.stderr)
        sys.exit(2)
