"""The tables of the command line: subcommands, make targets, variables, exit codes."""

from __future__ import annotations

import re

from docs.words import WORDS, agree, table
from limpet.boards import image
from limpet.cli import command_line
from limpet.doctor import capacity, doctor, health
from limpet.operating import send
from limpet.shared.paths import REPO
from limpet.trial import command as trial


def of_exit_codes() -> dict[str, str]:
    """What scripts can go by."""
    rows = [("send", code, f"the Response is `{status}`") for status, code in send.CODES.items()]
    rows += [
        ("send", send.SILENCE, "no Response in time"),
        *(("doctor", doctor.CODES[level], what) for level, what in doctor.MEANS.items()),
        *(("health", health.CODES[state], what) for state, what in health.MEANS.items()),
        *(("capacity --live", capacity.CODES[each], what) for each, what in capacity.MEANS.items()),
        ("image", image.WITHOUT_MICROPYTHON, "made, but without MicroPython"),
        ("test-board", 1, "a check did not pass"),
        ("test-board --compare", trial.WORSE, "something has become worse"),
        ("fleet run", 1, "a Reading is lost, or not through in time, or not all nodes came back"),
        ("run --seconds", 1, "no Reading arrived, or the node ended by itself"),
    ]
    told = [(f"`limpet {command}`", code, what) for command, code, what in rows]
    return {
        "exit-codes": table(("command", "code", "means"), told),
        "node-codes": table(("code", "means"), WORDS["node-codes"].items()).rstrip(),
    }


def of_command_line() -> dict[str, str]:
    """Each subcommand and each make target, with what it says of itself."""
    app = command_line()
    names = sorted(name for name in app if not name.startswith("-"))
    told = {name: " ".join(str(app[name].help).split("\n\n")[0].split()) for name in names}
    targets = re.findall(r"^([a-z-]+):.*## (.*)", (REPO / "Makefile").read_text(), re.MULTILINE)
    told_of = WORDS["variables"]
    sources = [*(REPO / "tools" / "limpet").rglob("*.py"), *(REPO / "boards" / "host").glob("*.py")]
    read = "".join(path.read_text("utf-8") for path in sources)
    agree("variables", [name for name in told_of if f'"{name}"' in read], told_of)
    return {
        "variables": table(("variable", "is"), [(f"`{n}`", what) for n, what in told_of.items()]),
        "limpet": table(("command", "does"), [(f"`limpet {name}`", told[name]) for name in names]),
        "make": table(("target", "does"), [(f"`make {n}`", what) for n, what in targets]).rstrip(),
    }
