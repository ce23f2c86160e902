"""What the checks of a board have found, as a table that fits into a bug report.

Pure. A check says what is good enough, and by which limit.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

OK = "ok"
FAILED = "FAILED"
# Something the board does not have, or that cannot be seen from here: neither good nor bad.
UNCHECKED = "not checked"

_HEAD = ("check", "result", "measured", "limit")


class Outcome(NamedTuple):
    """One line: `measured` with its unit, `limit` what it was held against, empty where nothing.

    figures: of what was measured, the numbers that two runs may be compared by (compare.py).
    """

    check: str
    result: str
    measured: str
    limit: str = ""
    figures: Mapping[str, float] = MappingProxyType({})


def judged(
    check: str,
    good: bool,
    measured: str,
    limit: str = "",
    figures: Mapping[str, float] = MappingProxyType({}),
) -> Outcome:
    """Return the Outcome of a check that was made."""
    return Outcome(check, OK if good else FAILED, measured, limit, figures)


def unchecked(check: str, why: str) -> Outcome:
    """Return the Outcome of a check that could not be made, and why."""
    return Outcome(check, UNCHECKED, why)


def failed(outcomes: Sequence[Outcome]) -> int:
    """Return how many checks failed."""
    return sum(each.result == FAILED for each in outcomes)


def summary(outcomes: Sequence[Outcome]) -> str:
    """Return in a line how the checks went."""
    passed = sum(each.result == OK for each in outcomes)
    left = len(outcomes) - passed - failed(outcomes)
    return f"{passed} ok, {failed(outcomes)} failed, {left} not checked"


def table(
    facts: Sequence[tuple[str, str]],
    outcomes: Sequence[Outcome],
    consoles: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """Return the report in Markdown, aligned so that it reads as well on a terminal.

    facts: what was tried, pairs of name and value, above the table. consoles: below it, what the
    board had said on its console last when the check of that name failed.
    """
    lines = [f"- {name}: {cell(value)}" for name, value in facts]
    lines += ["", *aligned(_HEAD, [_shown(each) for each in outcomes])]
    lines += ["", summary(outcomes)]
    for check, said in (consoles or {}).items():
        lines += ["", f"The console up to the failure of: {check}", ""]
        lines += [f"    {line}" for line in said or ["(nothing more)"]]
    return "\n".join(lines) + "\n"


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table whose columns are aligned."""
    safe = [[cell(each) for each in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*safe, strict=True)]
    safe.insert(1, ["-" * width for width in widths])
    padded = ([each.ljust(widths[i]) for i, each in enumerate(row)] for row in safe)
    return ["| " + " | ".join(row) + " |" for row in padded]


def _shown(outcome: Outcome) -> tuple[str, ...]:
    return outcome.check, outcome.result, outcome.measured, outcome.limit


def cell(text: str) -> str:
    """Text from a board as it may stand in a table: one line, and nothing that ends a cell."""
    return " ".join(text.replace("|", "/").split())
