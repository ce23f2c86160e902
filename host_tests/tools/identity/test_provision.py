"""`limpet provision`: what it makes, who may read it, what it leaves alone and what it refuses."""

from __future__ import annotations

import contextlib
import json
import os
import re
import ssl
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from limpet.brokers.setup import open_setup
from limpet.fleet.provision import provision
from limpet.identity import authority, device_config, layout, operators, passwords
from limpet.identity.authority import Authority, Identity
from limpet.identity.layout import Layout
from limpet.identity.operators import operator_identity
from limpet.identity.provisioning import Setup
from limpet.node_host.debian import HOST
from limpet.shared import private
from limpet.shared.firmware import errors
from limpet.shared.problem import Problem
from support.brokers.running import fields
from support.fleets import fleet
from support.micropython.upy import run

SECRET = "not-to-be-seen-anywhere"  # noqa: S105 - of a device that exists in tests alone

LOADS = """
import tls
def read(name):
    with open(name, "rb") as file:
        return file.read()
context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
context.load_verify_locations(read("ca.der"))
context.load_cert_chain(read("cert.der"), read("key.der"))
print("loaded")
"""


def contents(root: Path) -> dict[Path, bytes]:
    """Return every file below `root` with what is in it."""
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(autouse=True)
def dev(tmp_path: Path) -> Path:
    """A fleet with nothing in it yet, for what a test provisions."""
    return fleet(tmp_path / "dev")


def nothing_made(root: Path) -> bool:
    """Whether a fleet is as it was in the beginning."""
    return [path.name for path in root.iterdir()] == ["limpet.toml"]


def limpet(*arguments: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does, without a terminal."""
    command = [sys.executable, "-c", "from limpet.cli import main; main()", *map(str, arguments)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=os.environ | env,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )


@pytest.mark.parametrize("arch", [HOST, "i386"])
def test_device_files_load_in_micropython(setup: Setup, arch: str) -> None:
    """CA, certificate and key of a device's folder are taken by the interpreter, 32-bit too."""
    setup.device(fields("node-1"))
    assert run(LOADS, arch=arch, cwd=setup.layout.device("node-1")).strip() == "loaded"


def handshake(setup: Setup, server: Identity, client: Identity, folder: Path) -> None:
    """Do a TLS handshake in memory, as strict as Python can be on both sides; raises SSLError."""
    (here_in, here_out, there_in, there_out) = (ssl.MemoryBIO() for _ in range(4))
    sides = []
    for protocol, identity in (
        (ssl.PROTOCOL_TLS_SERVER, server),
        (ssl.PROTOCOL_TLS_CLIENT, client),
    ):
        context = ssl.SSLContext(protocol)
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        context.load_verify_locations(setup.layout.ca_certificate)
        private.write(folder / "pair.pem", identity.key_pem() + identity.pem())
        context.load_cert_chain(folder / "pair.pem")
        sides.append(context)
    one = sides[0].wrap_bio(here_in, here_out, server_side=True)
    two = sides[1].wrap_bio(there_in, there_out, server_hostname="localhost")
    for _ in range(4):
        for side in (two, one):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
        here_in.write(there_out.read())
        there_in.write(here_out.read())
    assert one.getpeercert()
    assert two.getpeercert()


def test_certificates_stand_a_strict_check(setup: Setup, tmp_path: Path) -> None:
    """OpenSSL at its strictest (default from Python 3.13) takes each certificate for its use."""
    server = setup.authority.server(["localhost"])
    client = setup.authority.client("node-1")
    handshake(setup, server, client, tmp_path)
    for wrong in ((client, client), (server, server)):
        with pytest.raises(ssl.SSLCertVerificationError, match="purpose"):
            handshake(setup, *wrong, tmp_path)


def test_device_certificate(setup: Setup) -> None:
    """A device's certificate has its id as the only name, a P-256 key, and is for clients alone."""
    certificate = authority.load_certificate(setup.layout.device("node-1") / "cert.der")
    assert [name.value for name in certificate.subject] == ["node-1"]
    assert authority.key_type(certificate) == "EC P-256"
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate.verify_directly_issued_by(setup.authority.certificate)


def test_nothing_outlives_the_ca() -> None:
    """No certificate is good for longer than the CA that vouches for it."""
    old = datetime.now(UTC) - authority.CA_VALID + timedelta(days=100)
    ca = Authority.new(now=old)
    assert ca.client("node-1").expires == ca.identity.expires
    assert ca.server(["localhost"]).expires == ca.identity.expires


def test_server_names(tmp_path: Path) -> None:
    """The broker's certificate is good for this machine's names and for those that were given."""
    made = open_setup(tmp_path / "dev", ["broker.example", "192.0.2.7"])
    certificate = authority.load_certificate(made.layout.server_certificate)
    assert authority.names(certificate) == [
        "localhost",
        "127.0.0.1",
        "::1",
        "broker.example",
        "192.0.2.7",
    ]


def test_address_is_in_the_certificate_twice(tmp_path: Path) -> None:
    """Clients that know no addresses in certificates find the broker's as a name; an older
    certificate without it is renewed.
    """
    made = open_setup(tmp_path / "dev", ["192.0.2.7"])
    certificate = authority.load_certificate(made.layout.server_certificate)
    san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert x509.DNSName("192.0.2.7") in san
    assert x509.IPAddress(IPv4Address("192.0.2.7")) in san
    assert not authority.covers(certificate, ["192.0.2.8"])
    alone = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("192.0.2.7"))])
    older = made.authority._issue(
        "192.0.2.7", ExtendedKeyUsageOID.SERVER_AUTH, None, timedelta(days=1), alone
    )
    assert not authority.covers(older.certificate, ["192.0.2.7"])


