"""`limpet init --from`: what Limpet 0.1 made becomes a fleet, and no device notices."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from limpet.brokers.embedded.broker import EmbeddedBroker
from limpet.brokers.setup import open_setup
from limpet.brokers.written import write_mosquitto
from limpet.fleet.init import init
from limpet.identity import device_config, fleet_settings, passwords
from limpet.identity.layout import Layout
from limpet.identity.operators import NAMES
from limpet.shared.problem import Problem
from support.brokers.running import fields
from support.tool import Tool, limpet

SECRET = "not-to-be-seen"  # noqa: S105 - of a device that exists in tests alone
BOARD = {"org": "farm", "site": "north", "broker": "192.168.1.7", "port": 8884}


@pytest.fixture(scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set-up as `limpet provision` of 0.1 left it: a laptop's node, and a board with a login."""
    root = tmp_path_factory.mktemp("old") / "dev"
    setup = open_setup(root, ["192.168.1.7", "b.example"])
    setup.device(fields("a-laptop"))
    setup.device(fields("node-2") | BOARD | {"username": "node-2", "password": SECRET})
    readings = setup.layout.device("a-laptop") / "readings"
    readings.mkdir()
    (readings / "0").write_bytes(b"\0\1\2")
    write_mosquitto(setup.layout, "", 8883)
    (setup.layout.broker / "mosquitto" / "mosquitto.db").write_bytes(b"kept")
    (setup.layout.broker / "port").write_text("8883 127.0.0.1")
    (root / "run.lock").touch()
    operators = root / "operator"
    operators.mkdir(0o700)
    for name in NAMES:
        for path in setup.layout.operator_pair(name):
            path.rename(operators / path.name)
    shutil.rmtree(setup.layout.operators)
    return root


@pytest.fixture
def old(_made: Path, tmp_path: Path) -> Path:
    """Such a set-up, for one test."""
    return Path(shutil.copytree(_made, tmp_path / "dev"))


# Written anew, as the place is in there.
BY_PLACE = ("broker/mosquitto.conf", "broker/limpet-broker.service")


