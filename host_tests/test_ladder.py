"""node/system/ladder, node/system/crashes and node/shared/handover, under both Pythons."""

from __future__ import annotations

import cases_ladder
import pytest
from both import INTERPRETERS, names, run


@pytest.mark.parametrize("interpreter", INTERPRETERS)
@pytest.mark.parametrize("case", names(cases_ladder))
def test_ladder(case: str, interpreter: str) -> None:
    """Each case holds under both Pythons."""
    run(cases_ladder, case, interpreter)
