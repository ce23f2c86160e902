"""node/reporting/health.py, case by case, under both Pythons."""

from __future__ import annotations

import both
import cases_health
import pytest


@pytest.mark.parametrize("interpreter", both.INTERPRETERS)
@pytest.mark.parametrize("case", both.names(cases_health))
def test_health(case: str, interpreter: str) -> None:
    """The case, whose own docstring says what holds, holds under this Python."""
    both.run(cases_health, case, interpreter)
