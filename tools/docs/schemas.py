"""docs/schema/ as the tables of the reference: what each field is in, and what it means.

The schemas are the one place where a field is described. Beside what JSON Schema has, `unit` says
what a number counts; where there is none, the type does.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

from docs.words import agree
from limpet.shared.paths import REPO

FOLDER = REPO / "docs" / "schema"
END = ".schema.json"
_TYPES = {
    "integer": "whole number",
    "string": "text",
    "object": "object",
    "array": "list",
    "number": "number",
}

Row = tuple[str, str, str]


def name_of(topic: str) -> str:
    """Return the name of the file that describes what is said on `topic`, a suffix."""
    return topic.removeprefix("{org}/").replace("/", "-") + END


@cache
def load(name: str) -> dict[str, Any]:
    """Return a schema by the name of its file."""
    found: dict[str, Any] = json.loads((FOLDER / name).read_text("utf-8"))
    return found


def described(topic: str) -> str:
    """Return what is said on `topic`, in words."""
    return str(load(name_of(topic))["description"])


def check(topic: str, payloads: list[dict[str, Any]]) -> None:
    """End the program where Messages that were made have other fields than the schema describes."""
    fields, sensors = _parts(topic)
    said = {name for payload in payloads for name in payload}
    measured = {name for name in said if any(re.search(each, name) for each in sensors)}
    agree(f"fields of {topic}", said - measured, fields)


def rows(topic: str) -> list[Row]:
    """Return (field, unit or values, what it is) of each field, those of sensors last."""
    name = name_of(topic)
    fields, sensors = _parts(topic)
    found = [_row(f"`{field}`", part, name) for field, part in fields.items()]
    if load(name).get("additionalProperties") is False:  # what others write, and need not have
        needed = load(name)["required"]
        found = [
            (field, unit if field.strip("`") in needed else f"{unit}, optional", what)
            for field, unit, what in found
        ]
    for part in sensors.values():
        quantity = part.get("items", part)["$ref"].rpartition("/")[2].replace("-", " ")
        known = f"`{quantity}`" if " " not in quantity else quantity
        found.append(_row(known, part, name))
    return found


def _parts(topic: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fields that are named, and the patterns of those that sensors have."""
    schema = load(name_of(topic))
    fields, sensors = schema.get("properties", {}), schema.get("patternProperties", {})
    if topic == "telemetry":
        parts = schema["$defs"]
        fields, sensors = parts["message"]["properties"], parts["reading"]["patternProperties"]
    return fields, sensors


def _row(field: str, part: dict[str, Any], name: str) -> Row:
    part, name = _resolved(part, name)
    if "items" in part and "$ref" in part["items"]:  # of a batch
        inner, _ = _resolved(part["items"], name)
        return field, f"list: {_values(inner)}", inner["description"]
    return field, _values(part), part["description"]


def _resolved(part: dict[str, Any], name: str) -> tuple[dict[str, Any], str]:
    while "$ref" in part:
        file, _, path = part["$ref"].partition("#/")
        name = file or name
        part = load(name)
        for step in path.split("/"):
            part = part[step]
    return part, name


def _values(part: dict[str, Any]) -> str:
    if "const" in part:
        return str(part["const"])
    if "enum" in part:
        return ", ".join(part["enum"])
    types = part["type"] if isinstance(part["type"], list) else [part["type"]]
    said = part.get("unit") or _TYPES[types[0]]
    return f"{said}, or null" if "null" in types else str(said)
