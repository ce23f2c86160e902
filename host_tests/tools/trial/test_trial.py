"""`limpet test-board`: all of it on a virtual board, and what it says of nodes that are ill."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from limpet.identity.provisioning import Setup
from limpet.operating.operator_client import Arrival
from limpet.shared.paths import CAPTURES
from limpet.shared.problem import Problem
from limpet.trial import checks, command, measures, probes, report, stage
from limpet.trial.command import trial
from limpet.trial.console import Memory, Published, Turns
from limpet.trial.outcome import FAILED, OK, UNCHECKED, Outcome, judged, table, unchecked
from limpet.trial.stage import Stage
from limpet.trial.wire import Wire
from support.brokers.kinds import Embedded
from support.brokers.running import base
from support.nodes import Node, StartNode
from support.virtual_board.board import VirtualBoard

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
    look_s = 0.1

    def memory(self) -> Memory:
        """Fail."""
        raise AssertionError

    def commits(self, count: int) -> list[int]:
        """Fail."""
        raise AssertionError

    def publish(self, for_s: float, link_s: float) -> Published:
        """Fail."""
        raise AssertionError

    def watch(self) -> None:
        """Fail."""
        raise AssertionError

    def turns(self) -> Turns | None:
        """Fail."""
        raise AssertionError

    def largest(self, timeout_s: float) -> int | None:
        """Fail."""
        raise AssertionError

    def steps(self) -> dict[str, float]:
        """Fail."""
        raise AssertionError

    def hang(self, watchdog_ms: int) -> None:
        """Fail."""
        raise AssertionError


class Freezing(Untouched):
    """Stands for the port of a board that can be stopped, and does not start again."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def memory(self) -> Memory:
        """Freeze it, which says no goodbye, and tell of an IDF that has nothing left."""
        self._node.freeze()
        return Memory(50_000, 2_000, 1_000)

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


def tried(port: str, folder: Path, **how: Any) -> int:
    """Try a board, with what comes of it in `folder`; the exit code."""
    return trial(
        "esp32_devkit",
        port=port,
        broker_host="127.0.0.1",
        wifi_ssid="beach",
        out=folder / "trial",
        json=folder / "found.json",
        **how,
    )


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
    code = tried(board.url, tmp_path, look=8)
    said = capsys.readouterr().out
    shown = (tmp_path / "trial" / "report-esp32_devkit.md").read_text()
    assert shown in said
    assert code == 0
    rows = [line.split("|") for line in shown.splitlines() if line.startswith("| ")][2:]
    results = {row[1].strip(): row[2].strip() for row in rows}
    assert set(results.values()) == {OK}
    assert len(results) >= 25
    found = report.read(tmp_path / "found.json")
    assert found.results == results
    assert set(found.figures) >= {"step_link_ms", "step_sampler_ms"}
    assert {name for name in found.figures if not name.startswith("step_")} == {
        *("fields_found", "longest_step_ms", "handshake_ms", "commit_ms", "commit_longest_ms"),
        *("client_per_s", "heap_bytes", "heap_largest_bytes", "awake_per_reading_ms"),
        *("idf_bytes", "idf_largest_bytes", "idf_least_bytes"),
    }
    assert found.figures["fields_found"] == 2
    assert 0 < found.figures["heap_largest_bytes"] <= found.figures["heap_bytes"]
    assert "shells-and-sand" not in said + (tmp_path / "found.json").read_text()