def test_server_certificate_grows(tmp_path: Path) -> None:
    """A further name makes a new certificate with the old names too; a known one makes none."""
    open_setup(tmp_path / "dev", ["one.example"])
    again = open_setup(tmp_path / "dev", ["two.example"])
    assert again.server_renewed
    names = authority.names(authority.load_certificate(again.layout.server_certificate))
    assert {"one.example", "two.example"} <= set(names)
    assert not open_setup(tmp_path / "dev", ["one.example"]).server_renewed


def test_expired_server_certificate_is_renewed(tmp_path: Path) -> None:
    """An expired certificate of the broker is replaced at the next run."""
    made = open_setup(tmp_path / "dev")
    old = made.authority.server(["localhost", "127.0.0.1", "::1"], valid=timedelta(days=-1))
    private.write(made.layout.server_certificate, old.pem())
    private.write(made.layout.server_key, old.key_pem())
    again = open_setup(tmp_path / "dev")
    assert again.server_renewed
    assert authority.load_certificate(
        again.layout.server_certificate
    ).not_valid_after_utc > datetime.now(UTC)


def test_server_renewal_that_was_cut(tmp_path: Path) -> None:
    """A cut between key and certificate of a renewal is mended, and the names are kept."""
    made = open_setup(tmp_path / "dev", ["one.example"])
    key, certificate = made.layout.server_key, made.layout.server_certificate
    private.write(key, made.authority.server(["two.example"]).key_pem())
    again = open_setup(tmp_path / "dev")
    assert again.server_renewed
    assert "one.example" in authority.names(authority.load(key, certificate).certificate)
    assert not open_setup(tmp_path / "dev").server_renewed


