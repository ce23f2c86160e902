"""The Outbox's parts, under both Pythons."""

from __future__ import annotations

import cases_outbox
import pytest
from both import INTERPRETERS, names, run


@pytest.mark.parametrize("interpreter", INTERPRETERS)
@pytest.mark.parametrize("case", names(cases_outbox))
def test_outbox(case: str, interpreter: str) -> None:
    """Each case holds under both Pythons."""
    run(cases_outbox, case, interpreter)
