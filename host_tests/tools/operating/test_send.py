"""`limpet send`: a Command goes out, its Response comes back, the exit code says how it went."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from limpet.brokers.embedded.broker import EmbeddedBroker
from limpet.brokers.setup import open_setup
from limpet.identity.provisioning import Setup
from limpet.operating import send as sending
from limpet.operating.send import parse_params
from limpet.operating.where import SetupInfo
from limpet.shared.firmware import commands
from limpet.shared.problem import Problem
from support.brokers.mqtt_client import TIMEOUT_S
from support.brokers.running import LOOPBACK, RunningBroker, fields
from support.brokers.scripted_device import ScriptedDevice
from support.fleets import fleet
from support.tool import Tool


@pytest.fixture
def device(broker: RunningBroker) -> Iterator[ScriptedDevice]:
    """node-1, written by hand, connected."""
    with ScriptedDevice(broker) as connected:
        yield connected


def send(broker: RunningBroker, *words: str) -> tuple[int, str]:
    """Run `limpet send` and return exit code and output."""
    root, port = broker.setup.layout.root, str(broker.port)
    with Tool("send", *words, "--fleet", root, "--port", port) as tool:
        return tool.end(), tool.text


@pytest.mark.parametrize(
    ("response", "code", "shown"),
    [
        ({"status": "executed", "result": {"up": 5}}, 0, ["executed in ", " ms", "up=5"]),
        ({"status": "executed", "result": {}}, 0, ["executed in "]),
        (
            {"status": "rejected", "code": "range", "text": "2 to 9"},
            3,
            ["rejected", "range: 2 to 9"],
        ),
        (
            {"status": "failed", "code": "sensor", "text": "checksum"},
            4,
            ["failed", "sensor: checksum"],
        ),
        ({"status": "expired", "code": "expired", "text": "late"}, 5, ["expired in "]),
        ({"status": "\x1b[2J", "result": 1}, 4, ["\\x1b[2J"]),
    ],
)
def test_response_becomes_exit_code(
    broker: RunningBroker,
    device: ScriptedDevice,
    response: dict[str, object],
    code: int,
    shown: list[str],
) -> None:
    """Each status of a Response has its exit code, and the Response is printed."""
    device.answers("read_now", response)
    result, text = send(broker, "node-1", "read_now")
    assert result == code, text
    assert all(words in text for words in shown), text


def test_command_as_published(broker: RunningBroker, device: ScriptedDevice) -> None:
    """The Command has a random id, the time, a ttl and its params, JSON where they are JSON."""
    device.answers("set", {"status": "executed", "result": {}})
    words = ("node-1", "set", "seconds=30", "name=wide open", "flags=[1,true]")
    assert send(broker, *words)[0] == 0
    assert send(broker, *words, "--ttl", "0", "--id", "again")[0] == 0
    first, second = (device.commands.get(timeout=TIMEOUT_S) for _ in range(2))
    assert set(first) == {"id", "action", "params", "ts", "ttl"}
    assert first["params"] == {"seconds": 30, "name": "wide open", "flags": [1, True]}
    assert len(first["id"]) == 8
    assert first["ttl"] == 60
    assert abs(first["ts"] - time.time()) < TIMEOUT_S
    assert second["id"] == "again"
    assert "ttl" not in second


@pytest.mark.parametrize(
    ("made", "words", "told"),
    [
        ({"result": {"seconds": 5}, "ts": -60}, ("--id", "abc"), True),
        # A minute ahead, as the Command may come that much later on a busy machine.
        ({"result": {"kept": False}, "ts": 60}, ("--id", "abc"), True),
        ({"result": {"seconds": 5}, "ts": 60}, ("--id", "abc"), False),
        ({"result": {"seconds": 5}, "ts": None}, ("--id", "abc"), False),
        # Of a random id there is nothing to remember: its clock is slow.
        ({"result": {"seconds": 5}, "ts": -60}, (), False),
    ],
)
def test_repeated_id_is_told(
    broker: RunningBroker,
    device: ScriptedDevice,
    made: dict[str, Any],
    words: tuple[str, ...],
    told: bool,
) -> None:
    """A Response that is older than its Command is from memory: nothing was done this time."""
    ts = made["ts"] if made["ts"] is None else int(time.time()) + made["ts"]
    device.answers("set_interval", {"status": "executed", **made, "ts": ts})
    code, text = send(broker, "node-1", "set_interval", *words)
    assert code == 0, text
    assert ("from memory" in text) == told
    assert ("was not carried out again" in text) == told


@pytest.mark.parametrize("id", ["é", "x" * 65, "a\nb", "\x7f"])
def test_an_id_that_no_node_reads(broker: RunningBroker, id: str) -> None:
    """It is refused at once, before anything goes out: nobody could answer."""
    code, text = send(broker, "node-1", "ping", "--timeout", "3600", f"--id={id}")
    assert code == 1
    assert "no device answers to that" in text
    assert "Give 1 to 64 letters" in text


@pytest.mark.parametrize(
    ("before_s", "said"), [(-1, ""), (0, ""), (1, "perhaps from memory"), (4, "from memory (")]
)
def test_an_id_that_was_used_just_now(
    before_s: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Within the seconds that clocks may differ by it is told that it may be so (T13)."""
    response = {"id": "abc", "status": "executed", "result": {}, "ts": 1_790_000_000 - before_s}
    assert sending._report(response, 5.0, 1_790_000_000) == 0
    out = capsys.readouterr().out
    assert ("memory" in out) == bool(said)
    assert said in out
    assert sending._report(response, 5.0, None) == 0  # of an id of its own
    assert "memory" not in capsys.readouterr().out