def test_modes(tmp_path: Path) -> None:
    """Nothing in a set-up can be read by anybody but its owner."""
    before = os.umask(0)
    try:
        open_setup(tmp_path / "dev").device(fields("node-1"))
        passwords.set_password(Layout(tmp_path / "dev"), "node-1", SECRET)
    finally:
        os.umask(before)
    for path in (tmp_path / "dev", *(tmp_path / "dev").rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_keys_are_never_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No mode is changed afterwards: the file is the owner's alone before a byte is in it."""

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("a mode was set after the file was made")

    for name in ("chmod", "fchmod", "lchmod"):
        monkeypatch.setattr(os, name, forbidden, raising=False)
    made: list[int] = []
    mkstemp = private.tempfile.mkstemp

    def watched(**options: Any) -> tuple[int, str]:
        descriptor, name = mkstemp(**options)
        made.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return descriptor, name

    monkeypatch.setattr(private.tempfile, "mkstemp", watched)
    open_setup(tmp_path / "dev").device(fields("node-1"))
    assert made
    assert set(made) == {0o600}


def test_second_run_changes_nothing(tmp_path: Path) -> None:
    """A second run finds everything there and leaves every byte alone."""
    open_setup(tmp_path / "dev").device(fields("node-1"))
    before = contents(tmp_path / "dev")
    assert open_setup(tmp_path / "dev").device(fields("node-1") | {"site": "elsewhere"}) is False
    assert contents(tmp_path / "dev") == before


@pytest.mark.parametrize("damage", ["ca.key", "ca.crt", "other"])
def test_damaged_ca_is_not_overwritten(tmp_path: Path, damage: str) -> None:
    """A CA with a file lost, or a key that is not its own, is reported and left as it is."""
    folder = open_setup(tmp_path / "dev").layout.ca
    if damage == "other":
        private.write(folder / "ca.key", Authority.new().identity.key_pem())
    else:
        (folder / damage).unlink()
    before = contents(folder)
    with pytest.raises(Problem, match=re.escape(str(folder))):
        open_setup(tmp_path / "dev")
    assert contents(folder) == before


def test_renew(tmp_path: Path) -> None:
    """A renewal makes a new key and certificate; what else is on the node's flash stays."""
    made = open_setup(tmp_path / "dev")
    made.device(fields("node-1"))
    folder = made.layout.device("node-1")
    (folder / "boot").write_bytes(b"7")
    before = contents(folder)
    made.renew("node-1")
    changed = {path.name for path, data in contents(folder).items() if before[path] != data}
    assert changed == {"cert.der", "key.der"}


def test_interrupted_device_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that ends in the middle leaves no half device, and the next one makes it whole."""
    made = open_setup(tmp_path / "dev")

    def interrupted(config: object) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("limpet.identity.device_config.encoded", interrupted)
        with pytest.raises(KeyboardInterrupt):
            made.device(fields("node-1"))
    assert list(made.layout.devices.iterdir()) == []
    assert made.device(fields("node-1")) is True


@pytest.mark.parametrize("name", ["operator", "operator-2", "operator-8", "admin", "broker"])
def test_reserved_names(tmp_path: Path, name: str) -> None:
    """No device gets the name of an operator or of a server."""
    with pytest.raises(errors.ConfigError) as caught:
        open_setup(tmp_path / "dev").device(fields(name))
    assert caught.value.field == "device_id"
    assert Layout(tmp_path / "dev").bases() == {}


@pytest.mark.parametrize(
    ("option", "host", "field", "rule"),
    [
        ("--broker", "192.168.001.010", "broker", "must be four numbers up to 255"),
        ("--broker", "192.168.1", "broker", "must be four numbers up to 255"),
        ("--broker", "192.168.1.300", "broker", "must be four numbers up to 255"),
        ("--broker", "0x7f000001", "broker", "must be four numbers up to 255"),
        ("--broker", "ADDRESS", "broker", "must be the address itself"),
        ("--server-name", "ADDRESS", "server_hostname", "must be the address itself"),
        ("--server-name", "192.168.1", "server_hostname", "must be four numbers up to 255"),
    ],
)
def test_address_that_is_none_is_refused_by_field_and_rule(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    option: str,
    host: str,
    field: str,
    rule: str,
) -> None:
    """What each resolver would read in its own way, and the word that README.md has; nothing made.

    Of several names of the broker each is looked at, as each goes into its certificate.
    """
    names: dict[str, Any] = {"broker": ["broker.example"]}
    names["broker" if option == "--broker" else "server_name"] = [host]
    with pytest.raises(Problem) as refusal:
        provision("node-2", fleet=tmp_path / "dev", **names)
    assert refusal.value.cause.startswith(f"{field}: {rule}")
    assert nothing_made(tmp_path / "dev")
    with pytest.raises(Problem, match=f"server_name: {rule}"):
        provision("node-2", fleet=tmp_path / "dev", server_name=["broker.example", host])
    assert nothing_made(tmp_path / "dev")
    assert not capsys.readouterr().out


def test_device_without_wifi_is_told_what_it_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its broker is not on its own machine, so it may be for a Board with Wi-Fi."""
    monkeypatch.setenv("WIFI_PASSWORD", "")
    lacks = "has no Wi-Fi, without which an ESP32 refuses it: --wifi-ssid NAME"
    provision("node-1", fleet=tmp_path / "dev")
    assert lacks not in capsys.readouterr().out
    provision("node-2", fleet=tmp_path / "dev", broker=["broker.example"])
    assert f"node-2: {lacks}" in capsys.readouterr().out
    provision("node-2", fleet=tmp_path / "dev", wifi_ssid="beach")
    assert lacks not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("org", {"org": "/limpet"}),
        ("zone", {"zone": "+"}),
        ("site", {"site": "Home"}),
        ("broker", {"broker": "test.mosquitto.org"}),
        ("broker", {"broker": "0.0.0.0"}),
        ("broker", {"broker": "::"}),
        ("port", {"broker": "broker.example", "port": 1883}),
        ("ca", {"broker": "broker.example", "ca": None}),
        ("username", {"username": "node-2", "password": SECRET}),
        ("colour", {"colour": "red"}),
    ],
)
def test_config_is_refused_before_anything_is_written(
    tmp_path: Path, field: str, change: dict[str, object]
) -> None:
    """A config that the node would refuse is refused here, with the field named, nothing made."""
    made = open_setup(tmp_path / "dev")
    before = contents(tmp_path / "dev")
    with pytest.raises(errors.ConfigError) as caught:
        made.device(fields("node-1") | change)
    assert caught.value.field == field
    assert contents(tmp_path / "dev") == before


