"""Fixture `serve`: starts `limpet page` on free ports, and ends it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from limpet.identity.provisioning import Setup
from support.tool import Tool


class Serve:
    """Starts pages of the fleet `setup`."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._started: list[Tool] = []

    def __call__(self, port: int, *more: str) -> str:
        """Start a page about the broker on `port`, with `more` options; return its address."""
        fleet = str(self._setup.layout.root)
        at = ["--broker", "127.0.0.1", "--port", str(port), "--listen", "127.0.0.1:0"]
        tool = Tool("page", "--fleet", fleet, *at, *more)
        self._started.append(tool)
        tool.wait_for("Ctrl-C ends it")
        found = re.search(r"http://\S+/", tool.text)
        assert found, tool.text
        return found[0]

    def end(self) -> None:
        """End all that were started."""
        while self._started:
            self._started.pop().__exit__()


@pytest.fixture
def serve(setup: Setup) -> Iterator[Serve]:
    """Start pages on free ports, and end them."""
    serving = Serve(setup)
    yield serving
    serving.end()
