"""`limpet doctor` as a command: exit codes, JSON, one device, Ctrl-C, and --clear-retained."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from limpet.brokers.setup import open_setup
from limpet.cli import command_line
from limpet.doctor import doctor as command
from limpet.doctor.finding import Finding
from limpet.identity import operators
from limpet.identity.operators import operator_identity
from limpet.identity.provisioning import Setup
from limpet.shared.problem import Problem
from support.brokers.kinds import set_up
from support.brokers.running import RunningBroker, base, fields
from support.brokers.wrong import WrongMosquitto
from support.fleets import fleet
from support.ports import closed_port, standing_ports
from support.tool import Tool, limpet

GONE = "limpet/home/old/climate/gone"
QUICK = ("--seconds", "2")


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    """Make a set-up in which nobody else has devices: the doctor speaks of them."""
    return set_up(tmp_path_factory.mktemp("setup") / "dev")


def words(setup: Setup, port: int, *more: str) -> list[str | Path]:
    """The command line that looks at a broker on `port`, and nowhere else."""
    plain = str(closed_port())
    line = ["--port", str(port), "--plain-port", plain, *QUICK, *more]
    return ["doctor", *line, "--fleet", setup.layout.root]


def test_a_broker_and_a_device(broker: RunningBroker, setup: Setup) -> None:
    """Notes alone, and a device that is there is not disturbed; of one also what is shown of it."""
    node = broker.client("node-1", clean_session=False).connect()
    reading = {"v": 1, "boot": 7, "seq": 1, "ts": None, "up": 5, "temperature": 24.4}
    online = {"v": 1, "status": "online", "boot": 7, "session": 1, "fw": "0.1.0"}
    node.publish(f"{base()}/status", online | {"reset": "power-on"}, retain=True)
    said = limpet(*words(setup, broker.port))
    assert said.returncode == 0, said
    assert said.stdout.startswith(f"127.0.0.1:{broker.port}: 2 note\n")
    assert "node-2: never heard" in said.stdout
    assert not node.closed  # it is there, and so is not visited
    with Tool(*words(setup, broker.port, "node-1", "--json")) as tool:
        tool.wait_for("looking at")  # it is listening by now, or will be
        while tool.process.poll() is None:
            node.publish(f"{base()}/telemetry", reading)
            time.sleep(0.2)
        assert tool.end() == 0
        one = json.loads(tool.text[tool.text.index("{") :])
    assert one["shown"]["status"] == "online boot 7 session 1 fw 0.1.0 reset power-on"
    assert one["shown"]["last Reading"] == "24.4 °C seq 1 5 s into boot 7"
    assert not node.closed
    node.publish(f"{base()}/status", "", retain=True)


def test_nobody_is_there(setup: Setup) -> None:
    """That is critical, and what can be seen is said; twice is the same."""
    port = closed_port()
    for _ in range(2):
        done = limpet(*words(setup, port))
        assert done.returncode == 2
        assert "Connection refused" in done.stdout
        assert "not seen  what is on its way" in done.stdout
    done = limpet(*words(setup, port, "--json"))
    found = json.loads(done.stdout)
    assert (done.returncode, found["level"], found["device"]) == (2, "critical", None)
    assert [each["check"] for each in found["findings"]] == ["down", "other-broker"]


def test_what_cannot_be_asked(setup: Setup, tmp_path: Path) -> None:
    """No fleet, a fleet without a device, and a name that is nobody's: 3."""
    cases: list[tuple[Path, list[str], str]] = [
        (tmp_path / "none", [], "There is no fleet in"),
        (fleet(tmp_path / "empty"), [], "has no device yet"),
        (setup.layout.root, ["a" * 64], "neither a device of the fleet nor a host"),
    ]
    for root, more, why in cases:
        done = limpet("doctor", *more, *QUICK, "--fleet", root)
        assert (done.returncode, done.stdout) == (3, "")
        assert why in done.stderr


def test_the_log_on_standard_input(setup: Setup) -> None:
    """`--log -` is an argument like any other."""
    line = words(setup, closed_port(), "--log", "-")
    _, bound, _ = command_line().parse_args([str(each) for each in line], exit_on_error=False)
    assert bound.arguments["log"] == Path("-")


def test_ctrl_c(broker: RunningBroker, setup: Setup) -> None:
    """Ends at once with 130, and lets its operators go."""
    line = words(setup, broker.port)
    line[line.index("2")] = "300"
    with Tool(*line, terminal=True) as tool:
        tool.wait_for("looking at")
        tool.interrupt()
        assert tool.end() == 130
        assert "Traceback" not in tool.text
    for identity in [operator_identity(setup.layout.root) for _ in operators.NAMES]:
        identity.release()


@pytest.mark.parametrize("level", command.CODES)
def test_exit_codes(level: str, monkeypatch: pytest.MonkeyPatch, setup: Setup) -> None:
    """That of the worst finding."""
    if level == "not asked":
        return
    found = [] if level == "ok" else [Finding(level, "a", "b", "c", "d")]  # type: ignore[arg-type]
    monkeypatch.setattr(command, "examine", lambda facts: found)
    assert command.doctor(port=closed_port(), fleet=setup.layout.root) == command.CODES[level]
    assert set(command.MEANS) == set(command.CODES)


@pytest.fixture
def own(tmp_path: Path) -> Setup:
    """A fleet of a device, which looks for its broker where it is."""
    made = open_setup(fleet(tmp_path / "fleet"))
    made.device(fields("node-1") | {"port": standing_ports(1)[0]})
    return made


