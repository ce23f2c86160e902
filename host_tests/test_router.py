"""node/router, under both Pythons."""

from __future__ import annotations

import cases_router
import pytest
from both import INTERPRETERS, names, run


@pytest.mark.parametrize("interpreter", INTERPRETERS)
@pytest.mark.parametrize("case", names(cases_router))
def test_router(case: str, interpreter: str) -> None:
    """Each case holds under both Pythons."""
    run(cases_router, case, interpreter)
