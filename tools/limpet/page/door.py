"""What it takes to come in, put together: HTTPS, the password, who may what."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from limpet.identity import authority
from limpet.identity.authority import Authority
from limpet.identity.layout import Layout
from limpet.page.asked import LOOPBACK, Serving
from limpet.page.serving.guard import Access
from limpet.page.serving.login import FILE, Login
from limpet.shared import private
from limpet.shared.problem import Problem

CERTIFICATE, KEY = "https.crt", "https.key"
# Apple's browsers take none that is good for longer than 825 days.
VALID = timedelta(days=820)
AHEAD = timedelta(days=60)


def tls(asked: Serving, fleet: Path | None, folder: Path) -> tuple[str, str] | None:
    """Return the files with certificate and key for HTTPS, made in `folder` where they are missing;
    None where none is spoken here. Raises Problem.
    """
    if (asked.certificate is None) != (asked.key is None):
        raise Problem("A certificate is of no use without its key.", "Say --certificate and --key.")
    if asked.certificate and asked.key:
        return _readable(asked.certificate, asked.key)
    if asked.local or asked.behind_proxy:
        return None
    certificate, key = folder / CERTIFICATE, folder / KEY
    if fleet:
        _issue(Layout(fleet), certificate, key, (*asked.hosts(), *sorted(LOOPBACK)))
    return _readable(certificate, key)


def access(asked: Serving, folder: Path, secure: bool) -> Access:
    """Return who may what. folder: where the password is. secure: whether HTTPS is spoken here.
    Raises Problem.
    """
    names = {*asked.hosts(), *(() if asked.behind_proxy else LOOPBACK)}
    login = None
    if asked.guarded:
        if not (folder / FILE).exists():
            raise Problem(
                f"The page needs a password here, and there is no {folder / FILE}.",
                "Give it one: limpet page --set-password.",
            )
        login = Login(folder / FILE)
    return Access(
        frozenset(names),
        login,
        operate=asked.operates,
        secure=secure or asked.behind_proxy,
        proxied=asked.behind_proxy,
    )


def _readable(certificate: Path, key: Path) -> tuple[str, str]:
    for path in (certificate, key):
        if not path.is_file():
            raise Problem(
                f"There is no {path}, which HTTPS needs.",
                "Run it with --fleet once, where the authority's key is; or say --certificate and "
                "--key, or --behind-proxy.",
            )
    return str(certificate), str(key)


def _issue(layout: Layout, certificate: Path, key: Path, names: Iterable[str]) -> None:
    """Have a certificate for these names, good for a while yet, if the authority is here."""
    wanted = list(dict.fromkeys(names))
    if certificate.exists() and key.exists():
        try:
            found = authority.load(key, certificate)
        except Problem:
            found = None
        good = found is not None and authority.covers(found.certificate, wanted)
        if found and good and found.expires > datetime.now(UTC) + AHEAD:
            return
    if not (layout.ca / "ca.key").exists():
        return
    made = Authority.open(layout.ca).server(wanted, datetime.now(UTC), VALID)
    private.folder(certificate.parent)
    private.write(key, made.key_pem())
    private.write(certificate, made.pem())