def test_any_network_is_what_the_node_reads(tmp_path: Path) -> None:
    """A Wi-Fi name with characters that JSON would escape in halves is read back by the node."""
    made = open_setup(tmp_path / "dev")
    made.device(fields("node-1") | {"wifi_ssid": "Strand 🏖"})
    folder = made.layout.device("node-1")
    assert device_config.load(folder).wifi_ssid == "Strand 🏖"


def test_operators_are_leased(tmp_path: Path) -> None:
    """Each tool gets another operator; when all are taken it is said; a lease comes back."""
    root = open_setup(tmp_path / "dev").layout.root
    leases = [operator_identity(root) for _ in operators.NAMES]
    assert sorted(lease.name for lease in leases) == sorted(operators.NAMES)
    with pytest.raises(Problem, match="in use"):
        operator_identity(root)
    leases[3].release()
    assert operator_identity(root).name == leases[3].name


def test_operator_files_belong_together(setup: Setup) -> None:
    """Key and certificate of a lease are one pair, named as the lease says."""
    lease = operator_identity(setup.layout.root)
    pair = authority.load(lease.key, lease.cert)
    assert [name.value for name in pair.certificate.subject] == [lease.name]
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(lease.ca)
    lease.release()


def test_running_port(tmp_path: Path) -> None:
    """The port of a running broker is known while it runs, and not from the file it leaves."""
    made = Layout(tmp_path / "dev")
    assert layout.running_port(made.root) is None
    with layout.announced(made, "127.0.0.1", 4711):
        assert layout.running_port(made.root) == 4711
        with layout.announced(made, "::1", 4712):
            assert layout.running_port(made.root) == 4711
        assert layout.running_port(made.root) == 4711
    assert layout.running_port(made.root) is None


def test_passwords(tmp_path: Path) -> None:
    """A password is checked against its hash; it can be replaced, and is nowhere in the file."""
    made = Layout(tmp_path / "dev")
    private.folder(made.root)
    assert not passwords.right(made, "node-1", "")
    passwords.set_password(made, "node-1", SECRET)
    passwords.set_password(made, "node-2", "another")
    assert passwords.right(made, "node-1", SECRET)
    assert not passwords.right(made, "node-1", "another")
    assert not passwords.right(made, "node-3", SECRET)
    passwords.set_password(made, "node-1", "new")
    assert not passwords.right(made, "node-1", SECRET)
    assert passwords.right(made, "node-1", "new")
    assert SECRET not in made.passwords.read_text()


def test_command(tmp_path: Path) -> None:
    """The command says key type and expiry of each certificate, and where it is."""
    done = limpet("provision", "node-7", "--fleet", tmp_path / "dev", "--server-name", "b.example")
    assert done.returncode == 0, done.stderr
    for name, where in (("CA", "ca"), ("broker", "broker"), ("node-7", "devices/node-7")):
        line = rf"^{name} +EC P-256, expires \d{{4}}-\d\d-\d\d +{tmp_path}/dev/{where}$"
        assert re.search(line, done.stdout, re.M), done.stdout
    config = device_config.read(tmp_path / "dev/devices/node-7")
    assert config["server_hostname"] == "b.example"
    assert "password" not in config
    again = limpet("provision", "node-7", "--fleet", tmp_path / "dev")
    assert "node-7: was there already" in again.stdout


