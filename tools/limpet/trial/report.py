"""What a run of test-board has found, as a file for comparing: JSON, checked when it is read.

A file that it does not know whole is refused: of another version, or not ours.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from limpet.shared.plain import is_number
from limpet.shared.problem import Problem
from limpet.trial.outcome import Outcome

VERSION = 1
_KEY = "limpet_test_board"


class Report(NamedTuple):
    """facts: what was tried. results: of each check. figures: the numbers, by name."""

    facts: Mapping[str, str]
    results: Mapping[str, str]
    figures: Mapping[str, float]


def of(facts: Sequence[tuple[str, str]], outcomes: Sequence[Outcome]) -> Report:
    """Return the Report of a run."""
    figures = {name: value for each in outcomes for name, value in each.figures.items()}
    return Report(dict(facts), {each.check: each.result for each in outcomes}, figures)


def prepare(path: Path) -> None:
    """Raise OSError where `path` cannot be written, before an hour was spent on it. What is there
    stays.
    """
    there = path.exists()
    with path.open("a"):
        pass
    if not there:
        path.unlink()


def write(path: Path, report: Report) -> None:
    """Write the file."""
    values = {_KEY: VERSION, **report._asdict()}
    path.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", "utf-8")


def read(path: Path) -> Report:
    """Return the Report in a file. Raises OSError, and Problem for one that is none of these."""
    try:
        values = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError):
        raise _foreign(path) from None
    version = values.get(_KEY) if isinstance(values, dict) else None
    if type(version) is not int:
        raise _foreign(path)
    if version != VERSION:
        raise Problem(
            f"{path} is of version {version}, and this Limpet reads {VERSION}.",
            "Make it anew, or compare with the Limpet that made it.",
        )
    facts, results, figures = (values.get(name) for name in Report._fields)
    if not (_all(facts, str) and _all(results, str) and _numbers(figures)):
        raise _foreign(path)
    return Report(facts, results, figures)


def _foreign(path: Path) -> Problem:
    cause = f"{path} is no report of limpet test-board, or not all of one."
    return Problem(cause, "Give a file that limpet test-board --json has written.")


def _all(values: Any, kind: type) -> bool:
    return isinstance(values, dict) and all(isinstance(each, kind) for each in values.values())


def _numbers(values: Any) -> bool:
    return isinstance(values, dict) and all(is_number(each) for each in values.values())
