"""Writes docs/reference/: the pages that are made from the code. `make docs` calls it.

    .venv/bin/python tools/docs/reference.py            write them
    .venv/bin/python tools/docs/reference.py --check    say which are stale; exit code 1 if one is

The prose is in pages/, with places such as @causes@ for tables. Names, ranges, defaults and
examples come from the code itself, meanings from docstrings, comments and help texts where there
are some, else from words.toml. A name without words, or words without a name, ends it.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import io
import json
import re
import sys
import tokenize
import tomllib
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

from limpet.boards import image
from limpet.cli import command_line
from limpet.deploying import node_log
from limpet.operating import send
from limpet.shared import firmware
from limpet.shared.paths import FIRMWARE, REPO
from limpet.trial import command as trial

sys.path.insert(0, str(REPO / "tools"))

from docs import samples

HERE = Path(__file__).parent
FOLDER = REPO / "docs" / "reference"
MADE = (
    "<!-- Made by tools/docs/reference.py from the code: change that, and run `make docs`. -->\n\n"
)
WORDS: dict[str, Any] = tomllib.loads((HERE / "words.toml").read_text("utf-8"))


def pages() -> dict[str, str]:
    """Return all pages, by name."""
    places = {
        **of_topics(),
        **of_config(),
        **of_commands(),
        **of_causes(),
        **of_exit_codes(),
        **of_command_line(),
    }
    made = {}
    for path in sorted((HERE / "pages").iterdir()):
        text = path.read_text("utf-8")
        made[path.stem] = MADE + re.sub(r"@([a-z-]+)@", lambda place: places[place[1]], text)
    return made


def table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """Return a Markdown table."""
    cells = [list(head), *(list(map(str, row)) for row in rows)]
    cells.insert(1, ["---"] * len(cells[0]))
    return "".join(
        f"| {' | '.join(c.replace('|', chr(92) + '|') for c in row)} |\n" for row in cells
    )


def agree(what: str, code: Iterable[str], said: Iterable[str]) -> None:
    """End the program where the names in the code are not those that have words."""
    lacks, spare = sorted(set(code) - set(said)), sorted(set(said) - set(code))
    if lacks or spare:
        sys.exit(f"limpet: {what}: {lacks} have no words, {spare} are not in the code.")


# -- topics and payloads ---------------------------------------------------------------------------


def of_topics() -> dict[str, str]:
    """What is said where, and in which form, by Messages that the node's code has made."""
    by_topic: dict[str, list[samples.Sample]] = {}
    for sample in samples.everything():
        by_topic.setdefault(sample.topic, []).append(sample)
    down = firmware.topics.COMMANDS
    agree("topics", [*by_topic, down], WORDS["topics"])
    rows: list[tuple[Any, ...]] = []
    parts = []
    for topic, (way, what) in WORDS["topics"].items():
        if topic == down:
            rows.append((f"`{topic}`", way, "1 or 2", "never", what))
            parts.append(f"## `{topic}`\n\nSee [Commands](commands.md).\n")
            continue
        first = by_topic[topic][0]
        rows.append((f"`{topic}`", way, first.qos, "yes" if first.retain else "no", what))
        parts.append(f"## `{topic}`\n\n{_payload(topic, by_topic[topic])}")
    head = ("topic", "way", "QoS", "retained", "what")
    return {"topics": table(head, rows), "payloads": "\n".join(parts).rstrip()}


def _payload(topic: str, shown: list[samples.Sample]) -> str:
    agree(f"fields of {topic}", {n for each in shown for n in each.payload}, WORDS["fields"][topic])
    examples = (f"{each.what}:\n\n```json\n{each.text}\n```\n\n" for each in shown)
    return "".join(examples) + _fields(topic)


def _fields(topic: str) -> str:
    known = WORDS["fields"][topic].items()
    rows = [(f"`{name}`", *told) for name, told in known]
    return table(("field", "unit or values", "what"), rows)


# -- config ----------------------------------------------------------------------------------------


def of_config() -> dict[str, str]:
    """Each field with its rule, its default, and the comment that the code has."""
    config = firmware.config
    comments = _comments(Path(str(config.__file__)).read_text("utf-8"))
    agree("config", config.FIELDS, comments)
    rows = []
    for name, default, rule in config._KEYS:
        given = "**must be given**" if default == () else f"`{json.dumps(default)}`"
        rows.append((f"`{name}`", _rule(name, rule), given, comments[name]))
    return {
        "config": table(("field", "rule", "default", "what"), rows),
        "config-bytes": f"{config.SIZE_MAX:,}",
        "public-brokers": ", ".join(f"`{name}`" for name in config.PUBLIC_BROKERS.split()),
    }


def _comments(text: str) -> dict[str, str]:
    """The comment above each entry of _KEYS, by the entry's name."""
    said: dict[str, str] = {}
    above: list[str] = []
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    names = [each.string for each in tokens]
    start = next(i for i, two in enumerate(pairwise(names)) if two == ("_KEYS", "="))
    for before, token in pairwise(tokens[start:]):
        if token.type == tokenize.COMMENT:
            above.append(token.string.removeprefix("#").strip())
        elif token.type == tokenize.STRING and before.string == "(" and above:
            said[ast.literal_eval(token.string)] = " ".join(above)
            above = []
        elif token.type == tokenize.NEWLINE:
            return said
    raise ValueError("_KEYS has no end")


