"""The registry: of before, of now, of later, and what is none; the CA's list; consumers."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from limpet.brokers.setup import open_setup
from limpet.identity import authority, consumers, operators, registry
from limpet.identity.layout import Layout
from limpet.identity.operators import operator_identity
from limpet.identity.provisioning import Setup
from limpet.identity.registry import BadRegistryError, NewerError, Registry
from limpet.operating.where import SetupInfo
from limpet.shared import locks
from limpet.shared.firmware import errors
from limpet.shared.problem import Problem
from support.brokers.running import base, fields
from support.fleets import fleet
from support.tool import LIMPET, TIMEOUT_S, Tool, limpet

BASE = base()


@pytest.fixture
def made(tmp_path: Path) -> Setup:
    """Make a set-up with one device."""
    setup = open_setup(fleet(tmp_path / "dev"))
    setup.device(fields("node-1"))
    return setup


def crl(layout: Layout) -> x509.CertificateRevocationList:
    """Return the list of revoked certificates."""
    return x509.load_pem_x509_crl(layout.crl.read_bytes())


def test_a_registry_of_before_is_read_as_before(made: Setup) -> None:
    """It has base topics alone; the next change makes one of today of it."""
    layout = made.layout
    layout.registry.write_text(json.dumps({"node-1": BASE, "v": base("v")}))
    assert layout.bases() == {"node-1": BASE, "v": base("v")}
    assert layout.consumers() == dict.fromkeys(operators.NAMES, "operate")
    found = layout.registered().devices["node-1"]
    assert (found.added, found.auth, found.revoked) == (None, "mtls", None)
    layout.register("node-2", base("node-2"))
    said = json.loads(layout.registry.read_bytes())
    assert said["v"] == registry.VERSION
    assert said["devices"].keys() == {"node-1", "node-2", "v"}
    assert said["devices"]["node-2"]["added"]


def test_one_of_a_later_limpet_is_refused_by_its_number(made: Setup) -> None:
    """Nothing of it is read, and nothing is written over it."""
    layout = made.layout
    layout.registry.write_text(text := '{"v": 3, "devices": {}}')
    with pytest.raises(Problem, match=r"devices\.json: v 3 is that of a later Limpet"):
        layout.bases()
    with pytest.raises(Problem, match="later Limpet"):
        made.device(fields("node-2"))
    assert layout.registry.read_text() == text


@pytest.mark.parametrize(
    "device",
    [
        {"base": "a/+/c"},
        {"base": 7},
        {"base": BASE, "auth": "jwt"},
        {"base": BASE, "revoked": 1},
        {"base": BASE, "certificates": {"zz": "2036-01-01T00:00:00Z"}},
        {"base": BASE, "certificates": {"1f": "tomorrow"}},
        {"base": BASE, "certificates": {"1f": "2036-01-01T00:00:00"}},
        {"base": BASE, "certificates": ["1f"]},
        {"base": BASE, "colour": "blue"},
        {},
        "a/b/c/d/e",
    ],
)
def test_what_is_no_registry(device: Any) -> None:
    """A device that says what none can say makes the whole of it one that is not believed."""
    said = {"v": 2, "devices": {"node-1": device}, "consumers": {}, "revoked": {}}
    with pytest.raises(BadRegistryError):
        Registry.parse(json.dumps(said).encode())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"v": 2}',
        '{"v": 2, "devices": [], "consumers": {}, "revoked": {}}',
        '{"v": 2, "devices": {"../x": {"base": "a/b"}}, "consumers": {}, "revoked": {}}',
        '{"v": 2, "devices": {}, "consumers": {"a": {"role": "root"}}, "revoked": {}}',
        '{"v": 2, "devices": {}, "consumers": {"a/b": {"role": "read"}}, "revoked": {}}',
        '{"v": 2, "devices": {}, "consumers": {}, "revoked": {"1": {"name": "a"}}}',
    ],
)
def test_what_is_no_registry_at_all(text: str) -> None:
    """Each is refused as one, whatever is wrong."""
    with pytest.raises(BadRegistryError):
        Registry.parse(text.encode())


def test_it_comes_back_as_it_was_written() -> None:
    """What was written is what is read."""
    found = Registry({"node-1": registry.Device(BASE, registry.stamp())})
    found.consumers["grafana"] = registry.Consumer("read")
    found.issued("node-1", "1f", datetime(2036, 1, 1, tzinfo=UTC))
    found.issued("node-1", "2f", datetime(2037, 1, 1, tzinfo=UTC))
    found.revoke("node-1")
    assert found.devices["node-1"].revoked
    assert found.revoked.keys() == {"1f", "2f"}
    found.issued("node-1", "3f", datetime(2038, 1, 1, tzinfo=UTC))
    assert found.devices["node-1"].revoked is None
    assert Registry.parse(found.text()) == found
    with pytest.raises(NewerError):
        Registry.parse(found.text().replace(b'"v": 2', b'"v": 9'))


def test_the_list_is_there_from_the_start(made: Setup) -> None:
    """It is empty, the CA's, and good for as long as the CA: it locks nobody out by itself."""
    found, ca = crl(made.layout), made.authority.certificate
    assert list(found) == []
    assert found.is_signature_valid(made.authority.identity.key.public_key())
    assert found.next_update_utc == ca.not_valid_after_utc
    assert found.last_update_utc < datetime.now(UTC)


