"""Which topic batches go to, under both Pythons."""

from __future__ import annotations

import pytest
from both.cases import way as cases
from support.micropython.pythons import INTERPRETERS, names, run


@pytest.mark.parametrize("interpreter", INTERPRETERS)
@pytest.mark.parametrize("case", names(cases))
def test_way(case: str, interpreter: str) -> None:
    """Each case holds under both Pythons."""
    run(cases, case, interpreter)
