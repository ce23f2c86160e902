"""Which fleet `send` and `watch` mean, where a `limpet run` may be running as well."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from limpet.brokers.embedded.broker import EmbeddedBroker
from limpet.brokers.setup import open_setup
from limpet.identity.fleet_folder import VARIABLE
from limpet.operating import where
from limpet.operating.where import Where, found_without
from limpet.shared.problem import Problem
from support.brokers.running import fields
from support.fleets import fleet
from support.tool import TIMEOUT_S, Tool


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A fleet with node-1 and node-2, which nobody is in."""
    setup = open_setup(fleet(tmp_path / "fleet"))
    for name in ("node-1", "node-2"):
        setup.device(fields(name))
    return tmp_path / "fleet"


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where `limpet run` has its set-up, with node-1 and node-3; it does not run yet."""
    setup = open_setup(tmp_path / "run")
    for name in ("node-1", "node-3"):
        setup.device(fields(name))
    monkeypatch.setattr(where, "RUN", tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "run"


@pytest.fixture
def running(runs: Path) -> Iterator[Path]:
    """The same, and it runs."""
    with EmbeddedBroker(runs):
        yield runs


def test_nothing_at_all(runs: Path) -> None:
    """Neither a fleet nor a run: what there would have to be is said."""
    with pytest.raises(Problem, match="There is no fleet here, and no `limpet run` is running"):
        Where().settled("node-1")
    assert not found_without(runs, "node-1")


def test_run_is_meant_where_there_is_no_fleet(running: Path) -> None:
    """As in the first minute of a newcomer; whatever device is named, or none."""
    for device in ("node-1", "node-9", None):
        assert Where().settled(device).root == running
    assert found_without(running, "node-1")


def test_fleet_goes_before_a_run(
    running: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that both have is the fleet's, so is any that neither has, and what is not about one
    device; the run's is meant for what it alone has.
    """
    monkeypatch.chdir(root)
    for device in ("node-1", "node-2", "node-9", None):
        assert Where().settled(device).root == root
    assert Where().settled("node-3").root == running
    assert found_without(root, "node-1")
    assert found_without(running, "node-3")
    assert not found_without(running, "node-1")


def test_run_that_is_meant_beside_a_fleet_is_told(
    running: Path, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who stands in a fleet's folder would take the device for one of the fleet's."""
    monkeypatch.chdir(root)
    assert Where().settled("node-3", tell=True).root == running
    said = f"limpet: node-3 of `limpet run`; the fleet {root} has none of that name\n"
    assert capsys.readouterr().err == said
    assert Where().settled("node-1", tell=True).root == root
    assert Where().settled("node-3").root == running
    assert capsys.readouterr().err == ""


def test_run_that_is_over_is_not_meant(
    runs: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has left is nobody's device."""
    monkeypatch.chdir(root)
    assert Where().settled("node-3").root == root


def test_either_can_be_named(
    running: Path, root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """--fleet takes the run's set-up as well, which is no fleet; any other folder it refuses."""
    assert Where(root).settled("node-3").root == root
    assert Where(running).settled("node-2").root == running
    with pytest.raises(Problem, match="There is no fleet in "):
        Where(tmp_path).settled()


def test_fleet_from_elsewhere_is_told(
    runs: Path, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where neither the folder nor an option says it, the tool does; asking tells nothing."""
    monkeypatch.setenv(VARIABLE, str(root))
    assert found_without(root, "node-1")
    assert capsys.readouterr().err == ""
    assert Where().settled("node-1", tell=True).root == root
    assert capsys.readouterr().err == f"limpet: in the fleet {root}, by LIMPET_FLEET\n"
    for named in (Where(root), Where()):
        monkeypatch.chdir(root)
        named.settled("node-1", tell=True)
    assert capsys.readouterr().err == ""


# The command, with a set-up of `limpet run` that no other test has.
APART = """
import sys
from pathlib import Path
from limpet.shared import paths
paths.RUN = Path(sys.argv.pop(1))
from limpet.cli import main
main()
"""


def apart(run: Path, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run `limpet` to its end in the folder `cwd`."""
    line = [sys.executable, "-c", APART, str(run), *words]
    return subprocess.run(line, capture_output=True, text=True, timeout=2 * TIMEOUT_S, cwd=cwd)


def test_first_minute(tmp_path: Path, root: Path) -> None:
    """`limpet run` in an empty folder leaves nothing in it; `send` and `watch` find it without a
    word, and from inside a fleet by the words that it shows.
    """
    run, here = tmp_path / "throw-away", tmp_path / "here"
    here.mkdir()
    line = ("-c", APART, str(run), "run")
    with Tool(*line, program=sys.executable, cwd=here) as first:
        first.wait_for("link     up")
        assert " send node-1 read_now   in another terminal" in first.text
        sent = apart(run, "send", "node-1", "ping", cwd=here)
        assert sent.returncode == 0, sent.stderr
        with Tool("-c", APART, str(run), "watch", program=sys.executable, cwd=here) as watch:
            watch.wait_for("limpet/home/desk/climate/node-1/status ")
            watch.interrupt()
            assert watch.end() == 0
        in_fleet = apart(run, "send", "node-1", "ping", cwd=root)
        assert in_fleet.returncode == 1
        assert "There is no broker at 127.0.0.1:8883" in in_fleet.stderr or "refuse" in (
            in_fleet.stderr
        )
        watched = apart(run, "watch", cwd=root)
        assert f"limpet: this is the fleet {root}; `limpet run` is --fleet {run}" in watched.stderr
        named = apart(run, "send", "node-1", "ping", "--fleet", str(run), cwd=root)
        assert named.returncode == 0, named.stderr
        first.interrupt()
        assert first.end() == 0, first.text
    assert list(here.iterdir()) == []
    over = apart(run, "send", "node-1", "ping", cwd=here)
    assert over.stderr.startswith("limpet: There is no fleet here, and no `limpet run` is running")
