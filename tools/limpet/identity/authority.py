"""The project's own certificate authority: one CA, P-256 keys, certificates for broker and clients.

A CA is never overwritten. What it revokes is in revocation.py. There is no passphrase on its key.
"""

import ipaddress
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from limpet.shared import private
from limpet.shared.problem import Problem

CA_VALID = timedelta(days=20 * 365)
# Nobody visits a node to renew its certificate: it has to outlive the node, within the CA's life.
CLIENT_VALID = timedelta(days=10 * 365)
# A stolen broker is not believed for ever. A new one is made ahead of its end, see provisioning.py.
SERVER_VALID = timedelta(days=825)
# A CA begins before it was made, and all its certificates begin when it does: a node without a time
# server starts at its firmware's build date, which may lie years before a renewal.
BACKDATE = timedelta(days=30)
_REMEDY = "Restore the folder from a backup, or move it away and provision anew."


class OtherKeyError(Problem):
    """A key and a certificate that do not belong together."""


class Identity(NamedTuple):
    """A private key and the certificate for it."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    def key_pem(self) -> bytes:
        """Return the key as PEM, unencrypted, PKCS #8."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def key_der(self) -> bytes:
        """Return the key as DER, SEC 1 (RFC 5915): 121 bytes on the node's flash, PKCS #8 has 138.

        MicroPython 1.25's unix port, 32 and 64 bit, loads both.
        """
        return self.key.private_bytes(
            Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()
        )

    def pem(self) -> bytes:
        """Return the certificate as PEM."""
        return self.certificate.public_bytes(Encoding.PEM)

    def der(self) -> bytes:
        """Return the certificate as DER."""
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def serial(self) -> str:
        """The certificate's serial number, in hexadecimal as the registry has it."""
        return f"{self.certificate.serial_number:x}"

    @property
    def expires(self) -> datetime:
        """The last moment the certificate is good, in UTC."""
        return self.certificate.not_valid_after_utc


class Authority:
    """A CA: `Authority.open(folder)` is kept there, `Authority.new()` in memory alone."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.certificate = identity.certificate

    @classmethod
    def new(cls, name: str = "Limpet CA", now: datetime | None = None) -> "Authority":
        """Make a CA that is stored nowhere. `now` (UTC) is for tests of expiry."""
        now = now or datetime.now(UTC)
        key = ec.generate_private_key(ec.SECP256R1())
        # path_length 0: it signs end entities, no further CA.
        builder = _builder(name, key, now - BACKDATE, now + CA_VALID, usage="sign")
        builder = builder.issuer_name(_name(name)).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        return cls(Identity(key, builder.sign(key, hashes.SHA256())))

    @classmethod
    def open(cls, folder: Path) -> "Authority":
        """Return the CA kept in `folder` (ca.key, ca.crt), made first if there is none.

        Raises Problem when the folder holds something else than a working CA.
        """
        if not folder.exists():
            made = cls.new()
            try:
                with private.new_folder(folder) as draft:
                    private.write(draft / "ca.key", made.identity.key_pem())
                    private.write(draft / "ca.crt", made.identity.pem())
            except FileExistsError:
                pass  # another run made one in this very moment: that one counts
            else:
                return made
        return cls(load(folder / "ca.key", folder / "ca.crt"))

    def server(
        self, names: Iterable[str], now: datetime | None = None, valid: timedelta = SERVER_VALID
    ) -> Identity:
        """Issue a broker's identity for `names`: hosts and IP addresses, the first as CN."""
        alternatives = [each for name in names for each in _alternatives(name)]
        cn = str(alternatives[0].value)
        san = x509.SubjectAlternativeName(alternatives)
        return self._issue(cn, ExtendedKeyUsageOID.SERVER_AUTH, now, valid, san)

    def client(
        self, name: str, now: datetime | None = None, valid: timedelta = CLIENT_VALID
    ) -> Identity:
        """Issue an identity for the client `name` (its CN). A past `now` or `valid`: tests."""
        return self._issue(name, ExtendedKeyUsageOID.CLIENT_AUTH, now, valid, None)

    def credentials(self, identity: Identity) -> dict[str, bytes]:
        """Return the files of a device with this identity, by name: those its config names."""
        return {
            "ca.der": self.identity.der(),
            "cert.der": identity.der(),
            "key.der": identity.key_der(),
        }

    def _issue(
        self,
        cn: str,
        purpose: x509.ObjectIdentifier,
        now: datetime | None,
        valid: timedelta,
        san: x509.SubjectAlternativeName | None,
    ) -> Identity:
        key = ec.generate_private_key(ec.SECP256R1())
        # A certificate that outlives its CA promises what nobody can verify.
        end = min((now or datetime.now(UTC)) + valid, self.certificate.not_valid_after_utc)
        start = self.certificate.not_valid_before_utc if now is None else now - BACKDATE
        # Of a negative `valid` a start before the end is all that is asked.
        builder = _builder(cn, key, min(start, end - BACKDATE), end, usage="use")
        ca_key = self.identity.key.public_key()
        builder = (
            builder.issuer_name(self.certificate.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key), critical=False
            )
        )
        if san:
            builder = builder.add_extension(san, critical=False)
        return Identity(key, builder.sign(self.identity.key, hashes.SHA256()))


