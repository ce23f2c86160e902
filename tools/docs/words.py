"""What the reference says in words (words.toml), and how it puts tables."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

WORDS: dict[str, Any] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))


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
