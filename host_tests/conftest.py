"""Fixtures for every test."""

from brokers import broker, foreign, setup
from nodes import node
from virtual_board import virtual_board

__all__ = ["broker", "foreign", "node", "setup", "virtual_board"]