def load(key: Path, certificate: Path) -> Identity:
    """Return the pair kept as PEM in two files; raises Problem naming the file at fault."""
    try:
        loaded = load_pem_private_key(private.read(key), None)
        cert = x509.load_pem_x509_certificate(private.read(certificate))
    except (OSError, ValueError, TypeError) as error:
        # The text of a parser's error may quote what it read, and that is a key: only the class is
        # told.
        reason = error.strerror if isinstance(error, OSError) else type(error).__name__
        raise Problem(f"{key} with {certificate.name} cannot be read: {reason}.", _REMEDY) from None
    if (
        not isinstance(loaded, ec.EllipticCurvePrivateKey)
        or loaded.public_key() != cert.public_key()
    ):
        raise OtherKeyError(f"{key} is not the key of {certificate.name}.", _REMEDY)
    return Identity(loaded, cert)


def load_certificate(path: Path) -> x509.Certificate:
    """Return the certificate in a file, PEM or DER; raises Problem."""
    try:
        data = private.read(path)
        pem = data.startswith(b"-----")
        return x509.load_pem_x509_certificate(data) if pem else x509.load_der_x509_certificate(data)
    except (OSError, ValueError) as error:
        raise Problem(f"{path} is no certificate ({type(error).__name__}).", _REMEDY) from None


def key_type(certificate: x509.Certificate) -> str:
    """Return the type of a certificate's key in words, such as `EC P-256`."""
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return type(key).__name__
    return f"EC {key.curve.name}".replace("secp256r1", "P-256")


def names(certificate: x509.Certificate) -> list[str]:
    """Return the host names and addresses that a server certificate is good for."""
    return list(dict.fromkeys(str(name.value) for name in _san(certificate)))


def covers(certificate: x509.Certificate, wanted: Iterable[str]) -> bool:
    """True when the server certificate is good for every name in `wanted`, to every client."""
    san = set(_san(certificate))
    return all(each in san for name in wanted for each in _alternatives(name))


def is_client(certificate: x509.Certificate, ca: x509.Certificate, name: str) -> bool:
    """True when the CA has made the certificate for the client `name` alone."""
    cns = [each.value for each in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    try:
        certificate.verify_directly_issued_by(ca)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return cns == [name]


def _san(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def _builder(
    cn: str, key: ec.EllipticCurvePrivateKey, start: datetime, end: datetime, usage: str
) -> x509.CertificateBuilder:
    # Python 3.13's default context asks for key usage and both key identifiers
    # (VERIFY_X509_STRICT).
    key_usage = x509.KeyUsage(
        digital_signature=usage == "use",
        key_cert_sign=usage == "sign",
        crl_sign=usage == "sign",
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(_name(cn))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(key_usage, critical=True)
        .add_extension(identifier, critical=False)
    )


def _name(cn: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)])


def _alternatives(name: str) -> list[x509.DNSName | x509.IPAddress]:
    """What a certificate for `name` has to say."""
    try:
        address = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return [x509.DNSName(name)]
    # As text besides: Mbed TLS before 3.5 (MicroPython 1.23 on the ESP32) compares nothing else.
    return [address, x509.DNSName(str(address.value))]
