"""`limpet fleet run`: light nodes against a broker that really runs."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from cyclopts import CycloptsError
from limpet.brokers.mosquitto import program
from limpet.brokers.setup import open_setup
from limpet.cli import command_line
from limpet.fleet.load import set_up
from limpet.fleet.load.run import run
from limpet.node_host import debian
from limpet.shared.problem import Problem
from support import schemas
from support.brokers.mosquitto import Mosquitto
from support.brokers.running import fields
from support.fleets import fleet
from support.ports import closed_port
from support.tool import Tool, gone, limpet

# The command, with a set-up of its own for each test: two at once would be refused.
APART = """
import sys
from pathlib import Path
from limpet.fleet.load import set_up
set_up.OWN = Path(sys.argv.pop(1))
{more}
from limpet.cli import main
main()
"""
# What mosquitto acknowledges and drops: that one device may no longer say its Readings.
LOSING = """
from limpet.brokers import written
put = written.put
def losing(layout, kind, plan):
    put(layout, kind, plan)
    acl = plan.folder / "acl"
    lost = "topic write limpet/home/desk/climate/load-00002/telemetry"
    kept = [each for each in acl.read_text().splitlines() if not each.startswith(lost)]
    acl.write_text("\\n".join(kept) + "\\n")
written.put = losing
from limpet.fleet.load import play
play.QUIET_S = 2.0
"""


STAYS_AWAY = """
from limpet.fleet.load.own_broker import OwnBroker
from limpet.shared.problem import Problem
def go_on(self):
    raise Problem("It stays away.", "Wait.")
