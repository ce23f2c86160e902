"""What the scripts of these tests ask of their command lines."""

from __future__ import annotations


def positive(text: str) -> int:
    """Return a whole number above 0; anything else is a typing error, which argparse names."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number