def test_command_with_password(tmp_path: Path) -> None:
    """The password comes from a file or the environment, into the config, and is never printed."""
    file = tmp_path / "password"
    file.write_text(SECRET + "\n")
    out = tmp_path / "dev"
    ways: list[tuple[str, list[str | Path], dict[str, str]]] = [
        ("node-1", ["--password-file", file], {}),
        ("node-2", [], {"LIMPET_PASSWORD": SECRET}),
    ]
    for device, options, env in ways:
        done = limpet("provision", device, "--fleet", out, "--username", device, *options, **env)
        assert done.returncode == 0, done.stderr
        assert SECRET not in done.stdout + done.stderr
        config = device_config.read(out / "devices" / device)
        assert (config["username"], config["password"]) == (device, SECRET)
        assert passwords.right(Layout(out), device, SECRET)
    without = limpet("provision", "node-3", "--fleet", out, "--username", "node-3")
    assert without.returncode == 1
    assert "LIMPET_PASSWORD" in without.stderr


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbfp\xc3\xa4ss\r\n",
        b"p\xc3\xa4ss\r\nmore\r\n",
        b"p\xc3\xa4ss",
        b"p\xc3\xa4ss\n",
    ],
)
def test_password_file_of_any_editor(tmp_path: Path, data: bytes) -> None:
    """Byte order mark, CR LF and a missing end of line are not the password's; nor is the locale
    asked.
    """
    (tmp_path / "file").write_bytes(data)
    words = ("--username", "node-1", "--password-file", tmp_path / "file")
    env = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = limpet("provision", "--fleet", tmp_path / "dev", *words, **env)
    assert done.returncode == 0, done.stderr
    config = device_config.read(tmp_path / "dev/devices/node-1")
    assert config["password"].encode() == b"p\xc3\xa4ss"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"Caf\xe9\n", "is not UTF-8."),
        ("p\xe4ss\n".encode("utf-16"), "is not UTF-8."),
        (b"", "password: must have 1 to 128 bytes."),
        (None, "cannot be read: No such file or directory."),
    ],
)
def test_password_file_that_is_none(tmp_path: Path, data: bytes | None, said: str) -> None:
    """A named refusal, nothing made."""
    file = tmp_path / "file"
    if data is not None:
        file.write_bytes(data)
    out = tmp_path / "dev"
    words = ("--fleet", out, "--username", "node-1", "--password-file", file)
    done = limpet("provision", *words)
    assert done.returncode == 1
    assert said in done.stderr.splitlines()[0]
    assert nothing_made(out)


def test_password_variable_that_is_not_utf8(tmp_path: Path) -> None:
    """The variable is named; what is in it is not shown."""
    latin = os.fsdecode(b"Caf\xe9 de nuit")
    for words, variable in (
        (("--wifi-ssid", "x"), "WIFI_PASSWORD"),
        (("--username", "node-1"), "LIMPET_PASSWORD"),
    ):
        done = limpet("provision", "--fleet", tmp_path / "dev", *words, **{variable: latin})
        assert done.returncode == 1
        assert re.match(rf"limpet: The password.* in {variable} is not UTF-8\.\n", done.stderr)
        assert "nuit" not in done.stdout + done.stderr
    assert nothing_made(tmp_path / "dev")


def test_registry_that_is_none(tmp_path: Path) -> None:
    """A registry that was edited by hand and cannot be read is named."""
    open_setup(tmp_path).device(fields("node-1"))
    deep = "[" * 100_000
    bases = (5, None, "#", "farm/+/a/b/node-1")
    entries = [json.dumps({"node-1": base}) for base in bases]
    for text in ("{", "[]", "\xff", deep, *entries):
        Layout(tmp_path).registry.write_bytes(text.encode("latin-1"))
        with pytest.raises(Problem, match=r"devices\.json is no registry any more"):
            Layout(tmp_path).bases()


def test_command_with_wifi(tmp_path: Path) -> None:
    """The network's password comes from the environment; a known device is told another network."""
    out = tmp_path / "dev"

    def wifi(*words: str, **env: str) -> list[str | None]:
        done = limpet("provision", "node-1", "--fleet", out, *words, **env)
        assert done.returncode == 0, done.stderr
        assert SECRET not in done.stdout + done.stderr
        config = device_config.read(out / "devices/node-1")
        return [config.get("wifi_ssid"), config.get("wifi_password")]

    assert wifi("--wifi-ssid", "café", WIFI_PASSWORD=SECRET) == ["café", SECRET]
    assert wifi("--wifi-ssid", "open", WIFI_PASSWORD="") == ["open", None]
    assert wifi() == ["open", None]
    for env, said in (({}, "WIFI_PASSWORD"), ({"WIFI_PASSWORD": "short"}, "wifi_password")):
        done = limpet("provision", "node-1", "--fleet", out, "--wifi-ssid", "café", **env)
        assert done.returncode == 1
        assert said in done.stderr
    assert wifi() == ["open", None]


