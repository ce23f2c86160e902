"""`limpet service install`: units that systemd takes, and that say what they should."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest
from limpet.brokers.setup import open_setup
from limpet.identity import consumers
from limpet.services import service as service_command
from limpet.services.units import CREDENTIALS, Service, unit
from limpet.shared.problem import Problem
from support.brokers.running import fields
from support.fleets import fleet
from support.tool import limpet

HARDENING = (
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "ProtectHome=",
    "CapabilityBoundingSet=\n",
    "SystemCallFilter=@system-service",
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
    "UMask=0077",
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make a fleet with a device, and with an identity for ingest."""
    setup = open_setup(fleet(tmp_path / "a fleet"))
    setup.device(fields("node-1") | {"broker": "192.0.2.7", "server_hostname": "b.example"})
    consumers.add(setup, "ingest", "read")
    return setup.layout.root


def test_the_unit_of_ingest(root: Path) -> None:
    """It is printed, or written beside the fleet's other files; nothing else is done."""
    user = pwd.getpwuid(os.getuid()).pw_name
    shown = limpet("service", "install", "ingest", "--print", "--user", user, "--fleet", root)
    assert shown.returncode == 0, shown.stderr
    assert not (root / "services").exists()
    text = shown.stdout
    for line in HARDENING:
        assert f"\n{line}" in text
    program = Path(sys.prefix) / "bin" / "limpet"
    assert (
        f'\nExecStart="{program}" "ingest" "--identity" ${{CREDENTIALS_DIRECTORY}} "--as" "ingest" '
        '"--broker" "192.0.2.7" "--port" "8883" "--organisation" "limpet" '
        '"--server-name" "b.example"\n'
    ) in text
    assert f"\nLoadCredential=ingest.key:{root}/operators/ingest/ingest.key\n" in text
    written = limpet("service", "install", "ingest", "--user", user, "--fleet", root)
    path = root / "services" / "limpet-ingest.service"
    assert path.read_text() == text
    assert "nothing is started" in written.stdout
    assert "sudo systemctl enable --now limpet-ingest" in written.stdout
    verified(path)


def test_several_workers(root: Path) -> None:
    """Each has its key; so has one that is not started any more, whose Messages are to be taken."""
    setup = open_setup(root)
    for number in (2, 3):
        consumers.add(setup, f"ingest-{number}", "read")
    made = service_command._ingest(root.resolve(), "ingest", "somebody", 2)
    assert made.words[-2:] == ("--workers", "2")
    names = ("ingest", "ingest-2", "ingest-3")
    pairs = {f"{name}.{end}" for name in names for end in ("key", "crt")}
    assert set(made.credentials) == pairs | {"ca.crt"}
    lacking = limpet(
        "service", "install", "ingest", "--workers", "4", "--user", "somebody", "--fleet", root
    )
    assert "limpet operator add ingest-4 --read" in lacking.stderr


def test_the_unit_of_the_exporter(root: Path) -> None:
    """It is handed its identity and the registry, and nothing else; it keeps nothing."""
    consumers.add(open_setup(root), "exporter", "read")
    user = pwd.getpwuid(os.getuid()).pw_name
    words = ("--user", user, "--listen", "127.0.0.1:9999", "--fleet", root)
    written = limpet("service", "install", "exporter", *words)
    assert written.returncode == 0, written.stderr
    path = root / "services" / "limpet-exporter.service"
    text = path.read_text()
    for line in HARDENING:
        assert f"\n{line}" in text
    program = Path(sys.prefix) / "bin" / "limpet"
    assert (
        f'\nExecStart="{program}" "exporter" "--identity" ${{CREDENTIALS_DIRECTORY}} '
        '"--as" "exporter" "--broker" "192.0.2.7" "--port" "8883" "--organisation" "limpet" '
        '"--server-name" "b.example" "--listen" "127.0.0.1:9999"\n'
    ) in text
    loaded = [line.partition(":")[0] for line in text.splitlines() if line.startswith("LoadC")]
    names = ("ca.crt", "exporter.key", "exporter.crt", "devices.json")
    assert loaded == [f"LoadCredential={name}" for name in names]
    assert "StateDirectory" not in text
    assert "LIMPET_STORE" not in text
    assert "sudo systemctl enable --now limpet-exporter" in written.stdout
    assert "store" not in written.stdout
    verified(path)
    none = limpet("service", "install", "exporter", "--workers", "2", "--fleet", root)
    assert "--workers is none of exporter's" in none.stderr
    none = limpet("service", "install", "ingest", "--listen", "127.0.0.1:1", "--fleet", root)
    assert "--listen is none of ingest's" in none.stderr


def test_the_unit_of_homeassistant(root: Path) -> None:
    """Like the exporter's: its identity and the registry; the identity has a role of its own."""
    user = pwd.getpwuid(os.getuid()).pw_name
    words = ("service", "install", "homeassistant", "--user", user, "--fleet", root)
    lacking = limpet(*words)
    assert "limpet operator add homeassistant --role discovery" in lacking.stderr
    consumers.add(open_setup(root), "homeassistant", "discovery")
    written = limpet(*words)
    assert written.returncode == 0, written.stderr
    path = root / "services" / "limpet-homeassistant.service"
    text = path.read_text()
    for line in HARDENING:
        assert f"\n{line}" in text
    assert '"homeassistant" "--identity" ${CREDENTIALS_DIRECTORY} "--as" "homeassistant" ' in text
    assert "restart it when a device is added" in written.stdout
    verified(path)
    none = limpet(*words, "--listen", "127.0.0.1:1")
    assert "--listen is none of homeassistant's" in none.stderr


