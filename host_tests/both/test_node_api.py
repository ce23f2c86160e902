"""node/system/node_api.py, case by case, under both Pythons."""

from __future__ import annotations

import pytest
from both.cases import node_api as cases
from support.micropython import pythons


@pytest.mark.parametrize("interpreter", pythons.INTERPRETERS)
@pytest.mark.parametrize("case", pythons.names(cases))
def test_node_api(case: str, interpreter: str) -> None:
    """The case, whose own docstring says what holds, holds under this Python."""
    pythons.run(cases, case, interpreter)
