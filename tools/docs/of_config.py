"""The config's tables: each field by the node's own table of rules, and the comments in it."""

from __future__ import annotations

import ast
import io
import json
import tokenize
from itertools import pairwise
from pathlib import Path
from typing import Any

from docs.words import agree, table
from limpet.shared import firmware


def of_config() -> dict[str, str]:
    """Each field with its rule, its default, and the comment that the code has."""
    config = firmware.config
    return {
        "identity": _table("IDENTITY", config.IDENTITY),
        "settings": _table("SETTINGS", config.SETTINGS),
        "config-bytes": f"{config.SIZE_MAX:,}",
        "public-brokers": ", ".join(f"`{name}`" for name in firmware.rules.PUBLIC_BROKERS.split()),
    }


def _table(of: str, keys: Any) -> str:
    comments = _comments(Path(str(firmware.config.__file__)).read_text("utf-8"), of)
    agree("config", [key[0] for key in keys], comments)
    rows = []
    for name, default, rule in keys:
        given = "**must be given**" if default == () else f"`{json.dumps(default)}`"
        rows.append((f"`{name}`", _rule(name, rule), given, comments[name]))
    return table(("field", "rule", "default", "what"), rows)


def _comments(text: str, of: str) -> dict[str, str]:
    """The comment above each entry of the table `of`, by the entry's name."""
    said: dict[str, str] = {}
    above: list[str] = []
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    names = [each.string for each in tokens]
    start = next(i for i, two in enumerate(pairwise(names)) if two == (of, "="))
    for before, token in pairwise(tokens[start:]):
        if token.type == tokenize.COMMENT:
            above.append(token.string.removeprefix("#").strip())
        elif token.type == tokenize.STRING and before.string == "(" and above:
            said[ast.literal_eval(token.string)] = " ".join(above)
            above = []
        elif token.type == tokenize.NEWLINE:
            return said
    raise ValueError(f"{of} has no end")


def _rule(name: str, rule: Any) -> str:
    """The rule of a field, in the words in which it refuses what no field takes."""
    fault = str(firmware.config.fault(name, 10**12))
    if name == "v":
        return "1"
    if "must be a list" in fault:
        return f"a list, {rule([]).removeprefix('must have ')}"
    if "must be a string" not in fault:
        return fault.removeprefix("must be ")
    if "bytes" in (bounds := str(rule(""))):
        return bounds.removeprefix("must have ")
    if rule("a.b") is None:
        return "a host name or an address"
    return f"a-z, 0-9 and hyphens, {rule('a' * 100)}"
