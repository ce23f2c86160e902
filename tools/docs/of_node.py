"""The tables of what a node says and takes: topics, payloads, Commands, causes, alerts."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from typing import Any

from docs.words import WORDS, agree, table
from limpet.deploying import node_log
from limpet.shared import firmware
from limpet.shared.paths import FIRMWARE

from docs import samples, schemas


def of_topics() -> dict[str, str]:
    """What is said where, and in which form, by Messages that the node's code has made."""
    by_topic: dict[str, list[samples.Sample]] = {}
    for sample in samples.everything():
        by_topic.setdefault(sample.topic, []).append(sample)
    down = firmware.topics.COMMANDS
    agree("topics", [*by_topic, down], WORDS["topics"])
    rows: list[tuple[Any, ...]] = []
    parts = []
    for topic, way in WORDS["topics"].items():
        what = schemas.described(topic)
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
    schemas.check(topic, [each.payload for each in shown])
    examples = (f"{each.what}:\n\n```json\n{each.text}\n```\n\n" for each in shown)
    return "".join(examples) + _fields(topic)


def _fields(topic: str) -> str:
    return table(("field", "unit or values", "what"), schemas.rows(topic)) + (
        f"\nAs JSON Schema: [{schemas.name_of(topic)}](../schema/{schemas.name_of(topic)})\n"
    )


def of_commands() -> dict[str, str]:
    """Each Command with its parameters, and every code of a Response."""
    from node.commands import HARMLESS, TABLE, parse, response_cache

    listed = _codes()
    agree("codes", [code for found in listed.values() for code in found], WORDS["codes"])
    codes = [
        (f"`{c}`", status, WORDS["codes"][c]) for status, found in listed.items() for c in found
    ]
    agree("dropped", _dropped(), WORDS["dropped"])
    (quota,) = re.findall(r"zip\(\((\d+), ", (FIRMWARE / "app.py").read_text())
    why = [(f"`{r}`", WORDS["dropped"][r].replace("@quota@", quota)) for r in WORDS["dropped"]]
    return {
        "dropped": table(("reason", "why"), why),
        "commands": "\n".join(_command(name) for name in TABLE),
        "command-bytes": f"{parse.SIZE_MAX:,}",
        "command-fields": _fields(firmware.topics.COMMANDS),
        "codes": table(("code", "status", "why"), codes),
        "harmless": ", ".join(f"`{name}`" for name in HARMLESS),
        "ids": str(response_cache.IDS),
        "responses": str(response_cache.ENTRIES),
    }


def _dropped() -> list[str]:
    """Why a Command gets no Response: the names where one is dropped, or is found without an id."""
    found = set()
    for name in ("commands/processor.py", "commands/parse.py", "session/router.py"):
        for line in (FIRMWARE / "node" / name).read_text().splitlines():
            if "_drop(" in line or "_unread(None" in line:
                found |= set(re.findall(r'"([a-z-]+)"', line))
    return sorted(found)


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
    """The alerts that the firmware's calls of `change` and `alarm` name, some by a constant; of
    those that a sensor's name goes before, what is the same in each.
    """
    found = set()
    for path in FIRMWARE.rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        constants = {
            ast.unparse(node.targets[0]): node.value.args[0]
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and node.value.args
        }
        for call in ast.walk(tree):
            if isinstance(call, ast.Assign) and ast.unparse(call.targets[0]) == "asked.alert":
                assert isinstance(call.value, ast.BinOp)
                found.add(ast.literal_eval(call.value.right))
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.args:
                name = constants.get(ast.unparse(call.args[0]), call.args[0])
                told = call.func.attr in ("change", "alarm", "_alarm")
                if told and isinstance(name, ast.Constant) and isinstance(name.value, str):
                    found.add(name.value)
    return found
