"""A device's folder before it goes onto a Board: what is wrong with it is found and named."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from limpet.brokers.setup import open_setup
from limpet.identity import device_config
from limpet.identity.authority import Authority, Identity
from limpet.identity.device_folder import checked
from limpet.identity.provisioning import Setup
from limpet.shared import private
from limpet.shared.problem import Problem
from support.brokers.running import fields

SECRET = "not-to-be-seen-anywhere"  # noqa: S105 - of a device that exists in tests alone
Change = Callable[[Path, Authority], None]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    """A set-up with one device, which has a password too."""
    setup = open_setup(tmp_path_factory.mktemp("setup") / "dev")
    setup.device(fields("node-1") | {"username": "node-1", "password": SECRET})
    return setup


@pytest.fixture
def folder(made: Setup, tmp_path: Path) -> Path:
    """A copy of the device's folder, to be spoiled."""
    return Path(shutil.copytree(made.layout.device("node-1"), tmp_path / "device"))


def test_device_that_is_not_there(tmp_path: Path) -> None:
    """Who has not made the device yet is told how, with all that a board needs."""
    with pytest.raises(Problem) as refusal:
        checked(tmp_path / "node-9", "node-9")
    assert refusal.value.cause == "There is no device node-9."
    assert "limpet provision node-9 --broker ADDRESS --wifi-ssid NAME" in refusal.value.remedy


def changed(**changes: Any) -> Change:
    """Change members of the config."""

    def change(folder: Path, _: Authority) -> None:
        device_config.write(folder, device_config.read(folder) | changes)

    return change


def content(name: str, data: bytes) -> Change:
    """Give a file other content."""
    return lambda folder, _: private.write(folder / name, data)


def gone(name: str) -> Change:
    """Remove a file."""
    return lambda folder, _: (folder / name).unlink()


def identity(issue: Callable[[Authority], Identity]) -> Change:
    """Give the device another key and certificate."""

    def change(folder: Path, authority: Authority) -> None:
        new = issue(authority)
        private.write(folder / "cert.der", new.der())
        private.write(folder / "key.der", new.key_der())

    return change


def other_key(folder: Path, authority: Authority) -> None:
    """Give the device the key of somebody else."""
    private.write(folder / "key.der", authority.client("node-1").key_der())


def expired_ca(folder: Path, _: Authority) -> None:
    """Give the device a CA of 21 years ago, and a certificate by it that is good."""
    old = Authority.new(now=datetime.now(UTC) - timedelta(days=21 * 365))
    private.write(folder / "ca.der", old.identity.der())


