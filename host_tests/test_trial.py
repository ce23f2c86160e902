"""`limpet test-board`: all of it on a virtual board, and what it says of nodes that are ill."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from brokers import Embedded, base
from limpet.paths import CAPTURES
from limpet.problem import Problem
from limpet.provision import Setup
from limpet.trial import checks, command, stage
from limpet.trial.command import trial
from limpet.trial.outcome import FAILED, OK, UNCHECKED, Outcome, judged, table, unchecked
from limpet.trial.stage import Stage
from limpet.wire import Wire
from nodes import Node, StartNode
from virtual_board import VirtualBoard

SILENCE = CAPTURES / "am2302_1mhz_delay2000us_100us_low.jsonl"
PATIENCE_S = 1.0


@pytest.fixture
def embedded(setup: Setup) -> Iterator[Embedded]:
    """Run the embedded broker: test-board brings its own."""
    running = Embedded(setup)
    running.start()
    yield running
    running.close()


@pytest.fixture
def staged(embedded: Embedded) -> Iterator[Stage]:
    """Listen to node-1."""
    with (
        Wire(embedded.port) as wire,
        Stage(embedded.embedded, wire, "node-1", base("node-1")).open() as opened,
    ):
        yield opened


class Untouched:
    """Stands for the port of a board that no check may touch."""

    step_ms = 3000

    def memory(self) -> checks.Memory:
        """Fail."""
        raise AssertionError

    def hang(self, watchdog_ms: int) -> None:
        """Fail."""
        raise AssertionError


class Freezing(Untouched):
    """Stands for the port of a board that can be stopped, and does not start again."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def memory(self) -> checks.Memory:
        """Freeze it, which says no goodbye, and tell of an IDF that has nothing left."""
        self._node.freeze()
        return checks.Memory(50_000, 2_000, 1_000)

    def hang(self, watchdog_ms: int) -> None:
        """Freeze it."""
        self._node.freeze()


def found(outcomes: Iterable[Outcome]) -> dict[str, str]:
    """Each check with its result."""
    return {each.check: each.result for each in outcomes}


def up(node: StartNode, staged: Stage, **how: Any) -> Node:
    """A node that is up, its birth heard."""
    running = node(staged, **how)
    assert staged.birth(30)
    return running


