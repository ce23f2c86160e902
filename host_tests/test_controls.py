"""node/system/controls.py, case by case, under both Pythons."""

from __future__ import annotations

import both
import cases_controls
import pytest


@pytest.mark.parametrize("interpreter", both.INTERPRETERS)
@pytest.mark.parametrize("case", both.names(cases_controls))
def test_controls(case: str, interpreter: str) -> None:
    """The case, whose own docstring says what holds, holds under this Python."""
    both.run(cases_controls, case, interpreter)
