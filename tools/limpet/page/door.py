"""What it takes to come in, put together: HTTPS, the password, who may what."""

from __future__ import annotations

from pathlib import Path

from limpet.identity import https
from limpet.identity.layout import Layout
from limpet.page.asked import LOOPBACK, Serving
from limpet.page.serving.guard import Access
from limpet.page.serving.login import FILE, Login
from limpet.shared.problem import Problem


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
    if fleet:
        https.issue(Layout(fleet), folder, (*asked.hosts(), *sorted(LOOPBACK)))
    return _readable(folder / https.CERTIFICATE, folder / https.KEY)


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