CASES: dict[str, tuple[Change, str]] = {
    "no identity": (gone("identity.json"), "identity.json cannot be read: No such file"),
    "no settings": (gone("settings.json"), "settings.json cannot be read: No such file"),
    "refused": (changed(interval_s=0), "would be refused by the node: interval_s must"),
    "in the other file": (
        content("settings.json", b'{"v": 1, "zone": "desk"}'),
        "zone belongs into identity.json",
    ),
    "another format": (content("settings.json", b'{"v": 2}'), "v must be 1"),
    "unknown": (changed(colour="red"), "colour unknown key"),
    "no json": (content("identity.json", b"{"), "identity must be JSON"),
    "elsewhere": (changed(key="../key.der"), "key is no plain file name"),
    "absolute": (changed(ca="/ca.der"), "ca is no plain file name"),
    "no key": (gone("key.der"), "key.der cannot be read: No such file"),
    "no certificate": (content("cert.der", b"0 none"), "the cert file is no certificate in DER"),
    "PEM": (content("ca.der", b"-----BEGIN CERTIFICATE-----\n"), "the ca file is no certificate"),
    "no key in it": (content("key.der", SECRET.encode()), "the key file is no key in DER"),
    "another key": (other_key, "the key is not of the certificate"),
    "expired": (
        identity(lambda ca: ca.client("node-1", valid=timedelta(days=-1))),
        r"the cert certificate expired \d{4}-\d\d-\d\d",
    ),
    "not yet": (
        identity(lambda ca: ca.client("node-1", now=datetime.now(UTC) + timedelta(days=90))),
        r"the cert certificate is not valid before \d{4}-\d\d-\d\d",
    ),
    "CA expired": (expired_ca, "the ca certificate expired"),
    "another name": (
        identity(lambda ca: ca.client("node-2")),
        "the certificate does not name the device node-1",
    ),
    "another CA": (
        identity(lambda _: Authority.new().client("node-1")),
        "the certificate is not signed by the CA",
    ),
    # The same name: it is the signature that tells.
    "another CA's files": (
        lambda folder, _: private.write(folder / "ca.der", Authority.new().identity.der()),
        "the certificate is not signed by the CA",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_fault_is_named(folder: Path, made: Setup, case: str) -> None:
    """Each fault is a Problem of its own, which holds no secret and says what to do."""
    change, said = CASES[case]
    change(folder, made.authority)
    with pytest.raises(Problem) as caught:
        checked(folder)
    assert re.search(said, caught.value.cause)
    assert caught.value.remedy
    words = caught.value.cause + caught.value.remedy
    key = made.layout.device("node-1") / "key.der"
    for secret in (SECRET, key.read_bytes().hex(), str(key.read_bytes())[2:-1]):
        assert secret not in words


def test_faults_have_words_of_their_own(folder: Path, made: Setup, tmp_path: Path) -> None:
    """No two kinds of fault are told in the same words."""
    said = set()
    alike = {"absolute", "another CA's files"}  # two ways to the same fault
    for number, case in enumerate(CASES.keys() - alike):
        spoiled = Path(shutil.copytree(folder, tmp_path / str(number)))
        CASES[case][0](spoiled, made.authority)
        with pytest.raises(Problem) as caught:
            checked(spoiled)
        said.add(caught.value.cause.replace(str(spoiled), ""))
    assert len(said) == len(CASES) - len(alike)


def test_another_device_than_asked_for(folder: Path) -> None:
    """A folder of one device is not taken for another; nor is what is no folder."""
    assert checked(folder, "node-1").device_id == "node-1"
    with pytest.raises(Problem, match="was provisioned for node-1, not for node-2"):
        checked(folder, "node-2")
    with pytest.raises(Problem, match="No such file"):
        checked(folder / "nowhere")


def test_files_are_named_by_their_content(folder: Path, made: Setup) -> None:
    """A new key and certificate get new names; the config that goes with them says so, and keeps
    all else. What the node has written beside them stays where it is.
    """
    private.write(folder / "boot.bin", b"1")
    first = checked(folder)
    parsed = first.config
    assert device_config.opened(first.files["identity.json"])["key"] == parsed.key  # type: ignore[index]
    assert first.files["identity.bak"] == first.files["identity.json"]
    for name in ("ca", "cert", "key"):
        data = (folder / f"{name}.der").read_bytes()
        assert getattr(parsed, name) == f"{name}-{sha256(data).hexdigest()[:8]}.der"
        assert first.files[getattr(parsed, name)] == data
    assert len(first.files) == 5
    plain = device_config.load(folder)
    assert parsed._replace(ca="ca.der", cert="cert.der", key="key.der") == plain
    identity(lambda ca: ca.client("node-1"))(folder, made.authority)
    second = checked(folder)
    assert len(first.files.keys() & second.files.keys()) == 3, "the identity's and the CA's"


def test_without_certificates(folder: Path) -> None:
    """A node for a broker on loopback without TLS has a config and nothing else."""
    changed(ca=None, cert=None, key=None)(folder, Authority.new())
    found = checked(folder)
    assert list(found.files) == ["identity.json", "identity.bak"]
    assert found.expires is None


def test_expires_first(folder: Path, made: Setup) -> None:
    """What expires first counts."""
    identity(lambda ca: ca.client("node-1", valid=timedelta(days=9)))(folder, made.authority)
    expires = checked(folder).expires
    assert expires
    assert timedelta(days=8) < expires - datetime.now(UTC) < timedelta(days=9)


def test_nothing_secret_in_its_repr(folder: Path) -> None:
    """What a traceback or a test report prints of it holds no password and no key."""
    found = checked(folder)
    assert SECRET not in repr(found)
    assert "key" not in repr(found)
