"""How often somebody may do something: so many times at once, then one in so many seconds."""

from __future__ import annotations

import time
from collections import OrderedDict

# Of whom it is remembered; who was away the longest is forgotten first.
_MOST = 1024


class Rate:
    """`most` at once, then one in `every_s` seconds."""

    def __init__(self, most: float, every_s: float) -> None:
        self._most = most
        self._every_s = every_s
        self._left = most
        self._at = time.monotonic()

    def wait_s(self) -> float:
        """Return how long to wait for the next; 0: not at all."""
        now = time.monotonic()
        self._left = min(self._most, self._left + (now - self._at) / self._every_s)
        self._at = now
        return 0.0 if self._left >= 1 else (1 - self._left) * self._every_s

    def take(self) -> None:
        """It was done."""
        self._left -= 1

    def back(self) -> None:
        """It does not count."""
        self._left = min(self._most, self._left + 1)


class Rates:
    """A Rate for each of many."""

    def __init__(self, most: float, every_s: float) -> None:
        self._how = (most, every_s)
        self._by_name: OrderedDict[str, Rate] = OrderedDict()

    def of(self, name: str) -> Rate:
        """Return somebody's."""
        found = self._by_name.pop(name, None) or Rate(*self._how)
        self._by_name[name] = found
        while len(self._by_name) > _MOST:
            self._by_name.popitem(last=False)
        return found
