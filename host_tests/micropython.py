"""What the node's pure modules take from MicroPython's module of this name, for CPython."""


def const(value: int) -> int:
    """Return the value: under MicroPython a constant that costs no memory."""
    return value
