"""Two reports of test-board side by side, and what is worse in the second one.

Pure. A figure has grown worse when it has by more than two runs of the same board differ; what is
neither a time, a rate nor memory has to be as good as it was.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from limpet.shared.payloads import safe
from limpet.trial.outcome import FAILED, OK, UNCHECKED, aligned
from limpet.trial.report import Report

WORSE = "worse"
BETTER = "better"
SAME = ""
NONE = "-"
_HEAD = ("what", "a", "b", "b / a", "")
_RANK = {OK: 2, UNCHECKED: 1, FAILED: 0, NONE: 1}


class Scale(NamedTuple):
    """How figures whose name ends in `suffix` are to be read: a change counts from `times` on, if
    it is more than `least` as well.
    """

    suffix: str
    more_is_better: bool
    times: float
    least: float


_SCALES = (
    Scale("_ms", False, 1.5, 5.0),  # Wi-Fi, and when littlefs erases, are chance
    Scale("_per_s", True, 1.25, 1.0),
    Scale("_bytes", True, 1.1, 1024.0),
    Scale("_found", True, 1.0, 0.0),
)


class Row(NamedTuple):
    """One line; `verdict` is WORSE, BETTER or SAME."""

    what: str
    a: str
    b: str
    ratio: str
    verdict: str


def rows(a: Report, b: Report) -> list[Row]:
    """Return the checks that went another way, in their order, and all figures."""
    return [*_checks(a, b), *_figures(a, b)]


def worse(found: list[Row]) -> int:
    """Return how many of them are worse in b."""
    return sum(row.verdict == WORSE for row in found)


def text(a: Report, b: Report, found: list[Row]) -> str:
    """Return that as a table, below what each Report was made on."""
    lines = [
        f"- {name}: {safe(', '.join(f'{key} {value}' for key, value in each.facts.items()))}"
        for name, each in (("a", a), ("b", b))
    ]
    lines += ["", *aligned(_HEAD, [[safe(each) for each in row] for row in found]), ""]
    same = sum(b.results.get(check) == result for check, result in a.results.items())
    lines.append(f"Checks that went the same way: {same}.")
    names = [safe(row.what) for row in found if row.verdict == WORSE]
    lines.append(f"Worse in b: {', '.join(names)}." if names else "Nothing is worse in b.")
    return "\n".join(lines) + "\n"


def _checks(a: Report, b: Report) -> Iterator[Row]:
    for check in _names(a.results, b.results):
        before, after = a.results.get(check, NONE), b.results.get(check, NONE)
        step = _RANK.get(after, 1) - _RANK.get(before, 1)
        verdict = WORSE if step < 0 else BETTER if step > 0 else SAME
        if before == NONE and verdict == BETTER:
            verdict = SAME  # there is nothing to hold it against
        if before != after:
            yield Row(check, before, after, "", verdict)


def _figures(a: Report, b: Report) -> Iterator[Row]:
    for name in _names(a.figures, b.figures):
        before, after = a.figures.get(name), b.figures.get(name)
        if before is None or after is None:
            lost = WORSE if after is None else SAME
            yield Row(name, _number(before), _number(after), "", lost)
            continue
        ratio = f"{after / before:.2f}" if before else ""
        yield Row(name, _number(before), _number(after), ratio, _verdict(name, before, after))


def _verdict(name: str, before: float, after: float) -> str:
    scale = next((each for each in _SCALES if name.endswith(each.suffix)), None)
    if scale is None or abs(after - before) <= scale.least:
        return SAME
    low, high = sorted((before, after))
    if high <= low * scale.times:
        return SAME
    return BETTER if (after > before) == scale.more_is_better else WORSE


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:,.1f}".removesuffix(".0")


def _names(a: Mapping[str, object], b: Mapping[str, object]) -> list[str]:
    return list(dict.fromkeys([*a, *b]))
