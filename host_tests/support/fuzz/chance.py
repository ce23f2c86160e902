"""Chance that is the same on every Python."""


class Random:
    """Lehmer's generator (modulus 2**31 - 1): the same numbers under both Pythons."""

    def __init__(self, seed: int) -> None:
        self._state = seed * 7919 % 2147483646 + 1

    def below(self, end: int) -> int:
        """Return a number from 0 to `end` - 1; `end` is at most 65536."""
        self._state = self._state * 48271 % 2147483647
        return (self._state >> 8) % end