def contents(root: Path) -> dict[str, bytes]:
    """Return every file below `root` with what is in it."""
    return {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def assert_taken_over(old: Path, new: Path) -> None:
    """Every key, certificate, config and Reading, byte for byte; paths are the new ones."""
    before, after = contents(old), contents(new)
    moved = {name: data for name, data in before.items() if name.startswith("operator/")}
    same = set(before) - set(moved) - {"run.lock", "broker/port", *BY_PLACE}
    assert {name: after.get(name) for name in same} == {name: before[name] for name in same}
    for name, data in moved.items():
        file = name.removeprefix("operator/")
        assert after[f"operators/{Path(file).stem}/{file}"] == data
    conf = after["broker/mosquitto.conf"].decode()
    assert f"keyfile {new}/broker/server.key" in conf
    assert str(old) not in conf
    assert ".adopting" not in after
    assert set(after) >= {"limpet.toml", ".gitignore"}
    assert (new / "boards").is_dir()


def test_command(old: Path, tmp_path: Path) -> None:
    """All of it is taken over, the old folder stays as it was, and limpet.toml knows the place."""
    before = contents(old)
    done = limpet("init", "fleet", "--from", "dev", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    new = tmp_path / "fleet"
    assert_taken_over(old, new)
    assert contents(old) == before
    assert f"{old} is as it was: remove it once this fleet works.\n" in done.stdout
    assert f"start it with {new}/broker/mosquitto.conf, no longer with" in done.stdout
    assert SECRET not in done.stdout + done.stderr
    for path in new.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0
    said = fleet_settings.read(new)
    assert (said.organisation, said.address, said.port) == ("farm", "192.168.1.7", 8883)
    assert said.names == ("b.example",)
    assert said.device == {"site": "north", "zone": "desk", "device_type": "climate"}
    assert passwords.right(Layout(new), "node-2", SECRET)
    more = limpet("provision", "node-2", "--fleet", new)
    assert "node-2: was there already, key and certificate stay" in more.stdout
    assert "new certificate" not in more.stdout
    listed = json.loads(limpet("fleet", "list", "--json", "--fleet", new).stdout)
    assert [(each["device"], each["problem"]) for each in listed] == [
        ("a-laptop", None),
        ("node-2", None),
    ]


def test_options_go_before_what_is_found(old: Path, tmp_path: Path) -> None:
    """What is said on the command line is what limpet.toml says; devices keep their own."""
    assert init(tmp_path / "new", org="other", broker=["c.example"], old=old) == 0
    said = fleet_settings.read(tmp_path / "new")
    assert (said.organisation, said.address) == ("other", "c.example")
    config = device_config.read(tmp_path / "new/devices/node-2")
    assert (config["org"], config["broker"]) == ("farm", "192.168.1.7")


def test_set_up_of_make_run_alone(tmp_path: Path) -> None:
    """As most have it: one device, on loopback."""
    setup = open_setup(tmp_path / "dev")
    setup.device(fields("node-1"))
    (tmp_path / "dev" / "operator").mkdir()
    assert init(tmp_path / "new", old=tmp_path / "dev") == 0
    assert fleet_settings.read(tmp_path / "new").address == "127.0.0.1"
    assert Layout(tmp_path / "new").bases().keys() == {"node-1"}


@pytest.mark.parametrize("step", range(0, 64, 7))
def test_cut_short(old: Path, tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not gone on with as a new fleet, which would have another CA; with --from it is."""
    new, names, replace = tmp_path / "new", iter(range(step)), os.replace

    def interrupted(source: str, target: Path) -> None:
        if next(names, None) is None:
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", interrupted)
        try:
            init(new, old=old)
        except KeyboardInterrupt:
            assert not (new / "limpet.toml").exists()
        else:
            assert step > 30
    if (new / ".adopting").exists():
        with pytest.raises(Problem, match="a set-up was being taken over") as refused:
            init(new)
        assert refused.value.remedy == f"Have it done: limpet init {new} --from {old}"
    if not (new / "limpet.toml").exists():
        assert init(new, old=old) == 0
    assert_taken_over(old, new)


def test_folder_in_use(old: Path, tmp_path: Path) -> None:
    """While a broker or a node runs there nothing is taken: what it writes would be lost."""
    with EmbeddedBroker(old), pytest.raises(Problem, match=f"A broker runs in {old}"):
        init(tmp_path / "new", old=old)
    flash = old / "devices" / "a-laptop"
    with Tool("node", "--root", flash) as node:
        node.wait_for("node boot")
        with pytest.raises(Problem, match=f"A node runs in {flash}"):
            init(tmp_path / "new", old=old)
        node.interrupt()
        node.end()
    assert not (tmp_path / "new").exists()


def test_folder_that_is_none(old: Path, tmp_path: Path) -> None:
    """Nothing, a fleet, itself, half a CA, a registry that is none: named, and nothing is made."""
    new = tmp_path / "new"
    init(tmp_path / "fleet")
    for folder in (tmp_path / "none", tmp_path / "fleet"):
        with pytest.raises(Problem, match=r"is no set-up of Limpet 0\.1"):
            init(new, old=folder)
    with pytest.raises(Problem, match="cannot be taken over into itself"):
        init(old, old=old)
    with pytest.raises(Problem, match=r"is a set-up of Limpet 0\.1") as refused:
        init(old)
    assert refused.value.remedy == f"Take it over: limpet init FOLDER --from {old}"
    registry = old / "broker" / "devices.json"
    had = registry.read_bytes()
    registry.write_text("[]")
    with pytest.raises(Problem, match="is no registry any more"):
        init(new, old=old)
    registry.write_bytes(had)
    (old / "ca" / "ca.key").unlink()
    with pytest.raises(Problem, match=r"ca\.key with ca\.crt cannot be read"):
        init(new, old=old)
    assert not new.exists()
