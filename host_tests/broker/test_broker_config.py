"""`limpet broker-config` and `limpet provision` beside it: mosquitto's files, and who is told of
them.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from limpet.brokers import written
from limpet.brokers.broker_config import broker_config
from limpet.brokers.mosquitto import files as mosquitto_files
from limpet.brokers.setup import open_setup
from limpet.brokers.written import write_mosquitto
from limpet.fleet.provision import provision
from limpet.identity import authority, operators, passwords
from limpet.identity.layout import Layout
from limpet.operating.where import SetupInfo
from limpet.shared.problem import Problem
from support.brokers.running import fields
from support.fleets import fleet
from support.tool import limpet

SECRET = "not-to-be-seen-anywhere"  # noqa: S105 - of a device that exists in tests alone
Said = Callable[..., str]


@pytest.fixture(autouse=True)
def dev(tmp_path: Path) -> Path:
    """A fleet without devices."""
    return fleet(tmp_path / "dev")


@pytest.fixture
def said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Said:
    """Run `limpet provision` and return what it printed."""

    def run(*device: str, **options: object) -> str:
        provision(*device, fleet=tmp_path / "dev", **options)  # type: ignore[arg-type]
        return capsys.readouterr().out

    return run


@pytest.fixture
def configured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Said:
    """Run `limpet broker-config mosquitto` and return what it printed."""

    def run(**options: object) -> str:
        broker_config("mosquitto", fleet=tmp_path / "dev", **options)  # type: ignore[arg-type]
        return capsys.readouterr().out

    return run


def listeners(conf: Path) -> list[str]:
    """Return where a mosquitto.conf listens."""
    return re.findall(r"^listener (.*)", conf.read_text(), re.M)


def test_mosquitto_files(tmp_path: Path, said: Said, configured: Said) -> None:
    """The written files name what is there; logins are offered once there is a password."""
    out = tmp_path / "dev"
    conf = out / "broker" / "mosquitto.conf"
    said("node-1", port=18883)
    assert str(conf) in configured()
    text = conf.read_text()
    for word in re.findall(rf"{tmp_path}\S+", text):
        assert Path(word).exists(), word
    assert listeners(conf) == ["18883 127.0.0.1"]
    passwords.set_password(Layout(out), "node-1", SECRET)
    assert f"{conf} asks for no passwords: limpet broker-config mosquitto" in said("node-1")
    assert "asks for passwords on port 18884" in configured()
    assert "asks for" not in said("node-1")
    text = conf.read_text()
    assert text.count("listener ") - text.count("a listener of") == 2
    assert text.count("require_certificate true") == 2
    assert "allow_anonymous false" in text


def test_mosquitto_port_of_a_device_with_a_password(
    tmp_path: Path, said: Said, configured: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told the port that asks for its password; there it stays the next time, and operators,
    who have none, ask on the other one.
    """
    out = tmp_path / "dev"
    monkeypatch.setenv("LIMPET_PASSWORD", SECRET)
    hint = "node-1: mosquitto asks for its password on another port: --port 18884\n"
    said("node-1", port=18883, username="node-1")
    configured()
    assert hint in said("node-1")
    assert "does not listen" not in said("node-1", port=18884)
    again = configured()
    assert "port 18883, with TLS" in again
    assert "It asks for passwords on port 18884." in again
    assert "another port" not in said("node-1")
    where = ["18883 127.0.0.1", "18884 127.0.0.1"]
    assert listeners(out / "broker" / "mosquitto.conf") == where
    assert open_setup(out).config("node-1").port == 18884
    assert SetupInfo(out, "node-1").port == 18883


@pytest.mark.parametrize(
    ("broker", "listens"),
    [
        ("192.0.2.10", "8883 192.0.2.10"),
        ("fd00::1", "8883 fd00::1"),
        ("localhost", "8883 localhost"),
        # What it means where the broker runs, /etc/hosts decides: often 127.0.1.1.
        ("broker.example", "8883"),
    ],
)
def test_mosquitto_listens_where_the_device_looks(
    tmp_path: Path, said: Said, configured: Said, broker: str, listens: str
) -> None:
    """Not on loopback: on the device's address and port, also when they were said long before."""
    said("node-2", broker=[broker])
    configured()
    assert listeners(tmp_path / "dev/broker/mosquitto.conf") == [listens]
    assert list(Layout(tmp_path / "dev").bases()) == ["node-2"]


