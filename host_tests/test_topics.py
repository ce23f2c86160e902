"""node/shared/topics, under both Pythons."""

from __future__ import annotations

import cases_topics
import pytest
from both import INTERPRETERS, names, run


@pytest.mark.parametrize("interpreter", INTERPRETERS)
@pytest.mark.parametrize("case", names(cases_topics))
def test_topics(case: str, interpreter: str) -> None:
    """Each case holds under both Pythons."""
    run(cases_topics, case, interpreter)
