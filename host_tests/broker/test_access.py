"""The access matrix, on each kind of broker that runs here, and the table of it in the docs."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.brokers import matrix, matrix_table
from support.brokers.matrix_cases import CASES
from support.brokers.matrix_kinds import KINDS

KNOWN = {each.name: each for each in CASES}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_matrix(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Nobody can do what he may not, everybody what he may, but for what the table says; and the
    table in the docs says what was seen.
    """
    setup = matrix.prepared(tmp_path / "fleet")
    with matrix.world(KINDS[kind](setup), setup, tmp_path / "broker") as world:
        seen = {case.name: case.seen(world) for case in CASES}
    matrix_table.held(kind, seen, write=request.config.getoption("--write-access"))