def _rule(name: str, rule: Any) -> str:
    """The rule of a field, in the words in which it refuses what no field takes."""
    fault = str(firmware.config.fault(name, 10**12))
    if "must be a list" in fault:
        return f"a list, {rule([]).removeprefix('must have ')}"
    if "must be a string" not in fault:
        return fault.removeprefix("must be ")
    if "bytes" in (bounds := str(rule(""))):
        return bounds.removeprefix("must have ")
    if rule("a.b") is None:
        return "a host name or an address"
    return f"a-z, 0-9 and hyphens, {rule('a' * 100)}"


# -- Commands --------------------------------------------------------------------------------------


def of_commands() -> dict[str, str]:
    """Each Command with its parameters, and every code of a Response."""
    from node.commands import HARMLESS, TABLE, parse, response_cache

    listed = _codes()
    agree("codes", [code for found in listed.values() for code in found], WORDS["codes"])
    codes = [
        (f"`{c}`", status, WORDS["codes"][c]) for status, found in listed.items() for c in found
    ]
    return {
        "commands": "\n".join(_command(name) for name in TABLE),
        "command-bytes": f"{parse.SIZE_MAX:,}",
        "command-fields": _fields(firmware.topics.COMMANDS),
        "codes": table(("code", "status", "why"), codes),
        "harmless": ", ".join(f"`{name}`" for name in HARMLESS),
        "ids": str(response_cache.IDS),
        "responses": str(response_cache.ENTRIES),
    }


def _command(name: str) -> str:
    module = importlib.import_module(f"node.commands.{name}")
    what = str(module.__doc__).split(":", 1)[1].strip()
    brings = " ".join(str(getattr(module, name).__doc__).split())
    text = f"## `{name}`\n\n{what[0].upper()}{what[1:]} {brings}\n\n"
    example = ["limpet send node-1", name]
    rows = []
    for key, (low, high, default) in module.PARAMS.items():
        default = "must be given" if default is None else default
        rows.append((f"`{key}`", f"{low:,} to {high:,}", default))
        example.append(f"{key}={low}")
    if rows:
        text += table(("parameter", "whole number", "default"), rows) + "\n"
    return text + f"    {' '.join(example)}\n"


def _codes() -> dict[str, list[str]]:
    """The codes by status, as the docstring of node/commands/response.py lists them."""
    from node.commands import response

    found: dict[str, list[str]] = {}
    status = ""
    for line in inspect.cleandoc(str(response.__doc__)).split("\n\n")[2].splitlines():
        match = re.fullmatch(r" {4}(\w+)? +(.*)", line)
        assert match, line
        status = match[1] or status
        found.setdefault(status, []).extend(match[2].split())
    agree("statuses", found, (response.REJECTED, response.EXPIRED, response.FAILED))
    return found


# -- causes and alerts -----------------------------------------------------------------------------


def of_causes() -> dict[str, str]:
    """Every cause with what it means and the least wait after it; every alert."""
    from node.session import causes

    rows = []
    for cause, what in (node_log.CAUSES | node_log.PASSING).items():
        kind = causes.RIVAL if cause == causes.TAKEN else causes.REFUSED
        floored = cause == causes.TAKEN or cause in causes._REFUSED
        least = f"{causes.FLOORS_MS[kind] // 1000} s" if floored else ""
        rows.append((f"`{cause}`", what, least, "yes" if cause in node_log.FINAL else ""))
    agree("alerts", _alerts(), WORDS["alerts"])
    alerts = [(f"`{name}`", *told) for name, told in WORDS["alerts"].items()]
    return {
        "causes": table(
            ("cause", "what it means, what to do", "at least", "by hand"), rows
        ).rstrip(),
        "alerts": table(("alert", "raised when", "cleared", "what to do"), alerts).rstrip(),
    }


def _alerts() -> set[str]:
    """The alerts that the firmware's calls of `change` and `alarm` name, some by a constant."""
    found = set()
    for path in FIRMWARE.rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        constants = {
            ast.unparse(node.targets[0]): node.value.args[0]
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and node.value.args
        }
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.args:
                name = constants.get(ast.unparse(call.args[0]), call.args[0])
                told = call.func.attr in ("change", "alarm", "_alarm")
                if told and isinstance(name, ast.Constant) and isinstance(name.value, str):
                    found.add(name.value)
    return found


# -- exit codes and the command line ---------------------------------------------------------------


def of_exit_codes() -> dict[str, str]:
    """What scripts can go by."""
    rows = [("send", code, f"the Response is `{status}`") for status, code in send.CODES.items()]
    rows += [
        ("send", send.SILENCE, "no Response in time"),
        ("image", image.WITHOUT_MICROPYTHON, "made, but without MicroPython"),
        ("test-board", 1, "a check did not pass"),
        ("test-board --compare", trial.WORSE, "something has become worse"),
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


def main() -> int:
    """Write the pages, or with --check say which are stale."""
    check, stale = "--check" in sys.argv[1:], False
    FOLDER.mkdir(parents=True, exist_ok=True)
    made = pages()
    for path in (FOLDER / name for name in made):
        text = made[path.name]
        if not path.exists() or path.read_text("utf-8") != text:
            stale = True
            print(
                f"limpet: {path.relative_to(REPO)} {'is stale: make docs' if check else 'written'}"
            )
            if not check:
                path.write_text(text, "utf-8")
    for path in FOLDER.iterdir():
        if path.name not in made:
            stale = True
            print(f"limpet: {path.relative_to(REPO)} is made by nothing: remove it")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
