"""`limpet test-board --json` and `--compare`: what is worse, and which files are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from limpet.trial import compare, report
from limpet.trial.compare import BETTER, SAME, WORSE
from limpet.trial.outcome import FAILED, OK, UNCHECKED, judged, unchecked
from limpet.trial.report import Report
from support.tool import limpet

FACTS = [("Board", "b | c"), ("MicroPython", "1.25\x1b[2J")]


def checked(**results: str) -> Report:
    """A Report of checks."""
    return Report(dict(FACTS), results, {})


def measured(**figures: float) -> Report:
    """A Report of figures."""
    return Report(dict(FACTS), {}, figures)


def written(path: Path, **figures: float) -> str:
    """A file of one check and these figures; its name."""
    report.write(path, report.of(FACTS, [judged("will", True, "said", figures=figures)]))
    return str(path)


def test_file_says_what_was_found(tmp_path: Path) -> None:
    """Facts, the result of each check and all figures come back as they were."""
    outcomes = [
        judged("one", True, "3 ms", "4 ms", {"one_ms": 3.0, "two_bytes": 2000}),
        judged("two", False, "x"),
        unchecked("three", "absent"),
    ]
    path = tmp_path / "found.json"
    report.write(path, report.of(FACTS, outcomes))
    found = report.read(path)
    assert found.facts == dict(FACTS)
    assert found.results == {"one": OK, "two": FAILED, "three": UNCHECKED}
    assert found.figures == {"one_ms": 3.0, "two_bytes": 2000}


@pytest.mark.parametrize(
    ("name", "before", "after", "verdict"),
    [
        ("handshake_ms", 1000, 1600, WORSE),
        ("handshake_ms", 1000, 1400, SAME),
        ("handshake_ms", 1000, 600, BETTER),
        ("handshake_ms", 1, 5, SAME),  # nothing that a stopwatch could tell apart
        ("handshake_ms", 0, 6, WORSE),
        ("idf_least_bytes", 12_000, 8_000, WORSE),
        ("idf_least_bytes", 12_000, 11_500, SAME),
        ("idf_least_bytes", 8_000, 12_000, BETTER),
        ("client_per_s", 50, 30, WORSE),
        ("client_per_s", 50, 45, SAME),
        ("client_per_s", 30, 50, BETTER),
        ("fields_found", 2, 1, WORSE),
        ("fields_found", 1, 2, BETTER),
        ("something_else", 1, 1000, SAME),  # nobody has said which way is better
    ],
)
def test_figures_grow_worse_each_its_own_way(
    name: str, before: float, after: float, verdict: str
) -> None:
    """Times by growing, rates and memory by shrinking; what chance does is not worse."""
    (row,) = compare.rows(measured(**{name: before}), measured(**{name: after}))
    assert row.verdict == verdict
    assert row.ratio == (f"{after / before:.2f}" if before else "")


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (OK, FAILED, WORSE),
        (OK, UNCHECKED, WORSE),
        (OK, None, WORSE),
        (UNCHECKED, FAILED, WORSE),
        (None, FAILED, WORSE),
        (None, OK, SAME),
        (FAILED, OK, BETTER),
        (UNCHECKED, OK, BETTER),
    ],
)
def test_checks_grow_worse(before: str | None, after: str | None, verdict: str) -> None:
    """What has failed, or is not shown any more; a check that is new is worse only if it fails."""
    a, b = ({"will": each} if each else {} for each in (before, after))
    (row,) = compare.rows(checked(**a), checked(**b))
    assert (row.what, row.verdict) == ("will", verdict)


def test_figure_that_is_gone_is_worse() -> None:
    """Nobody can say that it is as good as it was; one that is new has nothing to be held to."""
    lost, new = compare.rows(measured(heap_bytes=9000), measured(idf_bytes=9000))
    assert (lost.what, lost.b, lost.verdict) == ("heap_bytes", "-", WORSE)
    assert (new.what, new.a, new.verdict) == ("idf_bytes", "-", SAME)


def test_table_of_both(tmp_path: Path) -> None:
    """Both with their ratios, what is worse by name, and exit code 3; no control characters."""
    a = written(tmp_path / "a.json", handshake_ms=1000, client_per_s=50)
    b = written(tmp_path / "b.json", handshake_ms=2500, client_per_s=51)
    done = limpet("test-board", "--compare", a, b)
    assert done.returncode == 3, done.stderr
    lines = done.stdout.splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line[0:1] == "|"]
    assert rows[0] == ["what", "a", "b", "b / a", ""]
    assert rows[2:] == [
        ["handshake_ms", "1,000", "2,500", "2.50", "worse"],
        ["client_per_s", "50", "51", "1.02", ""],
    ]
    assert len({len(line) for line in lines if line[0:1] == "|"}) == 1
    assert lines[-2:] == ["Checks that went the same way: 1.", "Worse in b: handshake_ms."]
    assert "\x1b" not in done.stdout
    same = limpet("test-board", "--compare", a, a)
    assert (same.returncode, same.stdout.splitlines()[-1]) == (0, "Nothing is worse in b.")
    better = limpet("test-board", "--compare", b, a)
    assert better.returncode == 0
    assert "better" in better.stdout


def _changed(**more: Any) -> str:
    values = {"limpet_test_board": 1, "facts": {}, "results": {}, "figures": {}, **more}
    return json.dumps(values)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no report"),
        ("{", "is no report"),
        ("[" * 100_000, "is no report"),
        ("[]", "is no report"),
        ("{}", "is no report"),
        ('{"limpet_test_board": true}', "is no report"),
        (_changed(facts=None), "is no report"),
        (_changed(results={"will": 1}), "is no report"),
        (_changed(figures={"heap_bytes": "many"}), "is no report"),
        (_changed(figures={"heap_bytes": True}), "is no report"),
        (_changed(figures={"heap_bytes": float("nan")}), "is no report"),
        (_changed(limpet_test_board=2), "is of version 2, and this Limpet reads 1"),
        ("\udcff", "is no report"),
    ],
)
def test_file_that_is_none(tmp_path: Path, text: str, said: str) -> None:
    """It is named, with why; exit code 1, and nothing is compared."""
    a, b = written(tmp_path / "a.json"), tmp_path / "b.json"
    b.write_text(text, "utf-8", "surrogateescape")
    done = limpet("test-board", "--compare", a, str(b))
    assert (done.returncode, done.stdout) == (1, "")
    first, second = done.stderr.splitlines()
    assert first.startswith(f"limpet: {b} {said}")
    assert "--json" in second or "anew" in second


def test_file_that_cannot_be_used(tmp_path: Path) -> None:
    """Read or written: path and cause, before a board is looked for."""
    a, none = written(tmp_path / "a.json"), tmp_path / "none.json"
    for words, path, why in (
        (["--compare", a, str(none)], none, "No such file or directory"),
        (["--compare", str(tmp_path), a], tmp_path, "Is a directory"),
        (["esp32_devkit", "--json", str(none / "x")], none / "x", "No such file or directory"),
        (["esp32_devkit", "--json", str(tmp_path)], tmp_path, "Is a directory"),
    ):
        done = limpet("test-board", *words)
        assert done.returncode == 1
        assert done.stderr.splitlines()[0] == f"limpet: {path}: {why}."


def test_trying_whether_it_can_be_written_changes_nothing(tmp_path: Path) -> None:
    """A report that is there stays until there is another one; none is made empty."""
    there, new = tmp_path / "a.json", tmp_path / "b.json"
    written(there)
    before = there.read_bytes()
    report.prepare(there)
    report.prepare(new)
    assert there.read_bytes() == before
    assert not new.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "needs a BOARD"),
        (["esp32_devkit", "--compare", "a", "b"], "--compare takes two files, and nothing else"),
        (["--compare", "a", "b", "--json", "c"], "--compare takes two files, and nothing else"),
        (["--compare", "a"], "--compare"),
    ],
)
def test_typing_errors(words: list[str], said: str) -> None:
    """Exit code 2, as of any command line that is none."""
    done = limpet("test-board", *words)
    assert done.returncode == 2
    assert said in done.stderr.splitlines()[0]
    assert done.stderr.splitlines()[-1] == "See limpet test-board --help."
