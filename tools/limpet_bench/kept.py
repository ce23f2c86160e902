"""Figures of a run that was broken off, so that the next one goes on where it stopped.

They count only for the very code that they were taken of, the node's and the bench's own.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

from limpet.shared.paths import CACHE

from limpet_bench.figure import Row
from limpet_bench.tree import Tree

_FILE = CACHE / "bench" / "kept.json"


class Kept:
    """Rows by a figure's name, on disk from the moment that they were put in."""

    def __init__(self, *trees: Tree) -> None:
        self._seal = _seal(trees)
        try:
            found = json.loads(_FILE.read_text())
            self._rows = found["rows"] if found["seal"] == self._seal else {}
        except (OSError, ValueError, KeyError, TypeError):
            self._rows = {}

    def get(self, name: str) -> list[Row] | None:
        """Return the rows that were kept under `name`, or None."""
        found = self._rows.get(name)
        return None if found is None else [Row(w, u, tuple(s), g) for w, u, s, g in found]

    def put(self, name: str, rows: list[Row]) -> None:
        """Keep rows."""
        self._rows[name] = rows
        _FILE.parent.mkdir(parents=True, exist_ok=True)
        new = _FILE.with_suffix(".new")
        new.write_text(json.dumps({"seal": self._seal, "rows": self._rows}))
        new.replace(_FILE)

    def clear(self) -> None:
        """Forget all: the run is complete, the next one measures again."""
        self._rows = {}
        _FILE.unlink(missing_ok=True)


def _seal(trees: tuple[Tree, ...]) -> str:
    seal = sha256()
    folders = [Path(__file__).parent, *(folder for tree in trees for folder in tree.folders)]
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            seal.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes() + b"\0")
    return seal.hexdigest()