def test_command_changes_what_it_is_told(tmp_path: Path) -> None:
    """Of a known device what is said is changed, in the registry too, and nothing else; its config
    may have been edited by hand since.
    """
    out = tmp_path / "dev"
    path = out / "devices/node-1/identity.json"
    own = path.with_name("settings.json")
    assert limpet("provision", "node-1", "--fleet", out, "--zone", "shed").returncode == 0
    own.write_text(own.read_text().replace("{", '{"interval_s": 60,', 1))
    before = contents(out / "devices")
    words = ("--broker", "192.0.2.7", "--zone", "hall", "--port", "8883")
    done = limpet("provision", "node-1", "--fleet", out, *words)
    assert "its config has another zone, broker\n" in done.stdout
    config = device_config.read(path.parent)
    assert (config["broker"], config["zone"], config["interval_s"]) == ("192.0.2.7", "hall", 60)
    assert Layout(out).bases() == {"node-1": "limpet/home/hall/climate/node-1"}
    after = contents(out / "devices")
    assert [name for name in after if after[name] != before[name]] == [path]
    assert "another" not in limpet("provision", "node-1", "--fleet", out).stdout
    assert contents(out / "devices") == after
    for text, *more in (
        ('{"broker": ', "--zone", "hall"),
        ("[1]", "--site", "x"),
        ("", "--password-file", out / "limpet.toml"),
    ):
        path.write_text(text)
        broken = limpet("provision", "node-1", "--fleet", out, *more)
        assert broken.stderr == f"limpet: {path} is no config any more.\nCorrect it.\n"


def test_login_of_a_known_device(tmp_path: Path) -> None:
    """A device that is there gets a password later; its key and certificate stay."""
    made = open_setup(tmp_path / "dev")
    made.device(fields("node-1"))
    before = contents(made.layout.device("node-1"))
    made.set_login("node-1", SECRET)
    after = contents(made.layout.device("node-1"))
    assert {path.name for path in after if after[path] != before[path]} == {"identity.json"}
    assert made.config("node-1").password == SECRET


def test_password_that_is_given_is_taken_or_refused(tmp_path: Path) -> None:
    """A file with another password is enough for a device that has a login, and refused for one
    that has none; a password in the environment that nothing asks for is told.
    """
    out, file = tmp_path / "dev", tmp_path / "password"
    file.write_text("first\n")
    words = ("provision", "node-1", "--fleet", out, "--password-file", file)
    none = limpet(*words)
    assert (none.returncode, none.stdout) == (1, "")
    assert "Say --username node-1 as well." in none.stderr
    assert nothing_made(out)
    assert limpet(*words, "--username", "node-1").returncode == 0
    file.write_text(SECRET)
    done = limpet(*words)
    assert done.returncode == 0, done.stderr
    assert "node-1: username and password were set" in done.stdout
    assert open_setup(out).config("node-1").password == SECRET
    assert passwords.right(Layout(out), "node-1", SECRET)
    assert not passwords.right(Layout(out), "node-1", "first")
    other = limpet(
        "provision", "node-1", "--fleet", out, LIMPET_PASSWORD=SECRET, WIFI_PASSWORD=SECRET
    )
    assert "LIMPET_PASSWORD was not taken, which needs --username\n" in other.stdout
    assert "WIFI_PASSWORD was not taken, which needs --wifi-ssid\n" in other.stdout
    assert open_setup(out).config("node-1").password == SECRET
    assert "not taken" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["node-1", "--org", "Up"], "org: no upper case"),
        (["operator-3"], "device_id: is a reserved name"),
        (["node-1", "--broker", "broker.hivemq.com"], "allow_public_broker"),
        (["node-1", "--password-file", "/nowhere", "--username", "node-1"], "/nowhere"),
    ],
)
def test_command_refuses(tmp_path: Path, arguments: list[str], said: str) -> None:
    """A refusal names the field and the rule, and makes nothing."""
    done = limpet("provision", *arguments, "--fleet", tmp_path / "dev")
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert nothing_made(tmp_path / "dev")


Said = Callable[..., str]


@pytest.fixture
def said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Said:
    """Provision in the folder `dev`, and return what is said about that."""

    def run(*device: str, **options: Any) -> str:
        provision(*device, fleet=tmp_path / "dev", **options)
        return capsys.readouterr().out

    return run
