"""node/config/config, under both Pythons."""

from __future__ import annotations

import cases_config
import pytest
from both import INTERPRETERS, names, run


@pytest.mark.parametrize("interpreter", INTERPRETERS)
@pytest.mark.parametrize("case", names(cases_config))
def test_config(case: str, interpreter: str) -> None:
    """Each case holds under both Pythons."""
    run(cases_config, case, interpreter)
