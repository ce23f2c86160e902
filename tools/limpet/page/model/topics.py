"""Which topics there are, how often each was used, and what is retained on it. Bounded: what is
beyond MOST topics is counted and not kept.
"""

from __future__ import annotations

from limpet.brokers.rules import RETAINED
from limpet.shared import payloads

MOST = 10_000
# What is kept of a name and of what is retained.
MAX_NAME = 256
MAX_TEXT = 300
SHOWN = 2_000


class Topic:
    """Of one topic: n, how many Messages; last: Unix seconds; size: bytes of the last payload;
    retained: the front of what is, None where nothing is known to be.
    """

    __slots__ = ("last", "n", "retained", "size")

    def __init__(self) -> None:
        self.n = 0
        self.last = 0.0
        self.size = 0
        self.retained: str | None = None


class Topics:
    """All of them."""

    def __init__(self) -> None:
        self.by_name: dict[str, Topic] = {}
        self.more = 0  # Messages of topics that found no room

    def take(self, name: str, payload: bytes, retained: bool, now: float) -> None:
        """Note a Message. retained: whether the broker said it as what it has retained."""
        name = name[:MAX_NAME]
        topic = self.by_name.get(name)
        if topic is None:
            if len(self.by_name) >= MOST:
                self.more += 1
                return
            topic = self.by_name[name] = Topic()
        topic.n += 1
        topic.last = now
        topic.size = len(payload)
        # Said live it comes without the flag: what topics are for tells.
        if retained or topic.retained is not None or name.endswith(RETAINED):
            text = payloads.show(payload[:MAX_TEXT])[:MAX_TEXT]
            topic.retained = text if payload else None

    def rows(self) -> list[dict[str, object]]:
        """Return the first SHOWN of them, by name."""
        return [
            {
                "topic": payloads.safe(name),
                "n": topic.n,
                "retained": topic.retained,
                "last": round(topic.last, 1),
                "size": topic.size,
            }
            for name, topic in sorted(self.by_name.items())[:SHOWN]
        ]
