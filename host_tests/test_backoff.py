"""lib/backoff.py, case by case, under both Pythons."""

from __future__ import annotations

import both
import cases_backoff
import pytest


@pytest.mark.parametrize("interpreter", both.INTERPRETERS)
@pytest.mark.parametrize("case", both.names(cases_backoff))
def test_backoff(case: str, interpreter: str) -> None:
    """The case, whose own docstring says what holds, holds under this Python."""
    both.run(cases_backoff, case, interpreter)
