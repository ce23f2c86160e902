"""The table of requirements in docs/security.md: all are in it, and what is met names tests that
there are.
"""

from __future__ import annotations

import ast
import re

import pytest
from limpet.shared.paths import REPO

PAGE = REPO / "docs" / "security.md"
HEADING = "## Requirements, and where we stand\n"
ETSI = [*(f"5.{number}" for number in range(1, 14)), "6"]
OWASP = [f"I{number}" for number in range(1, 11)]


def rows() -> dict[str, list[str]]:
    """The cells behind the number of each row, by that: what is asked for, status, tests."""
    text = PAGE.read_text("utf-8").partition(HEADING)[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| ") and "asks for" not in line]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert len({row[0] for row in cells}) == len(cells), "a requirement has two rows"
    return {number: rest for number, *rest in cells}


def test_every_requirement_has_a_row() -> None:
    """Each with what it asks for, its status and its tests."""
    assert list(rows()) == ETSI + OWASP
    assert {len(cells) for cells in rows().values()} == {3}


@pytest.mark.parametrize("number", ETSI + OWASP)
def test_status_says_what_it_means(number: str) -> None:
    """What is met names a test; what is not says in words what is open. Each test that is named is
    one, in the file that is named.
    """
    _, status, shown = rows()[number]
    kind, _, words = status.partition(": ")
    assert kind in ("met", "partly", "open")
    assert len(words) >= len("as 5.1")
    tests = re.findall(r"`([^`]+)`", shown)
    assert shown == ", ".join(f"`{each}`" for each in tests), "tests, and nothing else"
    assert tests or kind != "met"
    if kind == "met":
        assert "open:" not in words
    if kind == "partly":
        assert "; open: " in words
    for test in tests:
        path, name = test.split("::")
        tree = ast.parse((REPO / "host_tests" / path).read_bytes())
        there = [each.name for each in tree.body if isinstance(each, ast.FunctionDef)]
        assert name.startswith("test_")
        assert name in there, f"{path} has no {name}"
