"""Who is in the registry: what counts where its file cannot be read."""

from __future__ import annotations

from pathlib import Path

from limpet.brokers.setup import open_setup
from limpet.heard.known import Known
from support.brokers.running import base, fields
from support.fleets import fleet


def test_a_registry_that_is_gone(tmp_path: Path) -> None:
    """The devices of before count, and it is said once: a fleet on a disk that is away for a moment
    has lost none.
    """
    setup = open_setup(fleet(tmp_path / "fleet"))
    setup.device(fields("node-1"))
    said: list[str] = []
    known = Known(setup.layout.root, None, said.append)
    bases = {"node-1": base("node-1")}
    assert known.refresh() == bases
    away = setup.layout.registry.rename(tmp_path / "away")
    assert (known.refresh(), known.refresh()) == (bases, bases)
    assert len(said) == 1
    assert "is gone" in said[0]
    away.rename(setup.layout.registry)
    setup.revoke("node-1")
    assert known.refresh() == {}