def test_each_list_is_later_than_the_one_before(made: Setup) -> None:
    """Within a second too: OpenSSL goes by the latest. One that is right is not written anew."""
    made.device(fields("node-2"))
    seen = [crl(made.layout)]
    for name in ("node-1", "node-2"):
        made.revoke(name)
        seen.append(crl(made.layout))
    assert [len(list(each)) for each in seen] == [0, 1, 2]
    dates = [each.last_update_utc for each in seen]
    assert dates[0] < dates[1] < dates[2]
    before = made.layout.crl.read_bytes()
    open_setup(made.layout.root)
    assert made.layout.crl.read_bytes() == before
    made.layout.crl.write_bytes(before[:100])
    open_setup(made.layout.root)
    assert len(list(crl(made.layout))) == 2


def test_a_certificate_that_nobody_noted_is_revoked_too(made: Setup) -> None:
    """A registry of before knows no certificates: that in the device's folder is taken, if the CA
    has made it for this device.
    """
    layout = made.layout
    serial = authority.load_certificate(layout.device("node-1") / "cert.der").serial_number
    layout.registry.write_text(json.dumps({"node-1": BASE}))
    made.revoke("node-1")
    assert [each.serial_number for each in crl(layout)] == [serial]
    assert layout.bases() == {}


def test_what_has_ended_by_itself_leaves_the_list(made: Setup) -> None:
    """Else it grew for ever. The registry keeps it."""
    with made.layout.edited() as found:
        past = registry.stamp(datetime.now(UTC) - timedelta(days=1))
        found.revoked["1f"] = registry.Revoked("node-9", past, past)
    open_setup(made.layout.root)
    assert list(crl(made.layout)) == []


def test_a_device_and_a_consumer_have_two_names(made: Setup) -> None:
    """Neither can be made with the other's name, nor with an operator's."""
    consumers.add(made, "grafana", "read")
    with pytest.raises(errors.ConfigError, match="device_id"):
        made.device(fields("grafana"))
    for name, why in (
        ("node-1", "is a device"),
        ("operator-2", "every fleet"),
        ("a/b", "The name of a consumer: no slash"),
    ):
        with pytest.raises(Problem, match=why):
            consumers.add(made, name, "read")
    with pytest.raises(Problem, match="with the role read"):
        consumers.add(made, "grafana", "operate")


def test_a_second_program_with_a_consumer_s_name_is_told_why(made: Setup) -> None:
    """It would throw the first one out, and be thrown out by it."""
    consumers.add(made, "grafana", "read")
    first = operator_identity(made.layout.root, "grafana")
    with pytest.raises(Problem, match="Another program is connected as grafana"):
        operator_identity(made.layout.root, "grafana")
    first.release()
    operator_identity(made.layout.root, "grafana").release()
    with pytest.raises(Problem, match="No consumer"):
        operator_identity(made.layout.root, "nobody")


def test_a_certificate_begins_when_its_ca_does(made: Setup) -> None:
    """A node whose clock stands at its firmware's build date takes a fresh one."""
    ca = made.authority.certificate.not_valid_before_utc
    made.renew("node-1")
    device = authority.load_certificate(made.layout.device("node-1") / "cert.der")
    server = authority.load_certificate(made.layout.server_certificate)
    assert device.not_valid_before_utc == server.not_valid_before_utc == ca


@pytest.mark.parametrize(("days", "anew"), [(59, True), (61, False)])
def test_the_broker_s_certificate_is_renewed_ahead(made: Setup, days: int, anew: bool) -> None:
    """60 days before it ends, by whatever opens the set-up."""
    layout, names = made.layout, ["localhost", "127.0.0.1", "::1"]
    short = made.authority.server(names, valid=timedelta(days=days))
    layout.server_key.write_bytes(short.key_pem())
    layout.server_certificate.write_bytes(short.pem())
    assert open_setup(layout.root).server_renewed is anew