def test_the_unit_of_the_page(root: Path) -> None:
    """On loopback it is handed its identity and the registry, and reads; beyond, its password and a
    certificate too.
    """
    user = pwd.getpwuid(os.getuid()).pw_name
    words = ("service", "install", "page", "--user", user, "--fleet", root)
    lacking = limpet(*words)
    assert "limpet operator add page --read" in lacking.stderr
    consumers.add(open_setup(root), "page", "read")
    assert limpet(*words).returncode == 0
    path = root / "services" / "limpet-page.service"
    text = path.read_text()
    for line in HARDENING:
        assert f"\n{line}" in text
    assert '"--server-name" "b.example" "--read-only"\n' in text
    assert "EnvironmentFile=-/etc/limpet/page.env" in text
    assert "StateDirectory" not in text
    verified(path)
    assert "page may only read" in limpet(*words, "--operate").stderr
    wide = (*words, "--listen", "0.0.0.0:8443", "--name", "page.example")
    assert "limpet page --set-password" in limpet(*wide).stderr
    (root / "page").mkdir(exist_ok=True)
    (root / "page" / "password").write_text("a hash")
    assert limpet(*wide).returncode == 0
    text = path.read_text()
    assert '"--listen" "0.0.0.0:8443" "--name" "page.example" "--read-only"\n' in text
    loaded = [line.partition(":")[0] for line in text.splitlines() if line.startswith("LoadC")]
    names = ("ca.crt", "page.key", "page.crt", "devices.json", "password", "https.crt", "https.key")
    assert loaded == [f"LoadCredential={name}" for name in names]
    verified(path)
    assert "--workers is none of page's" in limpet(*words, "--workers", "2").stderr
    assert "--name HOST" in limpet(*words, "--behind-proxy", "--listen", "0.0.0.0:80").stderr


def test_a_registry_that_is_too_large(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd would not start such a service."""
    consumers.add(open_setup(root), "exporter", "read")
    monkeypatch.setattr(service_command, "MOST_BYTES", 10)
    with pytest.raises(Problem, match="is larger than what systemd hands to a service"):
        service_command._exporter(root, "exporter", "somebody", None)


def verified(path: Path) -> None:
    """Have systemd read a unit, where there is one."""
    if program := shutil.which("systemd-analyze"):
        line = [program, "verify", "--recursive-errors=no", str(path)]
        done = subprocess.run(line, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")


def test_several_brokers(root: Path) -> None:
    """The unit knows all of them, in their order: it runs without the fleet."""
    more = ["two.example", "[fd00::3]:8884"]
    open_setup(root).change("node-1", {"more_brokers": more})
    user = pwd.getpwuid(os.getuid()).pw_name
    unit = limpet("service", "install", "ingest", "--print", "--user", user, "--fleet", root).stdout
    others = '"--broker" "two.example:8883" "--broker" "[fd00::3]:8884" "--organisation"'
    assert f'"--broker" "192.0.2.7" "--port" "8883" {others}' in unit


def test_signs_of_systemd_mean_themselves(tmp_path: Path) -> None:
    """Blanks, % and $ in a path, of the program and of the credentials."""
    program = tmp_path / "a %d $X" / "limpet"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    key = PurePosixPath("/fleet %d/x.key")
    words = (str(program), "ingest", "50 % $HOME", CREDENTIALS)
    text = unit(Service("ingest", "t", words, {"x.key": key}))
    assert "\nDynamicUser=yes\n" in text
    assert "\nLoadCredential=x.key:/fleet %%d/x.key\n" in text
    assert 'a %%d $X/limpet" "ingest" "50 %% $$HOME" ${CREDENTIALS_DIRECTORY}' in text
    path = tmp_path / "limpet-ingest.service"
    path.write_text(text)
    verified(path)


def test_what_cannot_be_installed(root: Path, tmp_path: Path) -> None:
    """An identity that is not there; a program that no other user can reach."""
    done = limpet("service", "install", "ingest", "--as", "nobody", "--fleet", root)
    assert "limpet operator add nobody --read" in done.stderr
    forged = limpet("service", "install", "ingest", "--user", "a\nUser=root", "--fleet", root)
    assert "is no name of a user" in forged.stderr
    closed = tmp_path / "closed"
    (closed / "bin").mkdir(parents=True)
    closed.chmod(0o700)
    found = service_command._closed(closed / "bin" / "limpet")
    assert found is not None
    assert found in closed.parents or found == closed
    assert service_command._closed(Path("/usr/bin/env")) is None
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "prefix", str(closed))
        with pytest.raises(Problem, match="is closed to other users"):
            service_command._ingest(root, "ingest", None)
