"""Fixtures for every test."""

from brokers import broker, foreign, setup
from nodes import node

__all__ = ["broker", "foreign", "node", "setup"]
