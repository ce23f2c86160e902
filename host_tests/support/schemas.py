"""What nodes and tools say, held to the JSON Schemas of docs/schema/ and closed: a field that no
schema knows is a fault, too, as it would be in no table of the docs.

Whatever collects Messages in the tests calls `note`. What a test says by itself, wrong or not, it
enters with `own` before; so is told what comes from a node from what only pretends to. conftest.py
asks for the `faults` after each test.
"""

from __future__ import annotations

import json
import re
from functools import cache, lru_cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from limpet.shared import payloads
from limpet.shared.paths import REPO
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

FOLDER = REPO / "docs" / "schema"
END = ".schema.json"
# More of them say nothing more.
_MOST = 20

_faults: list[str] = []
_own: set[tuple[str, bytes]] = set()


def name_of(topic: str) -> str | None:
    """Return which schema a Message on `topic` has to fit; None for a topic that is nobody's here,
    and a name that no schema has for one that no device has.
    """
    kind = payloads.kind_of(topic)
    if topic.startswith("$") or not kind:
        return None
    # A Response may go one level below, where the Command asks for it.
    kind = re.sub(r"^(commands/response)/[^/]+$", r"\1", kind)
    return kind.removeprefix("{org}/").replace("/", "-")


@lru_cache(4096)  # a proxy and an operator see the same
def fault(topic: str, payload: bytes) -> str | None:
    """Return what is wrong with a Message, or None."""
    name = name_of(topic)
    if name is None:
        return None
    if name not in closed():
        return f"{topic} is no topic of a device"
    try:
        said = json.loads(payload, parse_constant=_no_json)
    except ValueError as error:
        return f"{topic} is no JSON ({error}): {payload!r}"
    wrong = reason(name, said)
    return wrong and f"{topic}: {wrong}: {payload!r}"


def reason(name: str, said: Any) -> str | None:
    """Return why `said` does not fit the schema `name`, closed, and what no schema can say."""
    error = best_match(closed()[name].iter_errors(said))
    if error is not None:
        return f"{error.json_path}: {error.message}"
    return _uneven(said) if name.startswith("telemetry") else None


def _uneven(said: dict[str, Any]) -> str | None:
    """Return what is wrong with the lengths of a batch: no schema compares two of them."""
    counts = {key: len(value) for key, value in said.items() if isinstance(value, list)}
    return f"lists of different lengths: {counts}" if len(set(counts.values())) > 1 else None


def _no_json(word: str) -> None:
    raise ValueError(word)


def schemas() -> dict[str, dict[str, Any]]:
    """Return all of them as they are published, by name."""
    return {
        path.name.removesuffix(END): json.loads(path.read_bytes())
        for path in sorted(FOLDER.glob(f"*{END}"))
    }


@cache
def closed() -> dict[str, Draft202012Validator]:
    """Return a validator of each, which takes no field that is not described."""
    found = {name: close(schema) for name, schema in schemas().items()}
    resources = [
        (name + END, Resource.from_contents(schema, DRAFT202012)) for name, schema in found.items()
    ]
    registry: Registry[Any] = Registry().with_resources(resources)
    # By reference: a schema is resolved from where it lies.
    return {name: Draft202012Validator({"$ref": name + END}, registry=registry) for name in found}


def close(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with no other fields than those described, also in the objects within."""
    inner = {
        name: close(each) if isinstance(each, dict) and "properties" in each else each
        for name, each in schema.get("properties", {}).items()
    }
    return schema | ({"properties": inner} if inner else {}) | {"unevaluatedProperties": False}


def own(topic: str, payload: str | bytes) -> None:
    """Enter what a test itself says, as a node, a rival or an operator: it may say anything."""
    _own.add((topic, payload.encode() if isinstance(payload, str) else payload))


def note(topic: str, payload: bytes) -> None:
    """Enter a Message that has come from a node, a tool or a broker. From any thread."""
    if len(_faults) < _MOST and (topic, payload) not in _own and (wrong := fault(topic, payload)):
        _faults.append(wrong)


def faults() -> list[str]:
    """Return what was wrong since the last time, and forget it."""
    found = _faults[:]
    _faults.clear()
    return found


def forget() -> None:
    """Begin anew: another test."""
    _faults.clear()
    _own.clear()
