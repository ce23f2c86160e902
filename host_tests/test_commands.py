"""node/commands, under both Pythons."""

from __future__ import annotations

import cases_commands
import pytest
from both import INTERPRETERS, names, run


@pytest.mark.parametrize("interpreter", INTERPRETERS)
@pytest.mark.parametrize("case", names(cases_commands))
def test_commands(case: str, interpreter: str) -> None:
    """Each case holds under both Pythons."""
    run(cases_commands, case, interpreter)
