"""The short version of `make chaos`: 28 faults, each of another kind, the same ones each time."""

from __future__ import annotations

from pathlib import Path

import chaos
import pytest
from support.brokers.running import RunningBroker
from support.chaos.faults import KINDS, digest, draw
from support.chaos.run import Run
from support.chaos.world import World

# It has no fault that the node waits out for a minute, and of all others the rude ones.
SEED = 3250
FAULTS = 28


def test_seed_makes_the_list() -> None:
    """The same seed gives the same faults, whichever the broker, and another one others."""
    assert digest(draw(SEED, 1000)) == digest(draw(SEED, 1000)) != digest(draw(SEED + 1, 1000))
    assert {fault.kind for fault in draw(SEED, len(KINDS))} == set(KINDS)


@pytest.mark.parametrize("option", ["--faults", "--speed"])
@pytest.mark.parametrize("value", ["0", "-1", "1.5", "many"])
def test_numbers_that_mean_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: str, value: str
) -> None:
    """`make chaos FAULTS=0` is a typing error, and no run in which nothing was lost."""
    monkeypatch.setattr("sys.argv", ["chaos.py", f"{option}={value}"])
    with pytest.raises(SystemExit) as end:
        chaos.main()
    assert end.value.code == 2
    assert f"argument {option}: invalid positive value: {value!r}" in capsys.readouterr().err


@pytest.mark.long
def test_short_chaos_loses_nothing(broker: RunningBroker, tmp_path: Path) -> None:
    """After 28 faults every Reading taken is with the broker, but for those too young at a cut."""
    faults = draw(SEED, FAULTS)
    with open(tmp_path / "log", "w") as log, World(broker, tmp_path, log) as world:
        run = Run(world)
        run.go(faults)
        world.end()
    books = world.books
    assert run.done == faults
    assert not run.unmet
    assert books.taken
    assert not books.lost()
    assert len(books.late()) <= 1  # a busy machine; a commit that is always late loses more
    assert not books.unheard()
    assert not books.wrong
    assert not books.bugs