OwnBroker.go_on = go_on
"""


def apart(folder: Path, *words: str | Path, more: str = "", terminal: bool = False) -> Tool:
    """Run `limpet fleet run` with a set-up of its own below `folder`."""
    program = APART.format(more=more)
    line = ("-c", program, folder / "load", "fleet", "run", *words)
    return Tool(*line, program=sys.executable, terminal=terminal)


def counts(text: str) -> dict[str, int]:
    """Return the books of a report by their names."""
    (line,) = re.findall(r"^Readings +(\d.*)$", text, re.MULTILINE)
    found = re.findall(r"([\d,]+) (taken|delivered|of them again|kept|lost)", line)
    return {name: int(count.replace(",", "")) for count, name in found}


def test_a_run_that_ends_well(tmp_path: Path) -> None:
    """All that was taken is delivered, measured and reported; nothing is left running."""
    report = tmp_path / "report"
    words = ("-n", "20", "--real", "2", "--seconds", "3", "--interval", "1", "--report", report)
    with apart(tmp_path, *words) as tool:
        assert tool.end() == 0, tool.text
    found = counts(tool.text)
    assert found["taken"] >= 40
    assert found["delivered"] == found["taken"]
    assert (found["kept"], found["lost"]) == (0, 0)
    assert "No Reading is lost." in tool.text
    assert re.search(r"^connected +20 at once, all within", tool.text, re.MULTILINE)
    assert re.search(r"^memory of each +broker \d+ KB, light node", tool.text, re.MULTILINE)
    assert re.search(r"^publish to consumer +50 % within", tool.text, re.MULTILINE)
    page = (report / "report.md").read_text()
    assert "| Readings | " in page
    pictures = re.findall(r"\]\((\w+\.svg)\)", page)
    assert sorted(pictures) == sorted(path.name for path in report.glob("*.svg"))
    for name in pictures:
        ET.parse(report / name)


def test_the_broker_is_restarted(tmp_path: Path) -> None:
    """After a storm and a restart all come back by themselves, and nothing is lost."""
    words = ("-n", "15", "--seconds", "3", "--interval", "1", "--storm", "--restart-broker")
    with apart(tmp_path, *words, "--real", "1", "--churn", "60") as tool:
        assert tool.end() == 0, tool.text
    found = counts(tool.text)
    assert found["delivered"] == found["taken"] >= 40
    assert re.search(r"^all cut at once +at .* all back after", tool.text, re.MULTILINE)
    assert re.search(r"^the broker restarted +at .* it was away .* all back", tool.text, re.M)


def test_a_broker_that_loses_is_told(tmp_path: Path) -> None:
    """What it acknowledges and does not pass on is counted, named, and exit code 1."""
    words = ("-n", "3", "--real", "0", "--seconds", "2", "--interval", "1")
    with apart(tmp_path, *words, more=LOSING) as tool:
        assert tool.end() == 1, tool.text
    found = counts(tool.text)
    assert found["lost"] == found["taken"] - found["delivered"] >= 2
    assert re.search(r"FAILED: \d+ Readings are lost, such as load-00002 boot \d+ seq 0", tool.text)


def test_ctrl_c_ends_it_and_reports(tmp_path: Path) -> None:
    """Readings that are on their way are waited for; mosquitto is gone afterwards."""
    words = ("-n", "10", "--real", "0", "--seconds", "600", "--interval", "1")
    with apart(tmp_path, *words, terminal=True) as tool:
        tool.wait_for("10 of 10 connected")
        (pid,) = _children(tool.process.pid)
        tool.interrupt()
        assert tool.end() == 0, tool.text
        assert gone(pid)
    found = counts(tool.text)
    assert found["delivered"] == found["taken"]


def _children(parent: int) -> list[int]:
    """Return the process ids of what a process has started, the oldest first."""
    found = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return [int(each) for each in found.split()]


def test_a_real_node_that_ends_is_told(tmp_path: Path) -> None:
    """It is named, with exit code 1; the others go on."""
    words = ("-n", "2", "--real", "1", "--seconds", "3", "--interval", "2")
    with apart(tmp_path, *words, terminal=True) as tool:
        tool.wait_for("2 of 2 connected")
        _, node = _children(tool.process.pid)
        os.kill(node, signal.SIGKILL)
        assert tool.end() == 1, tool.text
    assert "the real node load-00001 ended by itself, exit code -9" in tool.text


def test_a_named_broker(tmp_path: Path) -> None:
    """It plays the fleet's devices that are there for it, and no other, in payloads that the
    schemas allow; it says that it does not know the memory of a broker that is not its own.
    """
    root = fleet(tmp_path / "fleet")
    setup = open_setup(root)
    setup.device(fields("node-1"))
    broker = Mosquitto(setup)
    where = ("fleet", "run", broker.host, "--fleet", root)
    few = limpet(*where, "-n", "4", "--port", str(closed_port()))
    assert few.returncode == 1
    assert "has 0 devices called load-..., and only such are played." in few.stderr
    made = re.search(r"Make them: limpet (.*), and have", few.stderr)
    assert made
    assert limpet(*shlex.split(made[1])).returncode == 0
    broker.start()
    try:
        # Who holds all that is said to the schemas, but for what clears a status.
        for number in range(2, 5):
            schemas.own(f"limpet/home/desk/climate/load-{number:05}/status", b"")
        heard = broker.operator("limpet/#")
        more = ("-n", "4", "--real", "1", "--seconds", "2", "--interval", "1")
        done = limpet(*where, *more, "--port", str(broker.port))
        assert done.returncode == 0, done.stdout + done.stderr
        assert "broker not known, it is not ours" in done.stdout
        light = heard.seen("limpet/home/desk/climate/load-00004/#")
        assert {each.topic.rpartition("/")[2] for each in light} == {"status", "telemetry"}
        # Light nodes leave no status behind.
        client = broker.operator("limpet/#")
        client.publish("limpet/home/desk/climate/load-00001/commands", {"id": "1"})
        client.wait_for("limpet/home/desk/climate/load-00001/commands")
        assert [each.topic for each in client.seen("#") if each.retain] == [
            "limpet/home/desk/climate/load-00001/status"
        ]
    finally:
        broker.close()


@pytest.mark.parametrize(
    "words",
    [["-n", "0"], ["-n", "2.5"], ["-n", "many"], [], ["-n", "1", "--seconds", "0"]],
)
def test_a_command_line_that_is_none(words: list[str]) -> None:
    """It is refused before anything is made."""
    with pytest.raises(CycloptsError):
        command_line().parse_args(["fleet", "run", *words], exit_on_error=False, print_error=False)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"broker": ""}, "name is empty"),
        ({"broker": "no-such-host.invalid"}, "No host is called no-such-host.invalid"),
        ({"broker": "127.0.0.1", "restart_broker": True}, "that this command has started"),
        ({"port": 8883}, "none is named"),
        ({"nodes": 45_000}, "45,000 "),
        ({"nodes": 3, "real": 3, "storm": True}, "all nodes are real"),
        ({"real": 1, "churn": 60.0}, "all nodes are real"),
    ],
)
def test_bad_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], said: str
) -> None:
    """It is named before anything is made."""
    monkeypatch.setattr(set_up, "OWN", tmp_path / "load")
    if "broker" in given:
        root = fleet(tmp_path / "fleet")
        open_setup(root).device(fields("load-00001"))
        given = {"fleet": root} | given
    one: dict[str, Any] = {"nodes": 1}
    with pytest.raises(Problem) as problem:
        run(given.pop("broker", None), **(one | given))
    assert said in problem.value.cause
    assert not (tmp_path / "load").exists()


def test_where_no_report_can_be(tmp_path: Path) -> None:
    """It is said before the run, not after it."""
    with pytest.raises(FileExistsError):
        run(nodes=1, report=Path(os.devnull))


def test_without_mosquitto(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to install."""

    def none(name: str, remedy: str) -> None:
        raise Problem(f"There is no {name} here.", remedy)

    monkeypatch.setattr(set_up, "OWN", tmp_path / "load")
    monkeypatch.setattr(debian, "system_or_unpacked", none)
    program.mosquitto.cache_clear()
    try:
        with pytest.raises(Problem, match="There is no mosquitto here") as problem:
            run(nodes=1)
    finally:
        program.mosquitto.cache_clear()
    assert "Install mosquitto" in problem.value.remedy