@pytest.mark.long
def test_board_that_is_well_passes(
    virtual_board: Callable[..., VirtualBoard],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Deployed to, connected, commanded, thrown out, reset, hung: all is checked, nothing fails."""
    monkeypatch.setenv("WIFI_PASSWORD", "shells-and-sand")
    board = virtual_board()
    directory = tmp_path / "trial"
    code = trial(
        "esp32_devkit",
        port=board.url,
        broker_host="127.0.0.1",
        wifi_ssid="beach",
        directory=directory,
    )
    said = capsys.readouterr().out
    report = (directory / "report-esp32_devkit.md").read_text()
    assert report in said
    assert code == 0
    rows = [line.split("|") for line in report.splitlines() if line.startswith("| ")][2:]
    results = {row[1].strip(): row[2].strip() for row in rows}
    assert set(results.values()) == {OK}
    assert len(results) >= 20
    assert "shells-and-sand" not in said


@pytest.mark.long
def test_console_tells_why(
    virtual_board: Callable[..., VirtualBoard],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Under the table is what the board said before a check failed, before and after the port was
    needed for something else.
    """

    def rebooted(staged: Stage, wire: checks.Wire) -> Iterable[Outcome]:
        since = staged.mark()
        staged.ask("reboot")
        yield judged("again", staged.birth(30, since) is None, "a birth")

    def stopped(staged: Stage, wire: checks.Wire) -> Iterable[Outcome]:
        since = staged.mark()
        wire.memory()
        wire.hang(1000)
        yield judged("hung", staged.birth(30, since) is None, "a birth")

    monkeypatch.setenv("WIFI_PASSWORD", "shells-and-sand")
    monkeypatch.setattr(command, "CHECKS", (rebooted, stopped))
    board = virtual_board()
    code = trial(
        "esp32_devkit",
        port=board.port,
        broker_host="127.0.0.1",
        wifi_ssid="beach",
        directory=tmp_path / "trial",
    )
    assert code == 1
    report = (tmp_path / "trial" / "report-esp32_devkit.md").read_text()
    assert report in capsys.readouterr().out
    again, hung = report.split("The console up to the failure of: ")[1:]
    for name, said in (("again", again), ("hung", hung)):
        assert said.startswith(f"{name}\n\n    ")
        assert re.search(r"^    \d+\.\d{3} link connecting$", said, re.MULTILINE), said


def test_patience_stretches_each_wait(embedded: Embedded) -> None:
    """What is slow has so many times as long, and the table says so."""
    with Wire(embedded.port) as wire:
        patient = Stage(embedded.embedded, wire, "node-1", base("node-1"), 4)
        began = monotonic()
        assert patient.wait("status", lambda _: True, 0.1) is None
        assert monotonic() - began >= 0.4
        assert checks.birth_limit(patient) == f"{checks.BIRTH_S * 4:.0f} s"


def test_sensor_that_is_not_there_is_no_failure(
    node: StartNode, staged: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A board without a DHT22 is told apart from one that loses Readings."""
    monkeypatch.setattr(checks, "INTERVAL_S", 0.2)
    up(node, staged, replay=SILENCE, speed=20)
    outcomes = list(checks.readings(staged, Untouched()))
    assert found(outcomes) == {"Readings": UNCHECKED}
    assert "not wired" in outcomes[0].measured


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the checks give up soon: what they wait for is not going to come."""
    monkeypatch.setattr(stage, "RESPONSE_S", PATIENCE_S)
    monkeypatch.setattr(checks, "BIRTH_S", PATIENCE_S)
    monkeypatch.setattr(checks, "INTERVAL_S", 0.1)
    monkeypatch.setattr(checks, "OUTAGE_S", 0.1)


@pytest.mark.long
@pytest.mark.usefixtures("impatient")
def test_silence_fails_each_check(node: StartNode, staged: Stage) -> None:
    """A node that is frozen passes nothing but having a will."""
    up(node, staged).freeze()
    results: dict[str, str] = {}
    for each in (checks.readings, checks.commands, checks.outage, checks.steps, checks.reboot):
        results |= found(each(staged, Untouched()))
    assert results.pop("no Reading lost") == UNCHECKED
    assert set(results.values()) == {FAILED}


@pytest.mark.usefixtures("impatient")
def test_board_that_does_not_come_back_fails(node: StartNode, staged: Stage) -> None:
    """No goodbye, an IDF without memory, and a watchdog that does not bite are failures each."""
    running = up(node, staged)
    assert found(checks.memory(staged, Freezing(running))) == {
        "heap of a running node": OK,
        "goodbye on Ctrl-C": FAILED,
        "heap of the IDF": FAILED,
    }
    assert found(checks.watchdog(staged, Freezing(running))) == {"watchdog": FAILED}
    will = found(checks.will(staged, Untouched()))
    assert will == {"will": OK, "comes back": FAILED}


def test_longest_step_is_held_to_the_budget(node: StartNode, staged: Stage) -> None:
    """A step beyond the Board's time budget is a failure."""
    up(node, staged)
    wire = Untouched()
    wire.step_ms = -1
    assert found(checks.steps(staged, wire))["longest step"] == FAILED


def test_table_survives_what_a_board_says() -> None:
    """A cell is one line and ends no column; the columns are aligned; the summary counts."""
    made = [
        judged("one", True, "a | b\nc", "< 3"),
        judged("two", False, "x"),
        unchecked("three", "absent"),
    ]
    lines = table([("Board", "a\nb")], made).splitlines()
    assert lines[0] == "- Board: a b"
    rows = [line for line in lines if line.startswith("|")]
    assert len({len(row) for row in rows}) == 1
    assert {row.count("|") for row in rows} == {5}
    assert "a / b c" in rows[2]
    assert lines[-1] == "1 ok, 1 failed, 1 not checked"
    below = table([("Board", "b")], made, {"two": ["1.000 link up"], "four": []}).splitlines()
    title = "The console up to the failure of:"
    assert below[-8:] == [
        *("", f"{title} two", "", "    1.000 link up"),
        *("", f"{title} four", "", "    (nothing more)"),
    ]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"wifi_ssid": "beach"}, "BROKER_HOST="),
        ({"broker_host": "127.0.0.1"}, "WIFI_SSID="),
        ({"broker_host": "192.0.2.1", "wifi_ssid": "beach"}, "no address of this machine"),
        ({"broker_host": "not a host", "wifi_ssid": "beach"}, "not a host"),
    ],
)
def test_refuses_before_the_board_is_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: dict[str, Any], said: str
) -> None:
    """What it cannot do without is asked for, by name."""
    monkeypatch.setenv("WIFI_PASSWORD", "")
    port = tmp_path / "port"
    port.touch()
    with pytest.raises(Problem) as refusal:
        trial("esp32_devkit", port=str(port), directory=tmp_path / "trial", **how)
    assert said in f"{refusal.value.cause} {refusal.value.remedy}"