def test_the_operator_verb(made: Setup) -> None:
    """It adds, lists and removes; in JSON, and with a word for each name that it cannot take."""
    root = made.layout.root
    done = limpet("operator", "add", "grafana", "--read", "--fleet", root)
    assert done.returncode == 0, done.stderr
    info = SetupInfo(root)
    assert f"mosquitto_sub -h {info.host} -p {info.port} -i grafana" in done.stdout
    found = json.loads(limpet("operator", "list", "--json", "--fleet", root).stdout)
    (grafana,) = [each for each in found if each["name"] == "grafana"]
    assert (grafana["role"], grafana["problem"]) == ("read", None)
    assert {path.name for path in Path(grafana["folder"]).iterdir()} == {
        *("ca.crt", "grafana.crt", "grafana.key")
    }
    assert "grafana" in limpet("operator", "list", "--fleet", root).stdout
    assert limpet("operator", "remove", "grafana", "--yes", "--fleet", root).returncode == 0
    assert not Path(grafana["folder"]).exists()
    assert len(list(crl(made.layout))) == 1
    for name in ("grafana", "operator"):
        done = limpet("operator", "remove", name, "--fleet", root)
        assert done.returncode == 1
        assert name in done.stderr


def test_a_registry_that_is_held_is_waited_for(made: Setup) -> None:
    """With a word; what is done at the end is what was asked for."""
    with made.layout.changing():
        waiting = Tool("fleet", "revoke", "node-1", "--yes", "--fleet", made.layout.root)
        waiting.wait_for("waiting for another process that changes")
        assert "node-1" in made.layout.bases()
    waiting.wait_for("node-1: revoked")
    waiting.end()
    assert made.layout.bases() == {}


def test_one_that_is_held_for_too_long_is_given_up(
    made: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time limit is a minute; here it is a second."""
    alone = locks.alone
    monkeypatch.setattr(locks, "alone", lambda path, waiting="": alone(path, waiting, limit_s=1.0))
    with made.layout.changing(), pytest.raises(Problem, match=r"Another process holds .*\.lock"):
        made.layout.register("node-2", base("node-2"))
    assert made.layout.bases().keys() == {"node-1"}


def test_a_full_disk_loses_nothing(made: Setup) -> None:
    """What was committed stays as it was, to the byte, and the cause is said."""
    layout = made.layout
    with layout.edited() as found:
        for number in range(50):
            found.devices[f"n{number}"] = registry.Device(base(f"n{number}"))
    before = {path: path.read_bytes() for path in layout.broker.iterdir() if path.is_file()}
    done = subprocess.run(
        [LIMPET, "fleet", "revoke", "node-1", "--yes", "--fleet", layout.root],
        capture_output=True,
        text=True,
        timeout=2 * TIMEOUT_S,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "File too large" in done.stderr
    assert {path: path.read_bytes() for path in layout.broker.iterdir() if path.is_file()} == before


def test_drafts_of_a_cut_are_swept(made: Setup) -> None:
    """Those that are an hour old: a younger one may be somebody's work."""
    layout = made.layout
    for folder in (layout.devices, layout.broker, layout.operators):
        for name in (".node-9.abcdefgh", ".node-8.abcdefgh"):
            (folder / name).mkdir()
            (folder / name / "key.der").write_bytes(b"k")
        old = time.time() - 2 * 3600
        os.utime(folder / ".node-9.abcdefgh", (old, old))
    open_setup(layout.root)
    for folder in (layout.devices, layout.broker, layout.operators):
        left = [path.name for path in folder.iterdir() if path.name.startswith(".node")]
        assert left == [".node-8.abcdefgh"]


@pytest.mark.parametrize("name", ["identity.json", "settings.json", "cert.der"])
def test_a_pipe_in_a_device_s_folder_holds_nobody_up(made: Setup, name: str) -> None:
    """It is no file, and is said to be none."""
    path = made.layout.device("node-1") / name
    path.unlink()
    os.mkfifo(path)
    done = limpet("fleet", "list", "--offline", "--fleet", made.layout.root)
    assert done.returncode == 0
    assert "is no file" in done.stdout


def test_a_host_name_that_nobody_can_look_up(made: Setup) -> None:
    """A part of it may have 63 characters."""
    assert made.device(fields("node-2") | {"broker": f"{'a' * 63}.example"})
    for field in ("broker", "server_hostname"):
        with pytest.raises(errors.ConfigError, match=field):
            made.device(fields("node-3") | {field: f"{'a' * 64}.example"})
    root = made.layout.root
    done = limpet(
        "provision", "node-3", "--fleet", root, "--server-name", "ok", *("--server-name", "a" * 64)
    )
    assert "server_name: must have at most 63 characters" in done.stderr
