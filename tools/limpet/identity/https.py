"""A certificate for HTTPS by the fleet's own authority: the page's, which browsers see."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from limpet.identity import authority
from limpet.identity.authority import Authority
from limpet.identity.layout import Layout
from limpet.shared import private
from limpet.shared.problem import Problem

CERTIFICATE, KEY = "https.crt", "https.key"
# Apple's browsers take none that is good for longer than 825 days.
VALID = timedelta(days=820)
AHEAD = timedelta(days=60)


def issue(layout: Layout, folder: Path, names: Iterable[str]) -> None:
    """Have one for these names in `folder`, good for a while yet; it is made anew where it is not.
    Without the authority's key nothing is done.
    """
    certificate, key = folder / CERTIFICATE, folder / KEY
    wanted = list(dict.fromkeys(names))
    if certificate.exists() and key.exists():
        try:
            found = authority.load(key, certificate)
        except Problem:
            pass  # a renewal that was cut between its two files
        else:
            good = authority.covers(found.certificate, wanted)
            if good and found.expires > datetime.now(UTC) + AHEAD:
                return
    if not (layout.ca / "ca.key").exists():
        return
    made = Authority.open(layout.ca).server(wanted, datetime.now(UTC), VALID)
    private.folder(folder)
    private.write(folder / KEY, made.key_pem())
    private.write(folder / CERTIFICATE, made.pem())
