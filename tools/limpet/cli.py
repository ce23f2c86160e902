"""The `limpet` command: one table of subcommands, each imported only when it is used.

Nothing is imported here but what is there anyway: Ctrl-C while the rest is loaded, which may take a
second, ends in main.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # typing itself takes 10 ms to load
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from cyclopts import App

# Each in a module of its own name.
COMMANDS = {
    "running": ("run",),
    "operating": ("node", "watch", "send", "setup"),
    "brokers": ("broker",),
    "boards": ("image", "flash"),
    "deploying": ("deploy", "console"),
    "fleet": ("init", "provision"),
    "ingest": ("ingest",),
    "top": ("top",),
    "export": ("export",),
    "page": ("page",),
    "exporter": ("exporter",),
    "homeassistant": ("homeassistant",),
    "doctor": ("doctor", "health", "capacity"),
    "simulator": ("wokwi",),
}
_HELP = ("-h", "--help")


def command_line() -> App:
    """Return the command line with all its subcommands, none of them loaded."""
    from importlib.util import find_spec

    from cyclopts import App

    app = App(
        name="limpet",
        help="Sensor-node firmware that holds on: run it, watch it, command it.",
        version=_version,
    )
    for package, names in COMMANDS.items():
        for name in names:
            app.command(f"limpet.{package}.{name}:{name}", name=name)
    app.command("limpet.brokers.broker_config:broker_config", name="broker-config")
    app.command("limpet.fleet.devices:app", name="fleet")
    app.command("limpet.fleet.consumers:app", name="operator")
    app.command("limpet.services.service:app", name="service")
    app.command("limpet.trial.command:trial", name="test-board")
    if find_spec("limpet_bench"):  # in a clone
        app.command("limpet_bench:bench", name="bench")
    return app


def _version() -> str:
    # The firmware's, which the wheel has as well: an editable install has that of its making.
    from limpet.shared.firmware import version

    return version.VERSION


def main() -> None:
    """Entry point of the console script. A Problem becomes cause and remedy, and exit code 1; a
    command line that is none exit code 2; Ctrl-C 130.
    """
    code: int | None
    try:
        from limpet.shared import ending, in_use

        in_use.hold()
        ending.prepare()
    except KeyboardInterrupt:
        sys.exit(130)
    try:
        code = _run()
    except KeyboardInterrupt:
        code = 130
    if failed := ending.thread_error():
        code = _thread_ended(*failed)
    sys.stdout.flush()
    if why := ending.shortfall():
        said = _say(f"Standard output is cut short: {why}.", "Make room, or write it elsewhere.")
        code = code or said
    sys.exit(code)


def _run() -> int | None:
    from subprocess import TimeoutExpired

    from cyclopts import CycloptsError

    from limpet.shared.problem import Problem, told

    app = command_line()
    try:
        if not sys.argv[1:] or sys.argv[1] in _HELP:
            app.resolved_commands()  # for what each does
        if name := _empty(sys.argv[1:]):
            remedy = "Say something, or leave it out. Is a variable of the shell not set?"
            return _say(f"{name} is an empty text.", remedy, 2)
        command, bound, _ = app.parse_args(exit_on_error=False, print_error=False)
        if name := _not_utf8(bound.arguments):
            return _say(f"{name} is not UTF-8.", "Set the terminal and the locale to UTF-8.", 2)
        code: int | None = command(*bound.args, **bound.kwargs)
    except Problem as problem:
        return _say(problem.cause, problem.remedy)
    except CycloptsError as error:
        words = ("limpet", *(error.command_chain or ()), "--help")
        return _say(str(error), f"See {' '.join(words)}.", 2)
    except ImportError as error:
        from limpet.shared.extras import missing

        if not (lacking := missing(error)):
            raise
        return _say(lacking.cause, lacking.remedy)
    except TimeoutExpired as error:
        program = error.cmd if isinstance(error.cmd, str) else error.cmd[0]
        return _say(f"{program} has not ended within {error.timeout:g} s.", "Try again.")
    except OSError as error:
        found = told(error)
        return _say(found.cause, found.remedy)
    else:
        return code


def _empty(words: list[str]) -> str | None:
    """Return the name of what is given as an empty text. Nothing has a use for one: as a path it
    would be the working directory, and as a broker or a device the default, which is not meant.
    """
    for before, word in zip(["", *words], words, strict=False):
        name, sign, value = word.partition("=")
        if name.startswith("--") and sign and not value:
            return name
        if not word:
            return (
                before
                if before.startswith("--") and before != "--"
                else "A word of the command line"
            )
    return None


def _not_utf8(given: Mapping[str, Any]) -> str | None:
    """Return the name of a text that came as other bytes than UTF-8: no config, no topic and no
    JSON can hold it. A path may be any bytes, and is left alone.
    """
    from dataclasses import is_dataclass

    from limpet.shared.asked import is_utf8

    for name, value in given.items():
        for each in value if isinstance(value, list | tuple) else (value,):
            if isinstance(each, str) and not is_utf8(each):
                return name.replace("_", "-")
            if is_dataclass(each) and (within := _not_utf8(vars(each))):
                return within
    return None


def _thread_ended(name: str, error: BaseException) -> int:
    import traceback

    from limpet.shared.problem import Problem

    if isinstance(error, Problem):
        return _say(error.cause, error.remedy)
    traceback.print_exception(error)
    kind = type(error).__name__
    return _say(f"The thread {name} ended, and all with it: {kind}.", "This is a bug: report it.")


def _say(cause: str, remedy: str, code: int = 1) -> int:
    from limpet.shared.problem import Problem

    print(Problem(cause, remedy).text(), file=sys.stderr)
    return code
