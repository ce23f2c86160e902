"""What the node's pure modules take from MicroPython's module of this name, for CPython; and of its
`gc`, which there is not told after how many bytes to collect.
"""

import gc


def const(value: int) -> int:
    """Return the value: under MicroPython a constant that costs no memory."""
    return value


def _threshold(amount: int) -> None:
    """Nothing to do."""


setattr(gc, "threshold", _threshold)  # noqa: B010 - mypy knows no such name
