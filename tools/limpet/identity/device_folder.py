"""A device's folder, looked at before any of it goes onto a Board: what the node or the broker
would refuse is refused here, in words.

It changes nothing in the folder, and never says what a file holds that could be a secret.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
)
from cryptography.x509.oid import NameOID

from limpet.identity import device_config
from limpet.identity.device_config import IDENTITY, SPARE
from limpet.shared import private
from limpet.shared.firmware import config, errors
from limpet.shared.problem import Problem


@dataclass(frozen=True)
class DeviceFolder:
    """What a device has for itself, and all of it good.

    `config` has all fields, checked; `fields` those that are said, as they are on the Board.
    `files` go into the Board's root by name: both copies of the identity, and the files it names,
    renamed after their content, so that a new set never mixes with an old one. The settings, at
    `version`, go where the Board's code has its own. `expires` is when the certificate, or the CA,
    is no longer good; None without certificates.
    """

    folder: Path
    device_id: str
    expires: datetime | None
    # Not in the repr, which tracebacks and test reports print: there are a key and passwords in it.
    config: Any = field(repr=False)
    fields: dict[str, Any] = field(repr=False)
    files: dict[str, bytes] = field(repr=False)
    version: int


def checked(folder: Path, asked_id: str | None = None) -> DeviceFolder:
    """Return what is in the `folder` of a device, made by `limpet provision`.

    Raises Problem, each with words of its own, for: no folder; a config that the node would refuse;
    another device than `asked_id`; a file that is missing or no DER; a key that is not of its
    certificate; a certificate that is not valid now, names another device, or is not the CA's.
    """
    if asked_id is not None and not folder.exists():
        raise Problem(
            f"There is no device {asked_id}.",
            f"Make it: limpet provision {asked_id} --broker ADDRESS --wifi-ssid NAME.",
        )
    found = _config(folder)
    again = f"Make it anew: limpet fleet renew {found.device_id}."
    if asked_id not in (None, found.device_id):
        raise Problem(
            f"{folder} was provisioned for {found.device_id}, not for {asked_id}.",
            f"Provision {asked_id}, or ask for {found.device_id}.",
        )
    ders = {
        name: _read(folder, name, getattr(found, name), again)
        for name in ("ca", "cert", "key")
        if getattr(found, name) is not None
    }
    try:
        expires = _identity(found.device_id, ders)
    except ValueError as fault:
        raise Problem(f"{folder}: {fault}.", again) from None
    names = {name: f"{name}-{sha256(der).hexdigest()[:8]}.der" for name, der in ders.items()}
    fields = device_config.read(folder) | names
    identity, _ = config.split(fields)
    files = dict.fromkeys((IDENTITY, SPARE), device_config.sealed(identity))
    files |= {names[name]: der for name, der in ders.items()}
    made = device_config.parsed(fields)
    count = device_config.version(folder)
    return DeviceFolder(folder, found.device_id, expires, made, fields, files, count)


def for_wifi(found: DeviceFolder) -> DeviceFolder:
    """Return the device if it is one for a Board with Wi-Fi: told its network. Raises Problem."""
    if found.config.wifi_ssid is None:
        raise Problem(
            f"The config of {found.device_id} names no Wi-Fi: wifi_ssid {config.WIFI_RULE}.",
            f"Name it: limpet provision {found.device_id} --wifi-ssid NAME.",
        )
    return found


def _config(folder: Path) -> Any:
    try:
        return device_config.load(folder)
    except OSError as error:
        path = device_config.where(folder, error)
        raise Problem(
            f"{path} cannot be read: {error.strerror}.", "Make the device: limpet provision ID."
        ) from None
    except errors.ConfigError as error:
        path = device_config.where(folder, error)
        raise Problem(
            f"{path} would be refused by the node: {error.field} {error.text}.", "Correct it."
        ) from None


def _read(folder: Path, field: str, name: str, remedy: str) -> bytes:
    if Path(name).name != name:
        raise Problem(
            f"{device_config.where(folder)}: {field} is no plain file name.", "Correct it."
        )
    try:
        return private.read(folder / name)
    except OSError as error:
        raise Problem(f"{folder / name} cannot be read: {error.strerror}.", remedy) from None


def _identity(device_id: str, ders: dict[str, bytes]) -> datetime | None:
    """When the first of the certificates expires. Raises ValueError that says what is wrong."""
    certificates = {name: _certificate(name, ders[name]) for name in ders if name != "key"}
    for name, each in certificates.items():
        now = datetime.now(UTC)
        if each.not_valid_after_utc < now:
            raise ValueError(f"the {name} certificate expired {each.not_valid_after_utc:%Y-%m-%d}")
        if each.not_valid_before_utc > now:
            since = f"{each.not_valid_before_utc:%Y-%m-%d}"
            raise ValueError(f"the {name} certificate is not valid before {since}")
    if cert := certificates.get("cert"):
        if _public(_key(ders["key"])) != _public(cert):
            raise ValueError("the key is not of the certificate")
        cns = [name.value for name in cert.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        if cns != [device_id]:
            raise ValueError(f"the certificate does not name the device {device_id}")
        if "ca" in certificates and not _issued(cert, certificates["ca"]):
            raise ValueError("the certificate is not signed by the CA")
    return min((each.not_valid_after_utc for each in certificates.values()), default=None)


def _certificate(name: str, der: bytes) -> x509.Certificate:
    try:
        found = x509.load_der_x509_certificate(der)
        found.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError(f"the {name} file is no certificate in DER") from None
    return found


def _key(der: bytes) -> Any:
    # The parser's own words may quote what it read.
    try:
        return load_der_private_key(der, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("the key file is no key in DER, or one with a password") from None


def _public(owner: Any) -> bytes:
    key: bytes = owner.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return key


def _issued(cert: x509.Certificate, ca: x509.Certificate) -> bool:
    try:
        cert.verify_directly_issued_by(ca)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True
