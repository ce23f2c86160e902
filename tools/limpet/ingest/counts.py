"""What `limpet ingest` has counted since it began, and what it says of it: each cause by its name,
once when it is new, then in figures.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from limpet.ingest.intake import PARTIAL, REASONS
from limpet.ingest.reader import Gap
from limpet.ingest.store import Batch, Outcome
from limpet.shared.plain import plural, safe

# A hole is told after so long: behind an outage live Readings overtake those that waited.
GRACE_S = 60.0
# Lines about single devices, in one look: a thousand of them would say nothing any more.
MAX_LINES = 10
# Of what was named once so much is remembered.
MAX_NAMED = 10_000


class _Missing:
    """Seqs of one boot of a device that were passed over."""

    def __init__(self, first: int, last: int, since: float) -> None:
        self.first = first
        self.last = last
        self.since = since
        self.count = 0
        self.told = False


class Counts:
    """The figures, by name, in `all`. say: takes a line for a person. gaps: asks the store what it
    lacks, None where it cannot be asked; needed where others fill what is missing here.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        gaps: Callable[[], Iterable[Gap] | None] | None = None,
    ) -> None:
        self.all: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self._say = say
        self._gaps = gaps
        self._named: set[tuple[str, str]] = set()
        self._missing: dict[tuple[str, int], _Missing] = {}

    def add(self, batch: Batch, outcome: Outcome, messages: int) -> None:
        """Count a batch that was stored."""
        self.all["messages"] += messages
        self.all["readings"] += outcome.new
        self.all["again"] += outcome.duplicates
        self.all["dated"] += outcome.dated
        self.all["events"] += len(batch.events)
        self.all["given_up"] += outcome.given_up
        self.all["batches"] += 1
        for each in batch.rejected:
            self.reasons[each.reason] += 1
            self._name(each.reason, each.device or each.topic, REASONS[each.reason])
        if outcome.too_many_fields:
            self.reasons["too-many-fields"] += outcome.too_many_fields
            self._name("too-many-fields", "the store", REASONS["too-many-fields"])
        for device, count in outcome.recounted.items():
            self.all["recounted"] += count
            self._name("recounted", device, "it counts anew: was its flash erased?")
        if outcome.opened or outcome.filled:
            self.missed(outcome.opened, outcome.filled)

    def figures(self) -> dict[str, Any]:
        """Return all of them, for JSON."""
        names = ("messages", "readings", "again", "dated", "recounted", "events", "batches")
        figures: dict[str, Any] = {name: self.all[name] for name in names}
        figures["missing"] = self.missing
        figures["rejected"] = dict(sorted(self.reasons.items()))
        return figures

    @property
    def missing(self) -> int:
        """How many seqs were passed over, and have not come since."""
        return sum(each.count for each in self._missing.values())

    def text(self) -> str:
        """Return the figures in words."""
        words = [plural(self.all["messages"], "Message")]
        words += [f"{plural(self.all['readings'], 'Reading')} new"]
        for name, said in (("again", "come again"), ("recounted", "counted anew")):
            words += [f"{self.all[name]:,} {said}"] if self.all[name] else []
        words += [f"{self.missing:,} missing"] if self.missing else []
        words += [f"{n:,} {reason}" for reason, n in sorted(self.reasons.items())]
        return ", ".join(words)

    def look(self) -> None:
        """Tell which holes have been there for GRACE_S. To be called now and then."""
        if not self._late():
            return
        self.check()
        late = self._late()
        for _, _, hole in late:
            hole.told = True
        for device, boot, hole in late[:MAX_LINES]:
            seqs = f"seq {hole.first} to {hole.last}" if hole.last > hole.first else hole.first
            self._say(f"{device}: {hole.count} missing, of boot {boot}, from {seqs} on")
        if more := late[MAX_LINES:]:
            self._say(
                f"and {plural(len(more), 'more boot')} with something missing: --report lists them"
            )

    def _late(self) -> list[tuple[str, int, _Missing]]:
        now = time.monotonic()
        return [
            (*key, hole)
            for key, hole in self._missing.items()
            if not hole.told and now - hole.since >= GRACE_S
        ]

    def check(self) -> None:
        """Correct what is missing by what the store says, where others write to it as well."""
        if not self._gaps or not self._missing or (found := self._gaps()) is None:
            return
        left: dict[tuple[str, int], list[Gap]] = defaultdict(list)
        for gap in found:
            left[gap.device, gap.boot].append(gap)
        for key, hole in list(self._missing.items()):
            if there := left.get(key):
                hole.count = sum(gap.last - gap.first + 1 for gap in there)
                hole.first, hole.last = there[0].first, there[0].last
            else:
                self._filled(key, hole)

    def missed(
        self,
        opened: Iterable[tuple[str, int, int, int]],
        filled: Mapping[tuple[str, int], int],
    ) -> None:
        """Note what an `Outcome` says of seqs that were passed over, and of those that came."""
        for device, boot, first, last in opened:
            hole = self._missing.get((device, boot))
            if hole is None:
                if len(self._missing) >= MAX_NAMED:
                    self._missing.pop(next(iter(self._missing)))
                hole = _Missing(first, last, time.monotonic())
                self._missing[device, boot] = hole
            hole.count += last - first + 1
        for key, count in filled.items():
            hole = self._missing.get(key)
            if hole is None:
                continue  # from before we began
            hole.count -= count
            if hole.count <= 0:
                self._filled(key, hole)

    def _filled(self, key: tuple[str, int], hole: _Missing) -> None:
        del self._missing[key]
        if hole.told:
            self._say(f"{key[0]}: all of boot {key[1]} is there now")

    def _name(self, reason: str, who: str, what: str) -> None:
        if (reason, who) in self._named or len(self._named) >= MAX_NAMED:
            return
        self._named.add((reason, who))
        if sum(1 for each, _ in self._named if each == reason) > MAX_LINES:
            return  # the figures say how many
        kept = "stored without it" if reason in PARTIAL else "kept in the table `rejected`"
        kept = "stored all the same" if reason == "recounted" else kept
        self._say(f"{safe(who) or '(no topic)'}: {reason} ({what}); {kept}")
