"""A fleet for tests: a folder with a limpet.toml, and what a test puts into it."""

from __future__ import annotations

from pathlib import Path

from limpet.identity import fleet_settings
from limpet.identity.fleet_folder import MARK
from limpet.identity.fleet_settings import Settings
from limpet.shared import private


def fleet(root: Path, settings: Settings | None = None) -> Path:
    """Make the folder `root` a fleet, and return it."""
    private.folder(root)
    private.write(root / MARK, fleet_settings.text(settings or Settings()).encode())
    return root