@pytest.mark.long
def test_probe_that_fails_is_one_check_that_failed(
    virtual_board: Callable[..., VirtualBoard],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What the board says of it is in the table and the file, nothing is left on flash, and what
    comes next is tried all the same.
    """
    monkeypatch.setenv("WIFI_PASSWORD", "shells-and-sand")
    broken = probes.COMMIT.replace("log.append(record, 1)", "log.append(record, 1), none")
    monkeypatch.setattr(probes, "COMMIT", broken)
    monkeypatch.setattr(measures, "CLIENT_S", 0.5)
    monkeypatch.setattr(command, "CHECKS", (measures.commit, measures.client))
    board = virtual_board()
    assert tried(board.port, tmp_path) == 1
    found = report.read(tmp_path / "found.json")
    assert found.results == {"birth": OK, "commit": FAILED, "client alone": OK}
    assert set(found.figures) == {"client_per_s"}
    said = capsys.readouterr()
    assert "NameError" in said.out
    assert "stopped before all was checked" in said.err
    board.power_cut()
    assert not [path for path in board.files() if "trial-log" in path]


class Watched(Untouched):
    """Stands for the port of a board whose node runs already, and says these turns."""

    def __init__(self, *turns: Turns | None) -> None:
        self._turns = list(turns)

    def watch(self) -> None:
        """It runs."""

    def turns(self) -> Turns | None:
        """The next one, and the last for ever."""
        return self._turns.pop(0) if self._turns[1:] else self._turns[0]

    def largest(self, timeout_s: float) -> int | None:
        """A piece."""
        return 40_000

    def steps(self) -> dict[str, float]:
        """One that is beyond the time budget, and one that is not."""
        return {"Link": 3001.0, "Clock": 2.5}


@pytest.mark.usefixtures("impatient")
def test_node_that_is_watched(
    node: StartNode, staged: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Time awake is divided by the Readings taken meanwhile; without one it is no figure. A step
    beyond the budget is a failure, and so is a node that does not go on.
    """
    up(node, staged)
    monkeypatch.setattr(staged, "birth", lambda *_: True)
    first, last = Turns(100, 1000, 2, 32), Turns(180, 5000, 6, 32)
    outcomes = list(measures.look(staged, Watched(first, last)))
    steps = {"memory, watched": OK, "steps by part": FAILED}
    assert found(outcomes) == {**steps, "awake per Reading": OK}
    assert outcomes[0].figures["heap_largest_bytes"] == 40_000
    assert outcomes[1].measured == "Link 3001 ms, Clock 2 ms"
    assert outcomes[1].figures == {"step_link_ms": 3001.0, "step_clock_ms": 2.5}
    assert outcomes[2].figures == {"awake_per_reading_ms": 20.0}
    outcomes = list(measures.look(staged, Watched(None, first, Turns(180, 5000, 2, 32))))
    assert found(outcomes) == {**steps, "awake per Reading": UNCHECKED}
    for turns in ((first,), (None,)):
        outcomes = list(measures.look(staged, Watched(*turns)))
        assert found(outcomes) == {"memory, watched": FAILED}


@pytest.mark.parametrize("published", [Published(0, 500, 9, None), Published(7, 9, 9, "closed")])
def test_client_that_ends_early_fails(
    staged: Stage, monkeypatch: pytest.MonkeyPatch, published: Published
) -> None:
    """Nothing acknowledged, or a connection that was lost, is no rate."""
    board = Untouched()
    monkeypatch.setattr(board, "publish", lambda *_: published)
    outcomes = list(measures.client(staged, board))
    assert found(outcomes) == {"client alone": FAILED}
    assert not outcomes[0].figures


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

    def rebooted(staged: Stage, board: checks.Board) -> Iterable[Outcome]:
        since = staged.mark()
        staged.ask("reboot")
        yield judged("again", staged.birth(30, since) is None, "a birth")

    def stopped(staged: Stage, board: checks.Board) -> Iterable[Outcome]:
        since = staged.mark()
        board.memory()
        board.hang(1000)
        yield judged("hung", staged.birth(30, since) is None, "a birth")

    monkeypatch.setenv("WIFI_PASSWORD", "shells-and-sand")
    monkeypatch.setattr(command, "CHECKS", (rebooted, stopped))
    board = virtual_board()
    code = trial(
        "esp32_devkit",
        port=board.port,
        broker_host="127.0.0.1",
        wifi_ssid="beach",
        out=tmp_path / "trial",
    )
    assert code == 1
    shown = (tmp_path / "trial" / "report-esp32_devkit.md").read_text()
    assert shown in capsys.readouterr().out
    again, hung = shown.split("The console up to the failure of: ")[1:]
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
    """A board without its sensor is told apart from one that loses Readings."""
    monkeypatch.setattr(checks, "INTERVAL_S", 0.2)
    up(node, staged, replay=SILENCE, speed=20)
    outcomes = list(checks.readings(staged, Untouched()))
    assert found(outcomes) == {"Readings": UNCHECKED}
    assert "not wired" in outcomes[0].measured


def test_a_field_that_was_not_read_is_a_failure(
    staged: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several sensors each has to give its values, and such as it can; batches count as well,
    from either topic.
    """
    monkeypatch.setattr(staged, "mark", lambda: 0)  # what is there already counts
    said = {"boot": 1, "ts": 5, "temperature": 24.4, "humidity": 46.3, "outdoor_temperature": 7.1}

    def outcome(kind: str, **other: object) -> tuple[str, str]:
        staged._said.clear()
        for seq in range(checks.READINGS):
            fields = {"seq": seq} | said | other
            payload = json.dumps(fields).encode()
            staged._arrived(Arrival(f"{base('node-1')}/{kind}", payload, False, 0.0))
        _, values, sensors = checks.readings(staged, Untouched())
        assert sensors.measured == "temperature, humidity, outdoor_temperature"
        return values.result, values.measured

    for kind in ("telemetry", "telemetry/backlog"):
        assert outcome(kind) == (OK, "24.4 °C 46.3 %, outdoor 7.1 °C")
    assert outcome("telemetry", outdoor_temperature=-40.1)[0] == FAILED
    batch = {"dt": 2, "temperature": [24.4, 24.4], "humidity": [46.3, 46.3]}
    good = batch | {"outdoor_temperature": [7.1, 7.2]}
    assert outcome("telemetry/backlog", **good) == (OK, "24.4 °C 46.3 %, outdoor 7.2 °C")
    bad = batch | {"outdoor_temperature": [7.1, None]}
    assert outcome("telemetry/backlog", **bad) == (FAILED, "24.4 °C 46.3 %, outdoor - °C")


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
    board = Untouched()
    board.step_ms = -1
    assert found(checks.steps(staged, board))["longest step"] == FAILED


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
        ({"wifi_ssid": "beach"}, "--broker-host"),
        ({"broker_host": "127.0.0.1"}, "--wifi-ssid"),
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
        trial("esp32_devkit", port=str(port), out=tmp_path / "trial", **how)
    assert said in f"{refusal.value.cause} {refusal.value.remedy}"
