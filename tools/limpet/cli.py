"""The `limpet` command: one table of subcommands, each imported only when it is used."""

import io
import sys

from cyclopts import App

from limpet.problem import Problem

app = App(name="limpet", help="Sensor-node firmware that holds on: run it, watch it, command it.")

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
for package, names in COMMANDS.items():
    for name in names:
        module = ".".join(part for part in ("limpet", package, name) if part)
        app.command(f"{module}:{name}", name=name)
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