def test_silence_has_a_code_of_its_own(broker: RunningBroker, device: ScriptedDevice) -> None:
    """Without a Response in time the exit code is 6, and the device's last status is told."""
    device.says("status", {"v": 1, "status": "offline", "boot": 7, "reason": "lost"}, retain=True)
    device.answers("ping")
    code, text = send(broker, "node-1", "ping", "--timeout", "0.3")
    assert code == 6
    assert "no Response from node-1 in 0.3 s" in text
    assert "offline reason lost boot 7" in text


def test_only_its_own_response_counts(broker: RunningBroker, device: ScriptedDevice) -> None:
    """A Response with another id, and one that is no JSON object, are passed over."""
    device.answers(
        "ping", {"id": "other", "status": "failed"}, {"status": "executed", "result": {"n": 1}}
    )
    code, text = send(broker, "node-1", "ping")
    assert (code, "n=1" in text) == (0, True), text


def test_unknown_device_is_told_who_exists(broker: RunningBroker) -> None:
    """A device that is not in the set-up: exit code 1, and the names of those that are."""
    code, text = send(broker, "node-9", "ping")
    assert code == 1
    assert "node-9" in text
    assert "node-1, node-2" in text


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("node-1", "ping", "seconds"), 1, "is not key=value"),
        (("node-1", "ping", "--port", "1"), 1, "There is no broker at 127.0.0.1:1"),
        (("node-1", "ping", "--broker", "none.invalid"), 1, "No host is called none.invalid"),
        (("node-1", "ping", "--fleet", "none"), 1, "There is no fleet in none"),
        (("node-1",), 2, "There is no ACTION for node-1"),
        (("node-9", "ping"), 1, "No device is called 'node-9' in "),
    ],
)
def test_what_cannot_be_sent(
    setup: Setup, tmp_path: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    """What cannot be sent is told in words with exit code 1, wrong usage with 2; no traceback."""
    where = () if "--fleet" in words else ("--fleet", setup.layout.root)
    with Tool("send", *words, *where, cwd=tmp_path) as tool:
        assert tool.end() == code
    assert said in tool.text
    assert "Traceback" not in tool.text


def test_finds_the_port_of_a_running_broker(setup: Setup, tmp_path: Path) -> None:
    """A broker of the same set-up on another port than the devices' is found without --port."""
    with (
        EmbeddedBroker(setup.layout.root),
        Tool("send", "node-1", "ping", "--timeout", "0.1", "--fleet", setup.layout.root) as tool,
    ):
        assert tool.end() == 6, tool.text


def test_without_an_action_they_are_listed(setup: Setup, tmp_path: Path) -> None:
    """Each Command of the firmware's one table, with its words; --help names the same ones."""
    with Tool("send", "node-1", "--fleet", setup.layout.root, cwd=tmp_path) as tool:
        assert tool.end() == 2
    with Tool("send", "--help") as help_:
        assert help_.end() == 0
    for name in commands.TABLE:
        assert re.search(rf"^  {name}: \w+ \w+", tool.text, re.M), name
        assert name in help_.text
    assert len(tool.text.splitlines()) == len(commands.TABLE) + 1


def two_places(root: Path, port: int) -> Setup:
    """A set-up whose first device has its broker nowhere, and node-2 on `port` of loopback."""
    made = open_setup(fleet(root))
    made.device(fields("a-node") | {"port": 1})
    made.device(fields("node-2") | {"port": port})
    return made


def test_broker_of_the_named_device(setup: Setup, tmp_path: Path) -> None:
    """`send` and `watch` ask where the named device looks, whichever device is the first one."""
    with EmbeddedBroker(setup.layout.root) as running:
        made = two_places(tmp_path, running.port)
        shutil.copytree(setup.layout.ca, tmp_path / "ca", dirs_exist_ok=True)
        shutil.copytree(setup.layout.operators, tmp_path / "operators", dirs_exist_ok=True)
        where = ("--fleet", made.layout.root)
        with Tool("send", "node-2", "ping", "--timeout", "0.1", *where) as tool:
            assert tool.end() == 6, tool.text
        with Tool("send", "a-node", "ping", *where) as tool:
            assert tool.end() == 1
        assert "There is no broker at 127.0.0.1:1:" in tool.text
        with Tool("watch", "node-2", *where) as tool:
            with pytest.raises(subprocess.TimeoutExpired):
                tool.process.wait(2)
            assert tool.text == ""
        with Tool("watch", "a-node", "node-2", *where) as tool:
            assert tool.end() == 1
        assert "They have different brokers: a-node 127.0.0.1:1, node-2 127.0.0.1" in tool.text


def test_first_broker_that_can_be_had(setup: Setup, tmp_path: Path) -> None:
    """Of several brokers `send` and `watch` take the first that answers, and say so; --broker is
    the one that is meant.
    """
    with EmbeddedBroker(setup.layout.root) as running:
        made = open_setup(fleet(tmp_path))
        more = [f"127.0.0.1:{running.port}"]
        made.device(fields("node-2") | {"port": 1, "more_brokers": more})
        for name in ("ca", "operators"):
            shutil.copytree(
                getattr(setup.layout, name), getattr(made.layout, name), dirs_exist_ok=True
            )
        where = ("--fleet", made.layout.root)
        with Tool("send", "node-2", "ping", "--timeout", "0.1", *where) as tool:
            assert tool.end() == 6, tool.text
        assert "There is no broker at 127.0.0.1:1: Connection refused. Trying" in tool.text
        with Tool("send", "node-2", "ping", "--broker", "127.0.0.1", *where) as tool:
            assert tool.end() == 1
        assert "Trying the next one" not in tool.text
    with Tool("watch", *where) as tool:
        assert tool.end() == 1
    assert f"There is no broker at 127.0.0.1:{running.port}: " in tool.text


def test_running_broker_is_for_those_who_look_there(setup: Setup, tmp_path: Path) -> None:
    """The port of `limpet run`'s broker on loopback is not asked for at another address."""
    made = open_setup(tmp_path)
    made.device(fields("node-1") | {"broker": "192.0.2.10"})
    made.device(fields("node-2"))
    with EmbeddedBroker(tmp_path) as running:
        found = [SetupInfo(tmp_path, name) for name in ("node-1", "node-2")]
    assert [(each.host, each.port) for each in found] == [
        ("192.0.2.10", 8883),
        (LOOPBACK, running.port),
    ]


def test_params() -> None:
    """A value that is JSON is decoded; all else is a string, NaN too, which JSON does not know."""
    assert parse_params(("a=1", "b=x=y", "c=", 'd={"e":[]}', "f=NaN", "g=null")) == {
        "a": 1,
        "b": "x=y",
        "c": "",
        "d": {"e": []},
        "f": "NaN",
        "g": None,
    }
    for wrong in ("seconds", "=3"):
        with pytest.raises(Problem):
            parse_params((wrong,))
