"""The CA's list of revoked certificates, broker/crl.pem, for brokers that ask nothing else.

It is made from the registry and is always there, at first without an entry: a broker that is told
of a list and finds none does not start. It is good until the CA ends, 20 years: a list that expired
would lock the whole fleet out on the day that nobody ran `limpet`, and nothing is gained by it, as
it lies beside the broker and is not fetched from anywhere. A certificate stays on it until its own
end.
"""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from limpet.identity.authority import Authority
from limpet.identity.layout import Layout
from limpet.identity.registry import Revoked
from limpet.shared import private

# A broker whose clock is behind by as much as this takes it all the same.
BACKDATE = timedelta(days=1)
_SECOND = timedelta(seconds=1)


def refresh(layout: Layout, authority: Authority) -> bool:
    """Write the list anew where it is not the registry's and the CA's; whether it was."""
    with layout.changing():
        now = datetime.now(UTC)
        revoked = layout.registered().revoked
        wanted = {serial: each for serial, each in revoked.items() if _time(each.until) > now}
        old = _read(layout)
        if old is not None and _is(old, wanted, authority):
            return False
        since = now - BACKDATE
        if old is not None:
            # Of two lists of one CA that it has in memory, OpenSSL goes by the later one. In one
            # second there may be two.
            since = max(since, old.last_update_utc + _SECOND)
        private.write(layout.crl, _made(authority, wanted, since).public_bytes(Encoding.PEM))
    return True


def serials(layout: Layout) -> set[str]:
    """Return the serial numbers, in hexadecimal, of all certificates that count no more."""
    return set(layout.registered().revoked)


def _made(
    authority: Authority, revoked: dict[str, Revoked], since: datetime
) -> x509.CertificateRevocationList:
    key = authority.identity.key
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(since)
        .next_update(authority.certificate.not_valid_after_utc)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False
        )
        # It has to count up (RFC 5280 section 5.2.3), and `since` does.
        .add_extension(x509.CRLNumber(int(since.timestamp())), critical=False)
    )
    for serial, each in sorted(revoked.items()):
        entry = x509.RevokedCertificateBuilder().serial_number(int(serial, 16))
        builder = builder.add_revoked_certificate(entry.revocation_date(_time(each.at)).build())
    return builder.sign(key, hashes.SHA256())


def _read(layout: Layout) -> x509.CertificateRevocationList | None:
    try:
        return x509.load_pem_x509_crl(layout.crl.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def _is(
    old: x509.CertificateRevocationList, wanted: dict[str, Revoked], authority: Authority
) -> bool:
    """Whether a list is the CA's, and has these serial numbers."""
    return (
        {each.serial_number for each in old} == {int(serial, 16) for serial in wanted}
        and old.next_update_utc == authority.certificate.not_valid_after_utc
        and old.is_signature_valid(authority.identity.key.public_key())
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
