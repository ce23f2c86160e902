"""Which store is meant: by --store, by a variable, or by the fleet; and its opening."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from limpet.ingest.sqlite_store import SqliteStore
from limpet.ingest.store import Store
from limpet.shared.problem import Problem

VARIABLE = "LIMPET_STORE"


class Place(NamedTuple):
    """Which store is meant. kind: sqlite, postgresql or timescaledb. shown: without a password."""

    kind: str
    url: str
    shown: str


def place(given: str | None, fleet: Path | None) -> Place:
    """Return the store that --store, else LIMPET_STORE, else the fleet says; raises Problem.

    A password in --store is refused: every process of this machine could read it.
    """
    url = given or os.environ.get(VARIABLE)
    if not url:
        if fleet is None:
            raise Problem("There is no fleet here, and no --store.", "Name one of them.")
        url = str(fleet / "store" / "limpet.db")
    scheme, separator, rest = url.partition("://")
    if not separator:
        return Place("sqlite", url, url)
    if scheme == "sqlite":
        path = rest.removeprefix("/") if rest.startswith("//") or os.name == "nt" else rest
        if not path.strip("/"):
            raise Problem(f"{url} names no file.", "Such as sqlite:///var/lib/limpet/limpet.db.")
        return Place("sqlite", path, path)
    kind = {"postgres": "postgresql"}.get(scheme, scheme)
    if kind not in ("postgresql", "timescaledb"):
        raise Problem(
            f"{scheme}:// is no store that is known here.",
            "Say a file, postgresql://USER@HOST/DATABASE or timescaledb://USER@HOST/DATABASE.",
        )
    if given and _has_password(url):
        raise Problem(
            "A password in --store could be read by every process of this machine.",
            f"Say the URL in {VARIABLE}, or the password in ~/.pgpass or PGPASSWORD.",
        )
    return Place(kind, f"postgresql://{rest}", _shown(kind, url))


def _has_password(url: str) -> bool:
    try:
        named = urlsplit(url).password is not None
    except ValueError:
        named = "@" in url
    return named or re.search(r"[?&](ssl)?password=", url) is not None


def _shown(kind: str, url: str) -> str:
    """The URL without what may be a secret."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        at = f"{host}:{parts.port}" if parts.port else host
    except ValueError:
        return f"{kind}://..."
    user = f"{parts.username}@" if parts.username else ""
    return f"{kind}://{user}{at}{parts.path}"


def opened(where: Place) -> Store:
    """Return the store, made if there is none yet. Raises Problem for one that is none of ours, or
    of a newer version, and AwayError.
    """
    if where.kind == "sqlite":
        return SqliteStore(Path(where.url))
    from limpet.ingest.postgres_store import PostgresStore

    return PostgresStore(where.url, where.shown, timescale=where.kind == "timescaledb")
