"""Fixtures for every test, and what holds for all of them."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Generator

import pytest
import support.micropython.names  # noqa: F401 - before what is written for MicroPython
from limpet.shared import in_use
from support import schemas, surroundings
from support.brokers.following import followed
from support.brokers.kinds import broker, foreign, set_up_as_it_was, setup
from support.nodes import node
from support.postgres import postgres_server, timescale_server
from support.virtual_board.board import virtual_board

__all__ = [
    "broker",
    "followed",
    "foreign",
    "node",
    "postgres_server",
    "set_up_as_it_was",
    "setup",
    "timescale_server",
    "virtual_board",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what only some tests heed."""
    parser.addoption(
        "--write-access",
        action="store_true",
        help="write what the brokers did into the access matrix of docs/brokers.md",
    )
    parser.addoption(
        "--pictures",
        action="store_true",
        help="write the pictures of the page into docs/images (all of them: build/pictures)",
    )


def pytest_configure() -> None:
    """Make the surroundings the same, wherever and however the tests were started."""
    in_use.hold()
    surroundings.settle()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let each worker begin with its share of what is long: who is left with one at the end lets
    all others wait.
    """
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    long = [each for each in items if each.get_closest_marker("long")]
    rest = iter([each for each in items if not each.get_closest_marker("long")])
    order: list[pytest.Item] = []
    for number in range(workers):
        # As --dist worksteal deals them out, in one piece for each.
        share = (len(items) - len(order)) // (workers - number)
        order += long[number::workers]
        order += itertools.islice(rest, max(share - len(long[number::workers]), 0))
    items[:] = [*order, *rest]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, None, None]:
    """What is said from now on is this test's."""
    schemas.forget()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, None, None]:
    """Fail a test to which something came that no schema allows."""
    result = yield
    _all_fit()
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None, None, None]:
    """So is what came while it ended: goodbyes, wills."""
    result = yield
    _all_fit()
    return result


def _all_fit() -> None:
    if wrong := schemas.faults():
        pytest.fail("docs/schema/ does not allow:\n" + "\n".join(wrong), pytrace=False)


@pytest.fixture(scope="module", autouse=True)
def _frozen() -> None:
    """Leave what is there by now, pytest's heap and what other modules imported, out of the node's
    gc.collect(): it was 40 % of the time, and minutes in a worker that had run everything else.
    """
    gc.collect()
    gc.freeze()