def test_mosquitto_listens_for_all_devices(tmp_path: Path, said: Said, configured: Said) -> None:
    """Who looks elsewhere is told at once; written anew it is for both, on all addresses."""
    conf = tmp_path / "dev/broker/mosquitto.conf"
    said("node-1")
    configured()
    assert f"{conf} does not listen on 192.0.2.10:8883: " in said("node-2", broker=["192.0.2.10"])
    assert listeners(conf) == ["8883 127.0.0.1"]
    assert "on all addresses, port 8883" in configured()
    assert listeners(conf) == ["8883"]
    for device in ("node-1", "node-2"):
        assert "does not listen" not in said(device)
    # One that runs by `limpet run` on a port of its own is none of mosquitto's.
    said("node-3", port=40000)
    configured()
    assert listeners(conf) == ["8883"]


def test_mosquitto_is_told_of_new_devices(tmp_path: Path, said: Said, configured: Said) -> None:
    """Its ACL, where there is one, follows the registry, another organisation included; that it has
    to be read again is said, and only then.
    """
    acl = tmp_path / "dev/broker/acl"
    assert "have mosquitto read it" not in said("node-1")
    assert not acl.exists()
    configured()
    assert "topic write farm/" not in acl.read_text()
    assert f"{acl} has changed; have mosquitto read it (restart it)" in said("node-2", org="farm")
    assert "user node-2\ntopic write farm/home/desk/climate/node-2/telemetry\n" in acl.read_text()
    assert "topic read farm/#" in acl.read_text()
    assert "have mosquitto read it" not in said("node-2")
    assert "have mosquitto read it" in said("node-2", zone="hall")


def test_mosquittos_rules_follow_the_registry(tmp_path: Path) -> None:
    """Whichever tool changes it: at a new device, at a new place, and at the next start after the
    registry was edited by hand.
    """
    made = open_setup(tmp_path / "dev")
    made.device(fields("node-1"))
    write_mosquitto(made.layout, "127.0.0.1", 8883)
    acl = made.layout.broker / mosquitto_files.ACL
    assert not made.rules_renewed
    made.device(fields("node-2"))
    assert made.rules_renewed
    assert "\nuser node-2\n" in acl.read_text()
    made.change("node-2", {"zone": "hall"})
    assert "topic write limpet/home/hall/climate/node-2/telemetry\n" in acl.read_text()
    made.layout.registry.write_text(json.dumps({"node-1": made.layout.bases()["node-1"]}))
    assert open_setup(tmp_path / "dev").rules_renewed
    assert "node-2" not in acl.read_text()
    assert not open_setup(tmp_path / "dev").rules_renewed


