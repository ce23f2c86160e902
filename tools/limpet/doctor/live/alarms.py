"""When something is to be told, and when it is over: so that what goes to and fro about a
threshold is not told each time, and a thousand refused logins are not a thousand lines. Pure.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from statistics import median

from limpet.doctor.figures import Judged, Level, Numbers

# It is over when a figure was this far below its threshold in so many looks in a row.
BELOW = 0.95
LOOKS = 3
# The rate of now is that of a minute, the usual one the median of the minutes before, of which
# there have to be five; the last hour counts, so what stays becomes the usual.
MINUTE_S = 60.0
LEAST, MOST = 5, 60
# Repeated things: each kind is told once, then counted, and the count told once a minute.
KINDS = 100
OTHERS = "others"


@dataclass(frozen=True)
class Change:
    """A figure that has come to another level, and the one it had."""

    figure: Judged
    level: Level
    was: Level


class Alarms:
    """The level of each figure, as it was told."""

    def __init__(self) -> None:
        self._levels: dict[str, Level] = {}
        self._calm: dict[str, int] = {}

    def take(self, found: Iterable[Judged]) -> list[Change]:
        """Note what a look has found; return what is to be told."""
        changes = []
        for each in found:
            was = self._levels.get(each.name, "ok")
            level = self._level(each, was)
            if level != was:
                self._levels[each.name] = level
                changes.append(Change(each, level, was))
        return changes

    def _level(self, figure: Judged, was: Level) -> Level:
        order: list[Level] = ["ok", "warning", "critical"]
        if order.index(figure.level) >= order.index(was):
            self._calm[figure.name] = 0
            return figure.level
        threshold = figure.critical if was == "critical" else figure.warning
        calm = threshold is None or figure.value < BELOW * threshold
        self._calm[figure.name] = self._calm.get(figure.name, 0) + 1 if calm else 0
        if self._calm[figure.name] < LOOKS:
            return was
        self._calm[figure.name] = 0
        return figure.level


class Usual:
    """The rate of Messages, learned from a broker's count of what it received."""

    def __init__(self) -> None:
        self._counts: deque[tuple[float, float]] = deque()
        self._minutes: deque[float] = deque(maxlen=MOST)
        self._minute_from: tuple[float, float] | None = None

    def take(self, said: Numbers, now: float) -> Numbers:
        """Return what a broker says at `now` (seconds) with the rate of the last minute and the
        usual one; None each while it is not known.
        """
        count = said.received
        if count is None:
            return replace(said, rate=None, usual=None)
        if self._counts and count < self._counts[-1][1]:  # it has started anew, and counts anew
            self._counts.clear()
            self._minute_from = None
        self._counts.append((now, count))
        while len(self._counts) > 1 and self._counts[1][0] <= now - MINUTE_S:
            self._counts.popleft()
        rate = self._rate(now, count)
        usual = median(self._minutes) if len(self._minutes) >= LEAST else None
        usual_s = len(self._minutes) * MINUTE_S
        self._learn(now, count)
        return replace(said, rate=rate, rate_s=MINUTE_S, usual=usual, usual_s=usual_s)

    def _rate(self, now: float, count: float) -> float | None:
        since, before = self._counts[0]
        return (count - before) / (now - since) if now - since >= MINUTE_S else None

    def _learn(self, now: float, count: float) -> None:
        since, before = self._minute_from or (now, count)
        self._minute_from = (since, before)
        if now - since >= MINUTE_S:
            self._minutes.append((count - before) / (now - since))
            self._minute_from = (now, count)


class Repeated:
    """What comes again and again, such as refused logins: each kind told once, then counted."""

    def __init__(self) -> None:
        self._counts: OrderedDict[str, int] = OrderedDict()
        self._tell_at: float | None = None

    def take(self, kind: str, now: float, count: int = 1) -> bool:
        """Note `count` of a kind; whether it is the first, and to be told at once."""
        if self._tell_at is None:
            self._tell_at = now + MINUTE_S
        if kind not in self._counts and len(self._counts) >= KINDS:
            kind = OTHERS
        first = kind not in self._counts
        self._counts[kind] = self._counts.get(kind, 0) + count - first
        return first and kind != OTHERS

    def more(self, now: float) -> list[tuple[str, int]]:
        """Return once a minute how many more there were of each kind, and forget who was quiet."""
        if self._tell_at is None or now < self._tell_at:
            return []
        found = [(kind, count) for kind, count in self._counts.items() if count]
        self._counts = OrderedDict((kind, 0) for kind, _ in found if kind != OTHERS)
        self._tell_at = now + MINUTE_S if found else None
        if not found:
            self._counts.clear()
        return found
