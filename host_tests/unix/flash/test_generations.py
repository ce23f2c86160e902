"""Readings of several layouts on one flash: each arrives as what it was, whenever the power goes,
and what nobody here understands is left alone. See cases_generations.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.flash.ways import FULL, WAYS
from support.micropython.upy import TESTS, run
from support.patched import patched

UPDATES = [(0, 0), (0, 1), (1, 2), (1, 1)]
REFUSALS = [(times, way) for times in (1, 2, 3) for way in WAYS][:: 1 if FULL else 5]


def told(call: str, **how: Any) -> str:
    """What that case prints."""
    return run(f"from unix.flash import cases_generations as node\nnode.{call}", heap="8m", **how)


@pytest.mark.parametrize("update", UPDATES)
def test_update_loses_nothing_whenever_the_power_goes(update: tuple[int, int]) -> None:
    """After a cut at any operation all that was on flash is delivered, once, in the format it had;
    then one log is left.
    """
    assert int(told(f"upgraded{update}")) > 200


@pytest.mark.parametrize("refusal", REFUSALS)
def test_update_loses_nothing_though_flash_refuses(refusal: tuple[int, object]) -> None:
    """The same for who boots after flash has refused operations."""
    assert int(told(f"upgraded(0, 1, {refusal})").split()[-1]) > 6


@pytest.mark.parametrize("case", ["unknown", "bounded", "counted", "full", "paced"])
def test_logs_of_several_layouts(case: str) -> None:
    """The function, whose own docstring says what holds, finds it so."""
    said = told(f"{case}()")
    print(said)
    assert said


def test_slot_that_falls_back_leaves_what_newer_code_wrote(tmp_path: Path) -> None:
    """It counts it, takes and delivers its own; the next version drains what was left, and counts
    what the older one has left in turn.
    """
    formats = ("_FORMAT = const(1)", "_FORMAT = const(0)")
    older: list[Path | str] = [patched(tmp_path / "old", ("device/generations.py", *formats))]
    flash = tmp_path / "flash"
    flash.mkdir()
    lives = [
        ("life(1, 9, False)", []),
        ("life(2, 4, False)", older),
        ("life(3, 2, True)", older),
        ("life(4, 1, True)", []),
        ("life(5, 1, True)", older),
    ]
    said = [json.loads(told(call, cwd=flash, path=path)) for call, path in lives]
    assert said == [
        [0, []],
        [9, []],
        [9, [[2, seq] for seq in range(4)] + [[3, 0], [3, 1]]],
        [0, [[1, seq] for seq in range(9)] + [[4, 0]]],
        [0, [[5, 0]]],
    ]


def test_flash_of_an_earlier_version_loses_nothing() -> None:
    """support/flash/of_b079fd8.json was made by the node of that commit: four Readings, a Command
    whose Response the broker did not acknowledge, then no broker, and 27 Readings later SIGKILL;
    all its files but those of the RTC memory, and what its own RecordLog reads of them.
    """
    path = TESTS / "support" / "flash" / "of_b079fd8.json"
    assert int(told(f"of_b079fd8({str(path)!r})")) > 60
