"""A broker's ports, as somebody finds them who has nothing to show."""

import contextlib
import secrets
import socket
import ssl
import warnings

from cryptography import x509

from limpet.doctor.facts import Certificate, Door
from limpet.doctor.looks.visitor import ANSWER_S, Visitor, tls
from limpet.identity import authority
from limpet.identity.operators import Operator

_OLD = ((ssl.TLSVersion.TLSv1, "TLS 1.0"), (ssl.TLSVersion.TLSv1_1, "TLS 1.1"))
_RENEW = "Run `limpet fleet renew`, and restart the broker."


def plain(host: str, port: int) -> Door | None:
    """Look at a port without TLS; None where nobody listens."""
    if not _listens(host, port):
        return None
    return Door(port, False, *(_knock(host, port, None) or ()))


def secured(host: str, port: int, identity: Operator) -> Door | None:
    """Look at a port with TLS, without showing anything; None where nobody listens.

    identity: for what a broker tells nobody else: its certificate, and which TLS it takes.
    """
    if not _listens(host, port):
        return None
    found = _knock(host, port, tls(None))
    if found is None:
        return Door(port, True)
    speaks, admits = found
    old, certificate_ = _old_tls(host, port, identity), shown(host, port, identity)
    return Door(port, True, speaks, admits, old, certificate_)


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), ANSWER_S).close()
    except OSError:
        return False
    return True


def _knock(host: str, port: int, context: ssl.SSLContext | None) -> tuple[bool, bool] | None:
    """Return whether somebody who shows nothing is answered in MQTT, and whether he is let in; None
    where nothing is answered at all.
    """
    with Visitor((host, port), f"limpet-doctor-{secrets.token_hex(4)}", context) as visitor:
        admits = visitor.connect() == ""
        return None if visitor.silent else (visitor.greeted, admits)


def _old_tls(host: str, port: int, identity: Operator) -> str | None:
    """Return the oldest version below 1.2 that is taken, "" for none; None where this machine's
    OpenSSL knows none of them.
    """
    seen = None
    for version, name in _OLD:
        context = _context(identity)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                context.minimum_version = context.maximum_version = version
            # Below it OpenSSL 3 refuses what these versions sign with.
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
        except (ValueError, ssl.SSLError):
            continue
        seen = seen or ""
        with contextlib.suppress(OSError), _connected(host, port, context) as connection:
            return name if connection.version() else seen
    return seen


def shown(host: str, port: int, identity: Operator) -> Certificate | None:
    """Return the certificate that a broker shows; None where it does not come to that."""
    try:
        with _connected(host, port, _context(identity)) as connection:
            der = connection.getpeercert(binary_form=True)
    except OSError:
        return None
    return certificate(x509.load_der_x509_certificate(der), "the broker", _RENEW) if der else None


def certificate(found: x509.Certificate, whose: str, renew: str) -> Certificate:
    """Return what counts of a certificate."""
    try:
        names = tuple(authority.names(found))
    except x509.ExtensionNotFound:
        names = ()
    start, end = found.not_valid_before_utc, found.not_valid_after_utc
    serial = f"{found.serial_number:x}"
    return Certificate(whose, start.timestamp(), end.timestamp(), renew, names, serial)


def _context(identity: Operator) -> ssl.SSLContext:
    # Whoever it is, he is only looked at.
    return tls(None, files=(identity.cert, identity.key))


def _connected(host: str, port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    connection = socket.create_connection((host, port), ANSWER_S)
    try:
        return context.wrap_socket(connection, server_hostname=host)
    except BaseException:
        connection.close()
        raise
