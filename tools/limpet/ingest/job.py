"""What one worker of `limpet ingest` has to do, and its doing, in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from limpet.identity.layout import Layout
from limpet.ingest import places
from limpet.ingest.asked import Address, Wanted
from limpet.ingest.consumer import Consumer
from limpet.ingest.counts import Counts
from limpet.ingest.reader import Gap, reader
from limpet.ingest.worker import Registry, Worker
from limpet.shared import locks
from limpet.shared.problem import Problem

Say = Callable[[str], None]


@dataclass(frozen=True)
class Job:
    """Who takes what, and into which store. fleet: whose registry counts. shared: whether others
    write what this one misses. It goes to another process.
    """

    address: Address
    wanted: Wanted
    store: places.Place
    fleet: Path | None
    keep_s: int | None = None
    idle_s: float | None = None
    shared: bool = False

    def worker(self, say: Say, counts: Counts, stopped: Callable[[], bool]) -> Worker:
        """Return the worker, which has begun nothing yet."""
        return Worker(
            Consumer(self.address, self.wanted, say),
            lambda: places.opened(self.store),
            Registry(Layout(self.fleet) if self.fleet else None, say),
            say,
            counts,
            keep_s=self.keep_s,
            stopped=stopped,
        )

    def gaps(self) -> Iterable[Gap] | None:
        """Return what the store lacks, None where it does not say."""
        try:
            with reader(self.store) as found:
                return found.gaps()
        except Problem:
            return None


def alone(job: Job, say: Say, figures: Callable[[Counts], None]) -> None:
    """Do it here, until it is interrupted or idle."""
    with held(job.address.key):
        counts = Counts(say, job.gaps if job.shared else None)
        worker = job.worker(say, counts, lambda: False)
        worker.on_figures = figures
        worker.run(job.idle_s)


def held(key: Path) -> AbstractContextManager[None]:
    """Hold an identity: two programs with one would throw each other out. Raises Problem."""
    return locks.held(key, f"Another program runs as {key.stem}.", "End it, or give another --as.")
