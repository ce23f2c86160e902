"""A broker whose files are by the rules of before: what it does, and who says so."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from limpet.brokers import age, plan, rules, written
from limpet.brokers.mosquitto.renderer import UNIT
from limpet.brokers.setup import open_setup
from limpet.brokers.written import Written, write_mosquitto
from limpet.deploying import deploy
from limpet.identity.layout import Layout
from limpet.identity.provisioning import Setup
from limpet.identity.registry import OPERATORS, Role
from limpet.shared.firmware import topics
from support.brokers import old_rules
from support.brokers.mosquitto import Mosquitto
from support.brokers.mqtt_client import Client
from support.brokers.running import RunningBroker, base, fields
from support.fleets import fleet
from support.tool import limpet

CONSUMERS: dict[str, Role] = dict.fromkeys(OPERATORS, "operate")
EACH_ROLE: dict[str, Role] = {role: role for role in get_args(Role)}
LIVE = f"{base()}/{topics.TELEMETRY}"
BACKLOG = f"{base()}/{topics.BACKLOG}"


@pytest.fixture
def mosquitto(setup: Setup) -> Iterator[RunningBroker]:
    """Run mosquitto, whatever BROKER names."""
    running = Mosquitto(setup)
    running.start()
    yield running
    running.close()


def heard(operator: Client, device: Client) -> list[bytes]:
    """Let the device say something in both ways, each acknowledged; what of it came, in order."""
    seen = len(operator.messages)
    device.publish(BACKLOG, "late")
    device.publish(LIVE, "live")
    operator.wait_for("#", lambda message: message in operator.messages[seen:] and is_live(message))
    return [message.payload for message in operator.messages[seen:]]


def is_live(message: object) -> bool:
    """Whether it is what `heard` says last."""
    return getattr(message, "payload", b"") == b"live"


def test_mosquitto_acknowledges_and_drops_what_its_acl_lacks(
    mosquitto: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the ACL of before, telemetry/backlog is acknowledged and dropped, and not echoed, although
    the subscription is granted; by the one of now, read at a restart, it arrives and is echoed.
    """
    old_rules.put_back(mosquitto, monkeypatch)
    operator, device = mosquitto.operator(), mosquitto.client().connect()
    device.subscribe(BACKLOG)
    assert heard(operator, device) == [b"live"]
    assert device.messages == []
    assert written.refresh(mosquitto.setup.layout)
    mosquitto.reload()
    operator, device = mosquitto.operator(), mosquitto.client().connect()
    device.subscribe(BACKLOG)
    assert heard(operator, device) == [b"late", b"live"]
    assert device.wait_for(BACKLOG).payload == b"late"


