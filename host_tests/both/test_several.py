"""node/session/several, under both Pythons."""

from __future__ import annotations

import pytest
from both.cases import several as cases
from support.micropython.pythons import INTERPRETERS, names, run


@pytest.mark.parametrize("interpreter", INTERPRETERS)
@pytest.mark.parametrize("case", names(cases))
def test_several(case: str, interpreter: str) -> None:
    """Each case holds under both Pythons."""
    run(cases, case, interpreter)