def test_mosquitto_is_told_of_other_secrets(
    tmp_path: Path, said: Said, configured: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So is a new certificate of its own and a password: it goes on with the old till a restart."""
    broker = tmp_path / "dev/broker"

    def renewed(**options: Any) -> list[str]:
        return re.findall(r"^(.*) has changed; have mosquitto read it", said(**options), re.M)

    monkeypatch.setenv("LIMPET_PASSWORD", SECRET)
    assert renewed(server_name=["one.example"]) == []
    assert renewed(username="node-1") == []
    configured()
    assert renewed(server_name=["three.example"]) == [str(broker / "server.crt")]
    assert renewed(username="node-1") == [str(broker / "passwords")]
    assert renewed() == []


def test_mosquitto_acl_is_by_name(said: Said, configured: Said, tmp_path: Path) -> None:
    """No pattern that any certificate of the CA would fit; who leaves the registry leaves it."""
    said("node-1")
    configured()
    said("node-2")
    acl, registry = tmp_path / "dev/broker/acl", Layout(tmp_path / "dev").registry
    assert not re.search(r"^pattern|%[uc]|^topic (?!read|write)", acl.read_text(), re.M)
    users = re.findall(r"^user (\S+)$", acl.read_text(), re.M)
    assert users == ["node-1", "node-2", *operators.NAMES]
    registry.write_text(json.dumps({"node-2": Layout(tmp_path / "dev").bases()["node-2"]}))
    assert "have mosquitto read it" in said("node-2")
    assert "node-1" not in acl.read_text()


def test_what_was_chosen_stays(said: Said, configured: Said, tmp_path: Path) -> None:
    """Address, port and size that were said once are those of the next time; an address goes into
    the broker's certificate; a device that looks elsewhere is told so.
    """
    conf = tmp_path / "dev/broker/mosquitto.conf"
    said("node-1")
    text = configured(listen="127.0.0.2", port=18883, devices=300)
    assert "sized for 300 devices: 367 connections" in text
    assert "It listens on 127.0.0.2, port 18883" in text
    certificate = authority.load_certificate(Layout(tmp_path / "dev").server_certificate)
    assert "127.0.0.2" in authority.names(certificate)
    configured()
    assert listeners(conf) == ["18883 127.0.0.2"]
    assert "# Sized for 300 devices," in conf.read_text()
    again = "limpet broker-config mosquitto --listen 0.0.0.0"
    assert f"{conf} does not listen on 127.0.0.1:8883: {again}" in said("node-1")
    configured(listen="0.0.0.0", port=8883)
    assert listeners(conf) == ["8883"]
    assert "does not listen" not in said("node-1")


@pytest.mark.parametrize("listen", ["here", "127.0.0.1:8883", "", "10.0.0.0/8", "localhost"])
def test_only_addresses_can_be_listened_on(configured: Said, listen: str) -> None:
    """A name means one thing here and another where the device asks."""
    with pytest.raises(Problem, match="this is no address"):
        configured(listen=listen)


def test_more_devices_than_it_is_sized_for(said: Said, configured: Said) -> None:
    """It is said when the fleet has outgrown the limits; written anew it has room again."""
    said("node-1")
    configured(devices=1)
    grown = "is sized for 1 device, and there are 2: limpet broker-config mosquitto"
    assert grown in said("node-2")
    assert "sized for 50 devices" in configured()
    assert "is sized for" not in said("node-3")


def test_files_elsewhere(said: Said, configured: Said, tmp_path: Path) -> None:
    """--out makes a folder with all that mosquitto needs, for another machine. It is not touched
    when the registry changes, and the fleet says that it is old.
    """
    said("node-1")
    out = tmp_path / "out"
    configured(out=out)
    names = {path.name for path in out.iterdir()}
    conf = (out / "mosquitto.conf").read_text()
    assert not (tmp_path / "dev/broker/mosquitto.conf").exists()
    assert names >= {"acl", "ca.crt", "crl.pem", "server.crt", "server.key", "mosquitto"}
    assert str(tmp_path / "dev") not in conf
    assert {oct(path.stat().st_mode & 0o777) for path in out.iterdir()} == {"0o600", "0o700"}
    assert (
        "registry" not in limpet("fleet", "list", "--offline", "--fleet", tmp_path / "dev").stdout
    )
    said("node-2")
    listed = limpet("fleet", "list", "--offline", "--fleet", tmp_path / "dev").stdout
    assert f"{out / 'acl'} does not match the registry" in listed
    assert f"limpet broker-config mosquitto --out {out}" in listed
    configured(out=out)
    assert "user node-2" in (out / "acl").read_text()
    assert (
        "registry" not in limpet("fleet", "list", "--offline", "--fleet", tmp_path / "dev").stdout
    )


def test_another_broker_is_told_of_a_new_device(dev: Path, said: Said) -> None:
    """Its files follow the registry as mosquitto's do, and what to do is said once."""
    said("node-1")
    broker_config("nats", fleet=dev)
    text = said("node-2")
    assert f"{dev / 'broker/nats'} has changed: have nats read them anew" in text
    assert "has changed" not in said("node-2")
    assert "node-2" in "".join(
        path.read_text() for path in (dev / "broker/nats").iterdir() if path.is_file()
    )


def test_the_fleets_own_folder_is_not_elsewhere(
    said: Said, configured: Said, tmp_path: Path
) -> None:
    """Who names it with --out gets files that follow the registry, as without."""
    said("node-1")
    configured(out=tmp_path / "dev/broker")
    said("node-2")
    assert "user node-2" in (tmp_path / "dev/broker/acl").read_text()


def test_a_fleet_that_was_moved(said: Said, configured: Said, tmp_path: Path) -> None:
    """Its configuration names the folder of before; that is said, and what to do."""
    said("node-1")
    configured()
    (tmp_path / "dev").rename(tmp_path / "moved")
    done = limpet("provision", "node-1", "--fleet", tmp_path / "moved")
    conf = tmp_path / "moved/broker/mosquitto.conf"
    assert f"{conf} names files of another folder: limpet broker-config mosquitto" in done.stdout
    limpet("broker-config", "mosquitto", "--fleet", tmp_path / "moved")
    done = limpet("provision", "node-1", "--fleet", tmp_path / "moved")
    assert "another folder" not in done.stdout
    assert str(tmp_path / "dev") not in conf.read_text()


@pytest.mark.parametrize("kind", ["mosquitto", "emqx", "aws"])
def test_a_fleet_without_devices(kind: Literal["mosquitto", "emqx", "aws"], dev: Path) -> None:
    """It can be configured before the first device is there: operators get in, and hear nothing."""
    broker_config(kind, fleet=dev)
    assert [each.kind for each in written.records(Layout(dev))] == [kind]


def test_a_folder_that_cannot_be_written(said: Said, configured: Said, tmp_path: Path) -> None:
    """It is named, and nothing is noted."""
    said("node-1")
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", Path("/dev/null")):
        with pytest.raises(Problem, match=f"--out {out}: this is no folder"):
            configured(out=out)
    with pytest.raises(NotADirectoryError, match="file"):
        configured(out=tmp_path / "file" / "below")
    assert written.records(Layout(tmp_path / "dev")) == []


def test_json(said: Said, configured: Said, tmp_path: Path) -> None:
    """What a program may want to know of it."""
    said("node-1")
    found = json.loads(configured(as_json=True))
    assert (found["listen"], found["port"], found["limits"]["devices"]) == ("127.0.0.1", 8883, 50)
    assert [Path(each).name for each in found["files"]] == [
        "mosquitto.conf",
        "acl",
        "limpet-broker.service",
    ]
    assert all(Path(each).is_file() for each in found["files"])
    assert len(found["start"]) == 3
    assert found["registry"] in (tmp_path / "dev/broker/acl").read_text()


def test_a_list_of_files_that_is_none(configured: Said, tmp_path: Path) -> None:
    """A damaged note is named, and nothing is written over."""
    (tmp_path / "dev/broker").mkdir(exist_ok=True)
    for text in ("", "{", '{"v":1}', '{"v":1,"files":[{"kind":1}]}', "[" * 9999):
        (tmp_path / "dev/broker/written.json").write_text(text)
        with pytest.raises(Problem, match=r"written\.json is no list of files"):
            configured()


def test_a_unit_of_any_path(said: Said, tmp_path: Path) -> None:
    """systemd's own signs in a path mean themselves; systemd-analyze reads it, if there is one."""
    root = fleet(tmp_path / "100% $HOME of ours")
    provision("node-1", fleet=root)
    broker_config("mosquitto", fleet=root)
    unit = root / "broker/limpet-broker.service"
    text = unit.read_text()
    assert '"' + str(root).replace("%", "%%").replace("$", "$$") + "/broker/mosquitto.conf" in text
    assert "NoNewPrivileges=yes" in text
    if program := shutil.which("systemd-analyze"):
        done = subprocess.run([program, "verify", unit], capture_output=True, text=True, timeout=60)
        wrong = [each for each in done.stderr.splitlines() if "is not executable" not in each]
        assert wrong == []
