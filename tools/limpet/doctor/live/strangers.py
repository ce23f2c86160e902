"""Devices that speak and are in no registry: told apart by their topics. Pure."""

from collections import OrderedDict
from collections.abc import Container, Mapping

from limpet.brokers.rules import DESIRED
from limpet.shared.firmware import topics
from limpet.shared.plain import safe, short

# Whoever may write anywhere may make up as many names as he likes.
MOST = 100
# What is said to a device, and not by it.
_TO_DEVICES = (topics.COMMANDS, DESIRED)
_LEVELS = 5


class Strangers:
    """Who was heard and is not known: MOST of them by name. Of further ones only the Messages are
    counted, in `more`: to count each device once, all their names would have to be kept.

    bases: base topic of each device by its id; consumers: names of programs. Both may be set anew.
    """

    def __init__(self, bases: Mapping[str, str], consumers: Container[str]) -> None:
        self.known(bases, consumers)
        self.more = 0
        self._last: OrderedDict[str, float] = OrderedDict()

    def known(self, bases: Mapping[str, str], consumers: Container[str]) -> list[str]:
        """Go by the registry of now; return who was a stranger and is none any more."""
        self._bases, self._consumers = frozenset(bases.values()), consumers
        gone = [base for base in getattr(self, "_last", ()) if base in self._bases]
        return [base for base in gone if self._last.pop(base, None) is not None]

    def take(self, topic: str, now: float) -> str | None:
        """Note a Message; return the base topic of a stranger who is heard for the first time."""
        levels = topic.split("/", _LEVELS)
        if len(levels) <= _LEVELS or levels[_LEVELS] in _TO_DEVICES:
            return None
        base = "/".join(levels[:_LEVELS])
        if base in self._bases or levels[_LEVELS - 1] in self._consumers:
            return None
        if base in self._last:
            self._last[base] = now
            self._last.move_to_end(base)
            return None
        if len(self._last) >= MOST:
            self.more += 1
            return None
        self._last[base] = now
        return short(safe(base))

    def silent(self, before: float) -> list[str]:
        """Return who was not heard since `before`, and forget them."""
        gone = []
        for base, last in list(self._last.items()):
            if last >= before:
                break
            del self._last[base]
            gone.append(short(safe(base)))
        return gone

    def names(self) -> list[str]:
        """Return the base topics of who is heard at present."""
        return [short(safe(base)) for base in self._last]