def test_by_the_rules_of_before(broker: RunningBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    """What other tests take for such a broker drops the topic of now, of either kind."""
    old_rules.put_back(broker, monkeypatch)
    operator, device = broker.operator(), broker.client().connect()
    assert heard(operator, device) == [b"live"]


def test_a_device_hears_its_own_backlog(broker: RunningBroker) -> None:
    """So it sees that the topic is heard; another device's it neither hears nor says."""
    device, other = broker.client().connect(), broker.client("node-2").connect()
    assert device.subscribe(BACKLOG) == 1
    other.publish(BACKLOG, "forged")
    device.publish(BACKLOG, "own")
    assert device.wait_for("#").payload == b"own"


def test_another_list_has_another_number() -> None:
    """Who changes the list of rights counts VERSION up, and enters the list's hash here."""
    bases = {"node-1": base("node-1")}
    rights = [repr(rules.grant(name, bases, EACH_ROLE)) for name in ("node-1", *EACH_ROLE)]
    found = {rules.VERSION: hashlib.sha256("".join(rights).encode()).hexdigest()[:16]}
    assert found == {3: "a0bc095a764ec4b4"}


def test_the_acl_says_its_version() -> None:
    """Those of before said none, which is the first."""
    bases = {"node-1": base("node-1")}
    assert plan.rules_of(old_rules.acl(bases)) == 1


@pytest.fixture
def outdated(tmp_path: Path) -> Layout:
    """A fleet with one device and mosquitto's files, its ACL by the rules of before."""
    made = open_setup(fleet(tmp_path / "fleet"))
    made.device(fields("node-1") | {"wifi_ssid": "net"})
    write_mosquitto(made.layout, "127.0.0.1", 8883)
    (made.layout.broker / "acl").write_text(old_rules.acl(made.layout.bases()))
    return made.layout


def words(layout: Layout) -> str:
    """Return what is said of it."""
    return (
        f"{layout.broker / 'acl'} is by rules 1, and this limpet has rules 3. A broker that reads "
        "it acknowledges and drops what is new in them; nodes notice that, and lose no Reading. "
        "What is new, and who has to know of it first: docs/upgrading.md. Make it anew: limpet "
        f"broker-config mosquitto --fleet {layout.root}; then have the broker read its files anew: "
        "sudo systemctl restart limpet-broker (no reload, no SIGHUP)\n"
    )


def test_the_list_of_devices_says_it(outdated: Layout) -> None:
    """Below the table; beside JSON on standard error. What it tells to do mends it."""
    done = limpet("fleet", "list", "--offline", "--fleet", outdated.root)
    assert done.stdout.endswith("\n" + words(outdated))
    done = limpet("fleet", "list", "--offline", "--json", "--fleet", outdated.root)
    assert (len(json.loads(done.stdout)), done.stderr) == (1, words(outdated))

    done = limpet("provision", "node-1", "--fleet", outdated.root)
    acl = outdated.broker / "acl"
    assert f"{acl} was by rules 1, and is by rules 3 now\n" in done.stdout
    assert f"{acl} has changed; have mosquitto read it (restart it)\n" in done.stdout
    for command in (("fleet", "list", "--offline"), ("provision", "node-1")):
        done = limpet(*command, "--fleet", outdated.root)
        assert "rules" not in done.stdout + done.stderr


def test_a_deploy_says_it(outdated: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    """When it looks for the device's files, before anything is sent."""
    deploy._folder(outdated.root, None)
    assert words(outdated) in capsys.readouterr().out


def test_the_embedded_broker_says_it(outdated: Layout) -> None:
    """Although it goes by the rules themselves: the file is for a mosquitto of the same fleet."""
    line = ["broker", "--port", "0", "--fleet", str(outdated.root)]
    program = [sys.executable, "-c", "from limpet.cli import main; main()", *line]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline().startswith("broker on 127.0.0.1:")
            assert process.stdout.readline() == words(outdated)
        finally:
            process.send_signal(signal.SIGTERM)


def test_without_files_there_is_nothing_to_say(tmp_path: Path) -> None:
    """A fleet that has no mosquitto, and one without devices."""
    made = open_setup(fleet(tmp_path / "fleet"))
    assert "rules" not in limpet("fleet", "list", "--offline", "--fleet", made.layout.root).stdout
    made.device(fields("node-1"))
    assert "rules" not in limpet("fleet", "list", "--offline", "--fleet", made.layout.root).stdout


def test_a_unit_of_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One that can be reloaded is named, here and where --out has put it; not one of now."""
    setup = open_setup(fleet(tmp_path / "fleet"))
    setup.device(fields("node-1"))
    layout = setup.layout
    for folder in ("", str(tmp_path / "out")):
        written.write(layout, Written("mosquitto", folder, "", 8883, 50))
    assert age.told(layout) == []
    for unit in (layout.broker / UNIT, tmp_path / "out" / UNIT):
        unit.write_text(unit.read_text().replace("[Install]", "ExecReload=/bin/kill\n\n[Install]"))
    units = [cause.split()[0] for cause, _ in age.told(layout)]
    assert units == [str(layout.broker / UNIT), str(tmp_path / "out" / UNIT)]
    age.tell(layout)
    said = capsys.readouterr().out
    assert "has ExecReload" in said
    assert f"--out {tmp_path / 'out'}" in said
    assert "sudo systemctl daemon-reload" in said
