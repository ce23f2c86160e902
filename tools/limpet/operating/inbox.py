"""The bounded queue between the network's thread and the one that prints.

What does not fit is counted and gone: a slow terminal may not hold up the network or eat all
memory. Nothing is reordered, merged or preferred.
"""

import queue
from typing import Generic, TypeVar

# A reader that is slower than the wire by more than this loses items, and can say how many.
SIZE = 10_000

Item = TypeVar("Item")


class Inbox(Generic[Item]):
    """Items in the order of their arrival, `size` of them at most."""

    def __init__(self, size: int = SIZE) -> None:
        self._queue: queue.Queue[Item] = queue.Queue(size)
        self.dropped = 0

    def put(self, item: Item) -> None:
        """Take an item; never waits. What does not fit is counted in `dropped`."""
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            self.dropped += 1

    def get(self, timeout_s: float) -> Item | None:
        """Return the next item, or None when none came within `timeout_s`."""
        try:
            return self._queue.get(timeout=timeout_s)
        except queue.Empty:
            return None