def test_a_config_that_is_none(own: Setup) -> None:
    """It is a finding, and no end: another device says where the broker is, if one can."""
    root, broken = own.layout.root, own.layout.device("node-1") / "settings.json"
    broken.write_text("{")
    for device in ([], ["node-1"]):
        done = limpet("doctor", *device, *QUICK, "--fleet", root, "--json")
        found = json.loads(done.stdout)
        assert (done.returncode, found["broker"]) == (1, "no broker")
        assert [each["check"] for each in found["findings"]] == ["folder"]
        assert "no config that can be read" in done.stdout
    port = closed_port()
    own.device(fields("node-2") | {"port": port})
    done = limpet("doctor", *QUICK, "--fleet", root, "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["broker"]) == (2, f"127.0.0.1:{port}")
    assert [each["check"] for each in found["findings"]] == ["down", "folder"]


def served(own: Setup, *, rules: bool) -> WrongMosquitto:
    """Where node-1 has a session, and five topics are retained."""
    port = int(json.loads((own.layout.device("node-1") / "identity.json").read_text())["port"])
    changes = {} if rules else {f"acl_file {own.layout.broker}/acl": ""}
    broker = WrongMosquitto(own, (port, 0), changes)
    broker.start()
    node = broker.client("node-1", clean_session=False).connect()
    node.subscribe(f"{base()}/commands")
    node.publish(f"{base()}/status", '{"status":"offline","reason":"lost"}', retain=True)
    operator = broker.operator(None)
    operator.publish(f"{base()}/config/desired", "{}", retain=True)
    node.drop()
    return broker


def kept(broker: RunningBroker) -> list[str]:
    """What is retained now."""
    client = broker.operator("limpet/#")
    client.publish(f"{base()}/commands", "{}")
    client.wait_for(f"{base()}/commands")  # behind all of it
    return sorted(each.topic for each in client.messages if each.retain)


def test_retained_is_cleared_as_a_device(own: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    """In its name, its session stays; asked first; and what nobody may clear is told with a way."""
    broker = served(own, rules=True)
    try:
        root = own.layout.root
        with pytest.raises(Problem, match="nobody to ask"):
            command.doctor(clear_retained="limpet/#", fleet=root)
        assert f"  {base()}/status   of a device of the fleet" in capsys.readouterr().out
        assert command.doctor(clear_retained="limpet/#", yes=True, fleet=root) == 0
        assert "cleared: 2 topics" in capsys.readouterr().out
        assert kept(broker) == []
        assert command.doctor(clear_retained="limpet/#", yes=True, fleet=root) == 0
        assert "Nothing is retained on limpet/#." in capsys.readouterr().out
        assert broker.client("node-1", clean_session=False).connect().session_present
    finally:
        broker.close()


def test_leftovers_of_a_device_that_is_gone(own: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    """By the rules nobody may clear them; that way is told, and works."""
    broker = served(own, rules=True)
    root = own.layout.root
    try:
        own.device(fields("gone") | {"zone": "old", "port": broker.port})
        broker.restart()
        gone = broker.client("gone").connect()
        gone.publish(f"{GONE}/status", '{"status":"offline","reason":"shutdown"}', retain=True)
        gone.close()
        own.forget("gone")
        broker.restart()
        done = limpet("doctor", "--clear-retained", f"{GONE}/#", "--yes", "--fleet", root)
        assert done.returncode == 1
        assert f"The broker keeps {GONE}/status." in done.stderr
        way = "limpet provision gone --org limpet --site home --zone old --device-type climate"
        assert f"{way} --fleet {root}; limpet fleet decommission gone --fleet {root}" in done.stderr
        told = limpet("doctor", "--clear-retained", f"{GONE}/#", "--yes", "--json", "--fleet", root)
        said = {"filter": f"{GONE}/#", "cleared": [], "left": [f"{GONE}/status"]}
        assert (told.returncode, json.loads(told.stdout)) == (1, said)
    finally:
        broker.close()


def test_leftovers_where_there_are_no_rules(own: Setup) -> None:
    """An operator clears them."""
    broker = served(own, rules=False)
    try:
        broker.operator(None).publish(f"{GONE}/status", "{}", retain=True)
        done = limpet(
            "doctor", "--clear-retained", f"{GONE}/#", "--yes", "--fleet", own.layout.root
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert f"  {GONE}/status\ncleared: 1 topic\n" in done.stdout
        assert kept(broker) == [f"{base()}/config/desired", f"{base()}/status"]
    finally:
        broker.close()


@pytest.mark.parametrize(
    "line",
    [("--yes",), ("--figures", "http://127.0.0.1:1"), ("--follow", "--clear-retained", "x")],
)
def test_what_would_be_passed_over_is_refused(line: tuple[str, ...]) -> None:
    """An option that this call does not heed would leave its caller in the belief that it does."""
    done = limpet("doctor", *line)
    assert done.returncode == 2
    assert line[0] in done.stderr


@pytest.mark.parametrize("line", [("doctor",), ("capacity", "--live"), ("health",)])
def test_a_fleet_that_cannot_be_read_is_no_warning(own: Setup, line: tuple[str, ...]) -> None:
    """1 would be one, for whoever goes by the exit code."""
    registry = own.layout.broker / "devices.json"
    registry.unlink()
    registry.mkdir()
    done = limpet(*line, "--fleet", own.layout.root)
    assert done.returncode == 3
    assert "devices.json: Is a directory." in done.stderr
