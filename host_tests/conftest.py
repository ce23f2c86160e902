"""Fixtures for every test, and what holds for all of them."""

from __future__ import annotations

import gc

import surroundings
from brokers import broker, foreign, setup
from nodes import node
from virtual_board import virtual_board

__all__ = ["broker", "foreign", "node", "setup", "virtual_board"]


def pytest_configure() -> None:
    """Make the surroundings the same, wherever and however the tests were started."""
    surroundings.settle()


def pytest_collection_finish() -> None:
    """Leave pytest's own heap, which stays, out of the node's gc.collect(): 40 % of the time."""
    gc.collect()
    gc.freeze()
