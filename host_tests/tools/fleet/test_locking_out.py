"""`limpet fleet` revoke, renew, decommission, and who was seen, with brokers that run."""

from __future__ import annotations

import json
import shutil
import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key
from limpet.brokers.embedded.broker import EmbeddedBroker
from limpet.brokers.kinds import KINDS
from limpet.brokers.setup import open_setup
from limpet.brokers.written import Written, write, write_mosquitto
from limpet.fleet import locking_out, retained, retiring
from limpet.fleet.seen import LIMIT_S, statuses
from limpet.identity import device_config
from limpet.identity.authority import Identity, load_certificate
from limpet.identity.layout import Layout, announced
from limpet.shared.problem import Problem
from support.brokers.kinds import of_kind
from support.brokers.mqtt_client import Client, Refused
from support.brokers.running import RunningBroker, base, fields
from support.fleets import fleet
from support.tool import limpet

STATUS = f"{base('leaver')}/status"
BIRTH = {"v": 1, "status": "online", "boot": 1, "session": 1}


@pytest.fixture(params=["amqtt", "mosquitto"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningBroker]:
    """Run a broker of each kind, for a fleet of two devices that look for it where it is."""
    made = open_setup(fleet(tmp_path / "fleet"))
    running = of_kind(request.param, made)
    for name in ("leaver", "node-1"):
        made.device(fields(name))
    running.start()
    for name in ("leaver", "node-1"):
        made.change(name, {"port": running.port})
    yield running
    running.close()


def device(broker: RunningBroker, name: str = "leaver") -> Client:
    """Return a client with the certificate that the device has now."""
    folder = broker.setup.layout.device(name)
    key = load_der_private_key((folder / "key.der").read_bytes(), None)
    certificate = load_certificate(folder / "cert.der")
    return broker.client(name, identity=Identity(cast(EllipticCurvePrivateKey, key), certificate))


def test_revoke_and_renew(either: RunningBroker) -> None:
    """By the commands, with a session open meanwhile; each says what mosquitto has to be told."""
    root = either.setup.layout.root
    live = device(either).connect()
    alone = limpet("fleet", "revoke", "leaver", "--fleet", root)
    assert alone.returncode == 1
    assert "There is nobody to ask. Nothing was revoked." in alone.stderr
    done = limpet("fleet", "revoke", "leaver", "--yes", "--fleet", root)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("leaver: revoked\n")
    either.reload()
    if either.kind == "amqtt":
        assert "A session of leaver that is open ends." in done.stdout
        live.wait_closed()
    else:
        assert "systemctl restart limpet-broker" in done.stdout
    with pytest.raises(Refused):
        device(either).connect()
    (said,) = [each for each in listed(root) if each["device"] == "leaver"]
    assert said["revoked"]
    table = limpet("fleet", "list", "--offline", "--fleet", root).stdout
    assert [line.split()[-1] for line in table.splitlines()[2:4]] == ["revoked", "-"]
    done = limpet("fleet", "renew", "leaver", "--fleet", root)
    assert done.returncode == 0, done.stderr
    assert "limpet deploy BOARD --device leaver" in done.stdout
    either.reload()
    device(either).connect()


def listed(root: Path) -> list[dict[str, object]]:
    """Return what `list --json` says without a broker."""
    done = limpet("fleet", "list", "--json", "--offline", "--fleet", root)
    found: list[dict[str, object]] = json.loads(done.stdout)
    return found


def test_decommission(either: RunningBroker) -> None:
    """What is retained of it is gone, whoever had said it, and nobody lets it in; its folder stays.
    Another's stays as it is.
    """
    layout = either.setup.layout
    for name in ("leaver", "node-1"):
        said = device(either, name).connect()
        said.publish(f"{base(name)}/status", BIRTH, retain=True)
        said.close()
    operator = either.operator(None)
    operator.publish(f"{base('leaver')}/config/desired", "{}", retain=True)
    done = limpet("fleet", "decommission", "leaver", "--yes", "--fleet", layout.root)
    assert done.returncode == 0, done.stderr
    assert f"leaver: cleared {base('leaver')}/config/desired, {STATUS}\n" in done.stdout
    assert layout.device("leaver").is_dir()
    either.reload()
    with pytest.raises(Refused):
        device(either).connect()
    operator = either.operator("limpet/#")
    operator.wait_for(f"{base('node-1')}/status")
    assert operator.seen(f"{base('leaver')}/#") == []


def test_decommission_of_who_was_revoked(
    either: RunningBroker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A broker that follows the registry takes its word for a moment; one that does not is named,
    and who was revoked stays so.
    """
    layout = either.setup.layout
    said = device(either).connect()
    said.publish(STATUS, BIRTH, retain=True)
    said.close()
    locking_out.revoke("leaver", yes=True, fleet=layout.root)
    either.reload()
    monkeypatch.setattr(retained, "FOLLOW_S", 60.0 if either.kind == "amqtt" else 0.0)
    capsys.readouterr()
    if either.kind == "amqtt":
        retiring.decommission("leaver", yes=True, fleet=layout.root, as_json=True)
        found = json.loads(capsys.readouterr().out)
        assert (found["retired"], found["cleared"], found["left"]) == ("leaver", [STATUS], [])
    else:
        with pytest.raises(Problem, match="leaver was revoked before"):
            retiring.decommission("leaver", yes=True, fleet=layout.root)
    assert "leaver" not in layout.bases()
    with pytest.raises(Refused):
        device(either).connect()
    operator = either.operator("limpet/#")
    if either.kind == "mosquitto":
        assert operator.wait_for(STATUS).retain


def test_who_is_advised(either: RunningBroker, capsys: pytest.CaptureFixture[str]) -> None:
    """While `limpet broker` runs, nobody is told to restart a service, whatever was written."""
    layout = either.setup.layout
    write_mosquitto(layout, "", 8883)
    with announced(layout, "127.0.0.1", either.port):
        locking_out.revoke("leaver", yes=True, fleet=layout.root, as_json=True)
        said = json.loads(capsys.readouterr().out)
    (step,) = said["to_do"]
    assert step.startswith("The broker that runs goes by the new files within a second.")
    assert (said["revoked"], said["before"]) == (["leaver"], [])


def test_who_is_online(either: RunningBroker) -> None:
    """By the retained status, in list and in show; of one that never was there nothing is known."""
    root = either.setup.layout.root
    device(either).connect().publish(STATUS, BIRTH, retain=True)
    done = limpet("fleet", "list", "--json", "--fleet", root)
    assert (done.returncode, done.stderr) == (0, "")
    found = {each["device"]: each["status"] for each in json.loads(done.stdout)}
    assert found == {"leaver": BIRTH, "node-1": None}
    table = limpet("fleet", "list", "--fleet", root).stdout
    assert [line.split()[-1] for line in table.splitlines()[2:4]] == ["online", "-"]
    said = json.loads(limpet("fleet", "show", "leaver", "--json", "--fleet", root).stdout)
    assert said["status"] == BIRTH


def test_without_a_broker_the_rest_still_comes(tmp_path: Path) -> None:
    """One that is not there is said at once, one that says nothing after LIMIT_S."""
    made = open_setup(fleet(tmp_path / "fleet"))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        made.device(fields("node-1") | {"port": silent.getsockname()[1]})
        begun = time.monotonic()
        found, (fault,) = statuses(made.layout, ["node-1"])
        took = time.monotonic() - begun
    assert found == {}
    assert "has not answered within 5 s" in fault
    assert took < 3 * LIMIT_S
    done = limpet("fleet", "list", "--fleet", made.layout.root)
    assert done.returncode == 0
    assert "Who is online is not known: There is no broker at 127.0.0.1:" in done.stdout
    assert "\nnode-1 " in done.stdout
    with pytest.raises(Problem, match="There is no broker"):
        retiring.decommission("node-1", yes=True, fleet=made.layout.root)
    assert "node-1" in made.layout.bases()


def test_renew_of_what_is_due(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without names: what ends within 30 days, or has; not who is revoked, and not the rest."""
    made = open_setup(fleet(tmp_path / "fleet"))
    layout: Layout = made.layout
    for name, days in (("a", 29), ("b", 31), ("c", -1), ("d", 5)):
        made.device(fields(name))
        short = made.authority.client(name, valid=timedelta(days=days))
        for file, data in made.authority.credentials(short).items():
            (layout.device(name) / file).write_bytes(data)
    made.revoke("d")

    def ends() -> dict[str, bytes]:
        return {name: (layout.device(name) / "cert.der").read_bytes() for name in "abcd"}

    before = ends()
    locking_out.renew(fleet=layout.root)
    assert [name for name, data in ends().items() if data != before[name]] == ["a", "c"]
    assert "new keys and certificates: a, c\n" in capsys.readouterr().out
    locking_out.renew(fleet=layout.root)
    assert "new keys and certificates: none due\n" in capsys.readouterr().out
    locking_out.renew(all_=True, fleet=layout.root)
    assert "new keys and certificates: a, b, c\n" in capsys.readouterr().out


def test_what_a_renewal_is_to_a_broker(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing: no byte changes of what any kind reads, and nobody is told to restart one; but for
    who was locked out, and is back.
    """
    made = open_setup(fleet(tmp_path / "fleet"))
    layout = made.layout
    for name in ("a", "b"):
        made.device(fields(name))
    for kind in KINDS:
        write(layout, Written(kind, "", "", 8883, 50))

    def files() -> dict[Path, bytes]:
        found = (path for path in layout.broker.rglob("*") if path.is_file())
        return {path: path.read_bytes() for path in found if path != layout.registry}

    def to_do(*names: str) -> list[str]:
        capsys.readouterr()
        locking_out.renew(*names, fleet=layout.root, as_json=True)
        found: list[str] = json.loads(capsys.readouterr().out)["to_do"]
        return found

    before = files()
    assert len(before) > len(KINDS)
    assert to_do("a", "b") == []
    assert files() == before
    made.revoke("a")
    assert len(to_do("a")) == len(KINDS)


def test_names_that_are_none(tmp_path: Path) -> None:
    """Nothing is done to the others that are named beside them."""
    made = open_setup(fleet(tmp_path / "fleet"))
    for name in ("a", "b"):
        made.device(fields(name))
    with pytest.raises(Problem, match="No device is called 'x'"):
        locking_out.revoke("a", "x", yes=True, fleet=made.layout.root)
    assert made.layout.bases().keys() == {"a", "b"}
    shutil.rmtree(made.layout.device("b"))
    with pytest.raises(Problem, match=r"There is no .*/b\."):
        locking_out.renew("a", "b", fleet=made.layout.root)
    locking_out.revoke("a", "b", "a", yes=True, fleet=made.layout.root)
    assert made.layout.bases() == {}
    assert device_config.there(made.layout.device("a"))


def test_the_broker_s_own_certificate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is renewed with the devices', 60 days ahead; the broker that runs is to start anew."""
    made = open_setup(fleet(tmp_path / "fleet"))
    layout = made.layout
    short = made.authority.server(["localhost", "127.0.0.1", "::1"], valid=timedelta(days=59))
    layout.server_key.write_bytes(short.key_pem())
    layout.server_certificate.write_bytes(short.pem())
    with EmbeddedBroker(layout.root):
        locking_out.renew(fleet=layout.root)
    said = capsys.readouterr().out
    assert "broker: new certificate" in said
    assert "restart `limpet broker`" in said
    locking_out.renew(fleet=layout.root)
    assert "broker: none due" in capsys.readouterr().out
