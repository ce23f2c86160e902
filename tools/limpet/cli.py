"""The `limpet` command: one table of subcommands, each imported only when it is used."""

import io
import sys

from cyclopts import App

from limpet.problem import Problem

app = App(name="limpet", help="Sensor-node firmware that holds on: run it, watch it, command it.")

NAMES = (
    *("run", "watch", "send"),
    *("setup", "provision", "node", "broker"),
    *("image", "flash", "deploy", "console", "wokwi"),
    "bench",
)
for name in NAMES:
    app.command(f"limpet.{name}:{name}", name=name)
app.command("limpet.trial.command:trial", name="test-board")


def main() -> None:
    """Entry point of the console script. A Problem becomes cause and remedy, and exit code 1."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Not every terminal has a degree sign; none is a reason to end.
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except Problem as problem:
        sys.exit(f"limpet: {problem.cause}\n{problem.remedy}")