def test_nobody_listens(tmp_path: Path) -> None:
    """A broker that is not there is named, with the cause."""
    root = fleet(tmp_path / "fleet")
    open_setup(root).device(fields("load-00001"))
    port = str(closed_port())
    done = limpet("fleet", "run", "127.0.0.1", "--port", port, "-n", "1", "--fleet", root)
    assert done.returncode == 1
    assert f"No connection to 127.0.0.1:{port} as operator-2: tcp-refused." in done.stderr


def test_a_broker_that_does_not_come_back_is_told(tmp_path: Path) -> None:
    """There is a report all the same, and nothing that its nodes keep counts as lost."""
    words = ("-n", "3", "--real", "0", "--seconds", "2", "--interval", "1", "--restart-broker")
    with apart(tmp_path, *words, more=STAYS_AWAY) as tool:
        assert tool.end() == 1, tool.text
    assert "FAILED: It stays away." in tool.text
    found = counts(tool.text)
    assert found["taken"] == found["delivered"] + found["kept"]


def test_ctrl_c_while_the_broker_does_not_answer(tmp_path: Path) -> None:
    """Nothing has begun, so nothing is waited for and nothing reported."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        setup = open_setup(fleet(tmp_path / "fleet"))
        setup.device(fields("load-00001") | {"port": port})
        words = ("127.0.0.1", "-n", "1", "--real", "0", "--fleet", setup.layout.root)
        with Tool("fleet", "run", *words) as tool:
            connection, _ = silent.accept()
            connection.recv(1)  # it has said its hello, and waits
            tool.process.send_signal(signal.SIGINT)
            assert tool.end() == 130, tool.text
            connection.close()
    assert "No Reading is lost" not in tool.text
    assert "Traceback" not in tool.text
