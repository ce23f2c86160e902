"""The table of the access matrix in docs/brokers.md: read, held to what was seen, and written.

ACCESS_MATRIX=write make test ARGS="-k test_access"     write what was seen into the docs
"""

from __future__ import annotations

from limpet.shared.paths import REPO
from support.brokers.matrix_cases import CASES, HEARD, INTERRUPTED, NO

PAGE = REPO / "docs" / "brokers.md"
_HEAD = "| who tries what | may be |"
# What a broker cannot do, by its name and the row: the page says what that means.
SHORTFALLS = {
    ("mosquitto", "a device has telemetry retained"): "kept",
    ("rabbitmq", "a device has telemetry retained"): "kept",
    ("nats", "a device has telemetry retained"): "kept",
    ("nats", "a device poses as its neighbour"): INTERRUPTED,
    ("nats", "a revoked certificate, of a device with a new one"): HEARD,
    ("EMQX, read", "a revoked certificate, of a device with a new one"): "yes",
}


def table(text: str) -> dict[str, dict[str, str]]:
    """Return what a page's table says of each kind of broker, by row."""
    lines = text[text.index(_HEAD) :].splitlines() if _HEAD in text else [_HEAD, ""]
    kinds = [cell.strip() for cell in lines[0].strip("| ").split("|")][2:]
    found: dict[str, dict[str, str]] = {kind: {} for kind in kinds}
    for line in lines[2:]:
        if not line.startswith("|"):
            break
        name, _, *cells = (cell.strip() for cell in line.strip()[1:-1].split("|"))
        for kind, cell in zip(kinds, cells, strict=True):
            found[kind][name] = cell
    return found


def rendered(found: dict[str, dict[str, str]]) -> str:
    """Return the table of these kinds, as the page has it: what was run before what was read."""
    found = dict(sorted(found.items(), key=lambda each: each[0].endswith(", read")))
    lines = [" | ".join((_HEAD[:-2], *found)) + " |", "|---" * (len(found) + 2) + "|"]
    for case in CASES:
        cells = [each.get(case.name, "") for each in found.values()]
        lines.append("| " + " | ".join((case.name, "yes" if case.allowed else "no", *cells)) + " |")
    return "\n".join(lines) + "\n"


def held(kind: str, seen: dict[str, str], *, write: bool = False) -> None:
    """Fail where a broker lets somebody do what he may not, or the reverse, or the page says
    something else.

    write: have the page say it.
    """
    wrong = {name: how for name, how in seen.items() if not good(kind, name, how)}
    assert not wrong
    text = PAGE.read_text("utf-8")
    if write:
        found = table(text) | {kind: seen}
        start = text.index(_HEAD)
        PAGE.write_text(text[:start] + rendered(found) + text[_end(text, start) :], "utf-8")
    said = table(PAGE.read_text("utf-8")).get(kind)
    assert said == seen, "docs/brokers.md says something else: see support/brokers/matrix_table.py"


def good(kind: str, name: str, how: str) -> bool:
    """True where an outcome is as it should be, or as the page says that it cannot be."""
    (case,) = (each for each in CASES if each.name == name)
    if case.allowed:
        return how in ("heard", "let in", "yes")
    return how in (*NO, "no", "by AWS") or SHORTFALLS.get((kind, name)) == how


def _end(text: str, start: int) -> int:
    end = text.find("\n\n", start)
    return len(text) if end < 0 else end + 1
