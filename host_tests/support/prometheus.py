"""Prometheus of Debian, and its promtool: where they are on this machine, if they are."""

from __future__ import annotations

import functools
import shutil

import pytest
from limpet.node_host import debian
from limpet.shared.problem import Problem


@functools.cache
def _found(program: str) -> list[str] | str:
    if there := shutil.which(program):
        return [there]
    if not debian.available():
        return "no Debian apt to get it from"
    try:
        root = debian.unpacked("prometheus")
    except Problem as problem:
        return problem.cause
    return debian.command(root, debian.HOST, f"usr/bin/{program}")


def command(program: str) -> list[str]:
    """Return how to start `prometheus` or `promtool`: the system's, or Debian's, unpacked; skip the
    test where it cannot be had.
    """
    found = _found(program)
    if isinstance(found, str):
        pytest.skip(f"no {program} here: {found}")
    return found
