"""`limpet fleet list`, `show` and `remove`."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from limpet.brokers.embedded.broker import EmbeddedBroker
from limpet.brokers.setup import open_setup
from limpet.brokers.written import write_mosquitto
from limpet.fleet import devices, locking_out
from limpet.identity import passwords
from limpet.identity.layout import Layout
from limpet.identity.provisioning import Setup
from limpet.shared.problem import Problem, there_is
from support.brokers.running import fields
from support.fleets import fleet
from support.tool import LIMPET, Tool, limpet

SECRET = "not-to-be-seen"  # noqa: S105 - of a device that exists in tests alone
WIFI = {"wifi_ssid": "café", "wifi_password": SECRET}


@pytest.fixture
def made(tmp_path: Path) -> Setup:
    """A fleet of two devices: one with a login and Wi-Fi, one on this PC."""
    setup = open_setup(fleet(tmp_path / "fleet"))
    setup.device(fields("node-1"))
    board = {"broker": "192.168.1.7", "username": "node-2", "password": SECRET} | WIFI
    setup.device(fields("node-2") | board)
    return setup


def listed(root: Path) -> list[dict[str, Any]]:
    """Return what `list --json` says."""
    done = limpet("fleet", "list", "--json", "--offline", "--fleet", root)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_list(made: Setup) -> None:
    """Place, broker and certificate of each device, in a table and as JSON."""
    root = made.layout.root
    done = limpet("fleet", "list", "--offline", "--fleet", root)
    lines = done.stdout.splitlines()
    assert lines[0] == f"fleet {root}"
    assert re.split(r"  +", lines[1]) == [
        *("device", "topics below", "broker", "certificate until", "seen")
    ]
    until = r"20\d\d-\d\d-\d\d"
    assert re.fullmatch(
        rf"node-1  limpet/home/desk/climate/node-1  127\.0\.0\.1:8883 +{until} +-", lines[2]
    )
    assert re.fullmatch(
        rf"node-2  limpet/home/desk/climate/node-2  192\.168\.1\.7:8883 +{until} +-", lines[3]
    )
    one, two = listed(root)
    assert re.fullmatch(rf"{until}T\d\d:\d\d:\d\dZ", one.pop("expires"))
    assert re.fullmatch(rf"{until}T\d\d:\d\d:\d\dZ", one.pop("added"))
    assert one == {
        "device": "node-1",
        "auth": "mtls",
        "revoked": None,
        "base": "limpet/home/desk/climate/node-1",
        "broker": "127.0.0.1",
        "port": 8883,
        "more_brokers": [],
        "wifi": None,
        "login": False,
        "problem": None,
    }
    assert two["auth"] == "password"
    assert (two["wifi"], two["login"]) == ("café", True)


def test_list_of_none(tmp_path: Path) -> None:
    """A fleet without devices says how to make one; no fleet is said as everywhere."""
    root = fleet(tmp_path / "fleet")
    assert "No devices yet: limpet provision node-1" in limpet("fleet", "list", cwd=root).stdout
    assert listed(root) == []
    none = limpet("fleet", "list", cwd=tmp_path, XDG_DATA_HOME=str(tmp_path / "data"))
    assert none.returncode == 1
    assert none.stderr.startswith("limpet: There is no fleet: no limpet.toml in the working")


def test_list_says_what_is_wrong(made: Setup) -> None:
    """One folder that is broken, gone, or in no registry does not hide the others."""
    layout = made.layout
    (layout.device("node-1") / "identity.json").write_text("{")
    made.device(fields("node-3"))
    shutil.rmtree(layout.device("node-3"))
    made.device(fields("node-4"))
    with layout.edited() as registry:
        del registry.devices["node-4"]
    (layout.devices / ".node-5.abcdefgh").mkdir()  # which a cut has left
    found = {each["device"]: each["problem"] for each in listed(layout.root)}
    assert found.keys() == {"node-1", "node-2", "node-3", "node-4"}
    assert "would be refused by the node" in found["node-1"]
    assert found["node-2"] is None
    assert found["node-3"] == "There is no device node-3."
    assert found["node-4"] == "It is not in the registry: no broker lets it in."
    table = limpet("fleet", "list", "--offline", "--fleet", layout.root).stdout
    assert "\n    There is no device node-3.\n" in table


def test_show(made: Setup) -> None:
    """All of its config but passwords, in words and as JSON."""
    words = ("fleet", "show", "node-2", "--offline", "--fleet", made.layout.root)
    done = limpet(*words)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("node-2: limpet/home/desk/climate/node-2\n")
    assert "  broker       192.168.1.7:8883, by its certificate and a password\n" in done.stdout
    assert re.search(r"^  certificate  until 20\d\d-\d\d-\d\d$", done.stdout, re.MULTILINE)
    assert f"  folder       {made.layout.device('node-2')}\n" in done.stdout
    assert re.search(r"^  wifi_ssid +café$", done.stdout, re.MULTILINE)
    assert re.search(r"^  wifi_password +\(not shown\)$", done.stdout, re.MULTILINE)
    assert "{" not in done.stdout
    config = json.loads(limpet(*words, "--json").stdout)["config"]
    assert config["broker"] == "192.168.1.7"
    assert config["password"] == "(not shown)"  # noqa: S105 - which is what is tested
    assert SECRET not in done.stdout + limpet(*words, "--json").stdout
    unknown = limpet("fleet", "show", "node-9", "--fleet", made.layout.root)
    assert unknown.returncode == 1
    assert "No device is called 'node-9' in the fleet" in unknown.stderr
    assert "There is: node-1, node-2." in unknown.stderr


def test_of_a_thousand_a_few_are_named() -> None:
    """A mistyped name brings those that it may have meant, not the whole fleet."""
    many = [f"plant-{n:04}" for n in range(1, 1001)]
    said = there_is(many, "plnt-0417")
    assert said.startswith("There is: plant-0417, ")
    assert said.endswith(" and 992 more.")
    assert there_is(many, "x").startswith("There is: plant-0001, plant-0002, ")
    assert there_is(many[:2], "x") == "There is: plant-0001, plant-0002."
    assert there_is([], "x") == "There is: none."


def test_remove(made: Setup) -> None:
    """It is out of the registry, the password file and mosquitto's acl, and its folder is gone;
    what has to be read anew, and what this does not do, is said.
    """
    layout = made.layout
    write_mosquitto(layout, "", 8883)
    done = limpet("fleet", "remove", "node-2", "--yes", "--fleet", layout.root)
    assert done.returncode == 0, done.stderr
    assert layout.bases().keys() == {"node-1"}
    assert not layout.device("node-2").exists()
    assert not passwords.right(layout, "node-2", SECRET)
    acl = (layout.broker / "acl").read_text()
    assert "user node-1\n" in acl
    assert "node-2" not in acl
    assert "systemctl restart limpet-broker" in done.stdout
    assert "Its certificates are revoked.\n" in done.stdout
    assert len(list(x509.load_pem_x509_crl(layout.crl.read_bytes()))) == 1
    assert [each["device"] for each in listed(layout.root)] == ["node-1"]


def test_remove_asks(made: Setup) -> None:
    """On a terminal; where there is none, --yes has to be said. No is no."""
    root = made.layout.root
    words = ("fleet", "remove", "node-1", "--fleet", root)
    alone = limpet(*words)
    assert alone.returncode == 1
    assert alone.stderr == "limpet: There is nobody to ask. Nothing was removed.\nSay --yes.\n"
    for answer, code in ((b"\n", 1), (b"no\n", 1), (b"\x04", 1), (b"y\n", 0)):
        ours, theirs = pty.openpty()
        line = [str(LIMPET), *map(str, words)]
        os.write(ours, answer)
        done = subprocess.run(line, stdin=theirs, capture_output=True, text=True, timeout=120)
        os.close(ours)
        os.close(theirs)
        assert done.returncode == code, done.stderr
        assert f"Remove node-1 from the fleet {root}" in done.stdout
        assert made.layout.device("node-1").exists() == (code == 1)


def test_remove_from_a_running_broker(made: Setup) -> None:
    """The embedded broker needs no word; that a connection goes on is said."""
    with EmbeddedBroker(made.layout.root):
        done = limpet("fleet", "remove", "node-1", "--yes", "--fleet", made.layout.root)
    assert "The broker that runs goes by the new files within a second." in done.stdout
    assert "mosquitto" not in done.stdout


def test_remove_of_what_runs(made: Setup) -> None:
    """A node on this PC keeps its folder while it runs."""
    with Tool("node", "node-1", "--fleet", made.layout.root) as node:
        node.wait_for("node boot")
        done = limpet("fleet", "remove", "node-1", "--yes", "--fleet", made.layout.root)
        assert done.returncode == 1
        assert f"A node runs in {made.layout.device('node-1')}." in done.stderr
        assert "node-1" in made.layout.bases()
        node.interrupt()
        node.end()


def test_remove_takes_nothing_else(made: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads out of devices/ is no device's; of a link the link alone goes; what was cut
    short is done by a second one.
    """
    layout = made.layout
    for name in ("../ca", ".", "..", "", "/etc", "node-1/.."):
        with pytest.raises(Problem, match="No device is called"):
            locking_out.remove(name, yes=True, fleet=layout.root)
    elsewhere = layout.root.parent / "elsewhere"
    shutil.move(layout.device("node-1"), elsewhere)
    layout.device("node-1").symlink_to(elsewhere)
    locking_out.remove("node-1", yes=True, fleet=layout.root)
    assert (elsewhere / "key.der").exists()
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            locking_out.remove("node-2", yes=True, fleet=layout.root)
    assert layout.bases() == {}
    assert [each.name for each in devices.devices(layout)] == ["node-2"]
    locking_out.remove("node-2", yes=True, fleet=layout.root)
    assert devices.devices(Layout(layout.root)) == []


def _interrupted(path: Path) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("name", "code", "why"),
    [("", 2, "is an empty text")]
    + [(name, 1, "devices.json is no registry any more") for name in (".", "..", "../..", "../ca")],
)
def test_registry_cannot_name_another_folder(made: Setup, name: str, code: int, why: str) -> None:
    """An id that was edited into the registry removes no folder but a device's."""
    root = made.layout.root
    bases = made.layout.bases()
    made.layout.registry.write_text(json.dumps(bases | {name: "farm/a/b/c/d"}))
    before = sorted(root.rglob("*"))
    done = limpet("fleet", "remove", "--yes", "--fleet", root, "--", name)
    assert done.returncode == code
    assert why in done.stderr
    assert sorted(root.rglob("*")) == before
