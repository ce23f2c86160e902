"""One of several workers of `limpet ingest --workers`, in a process of its own: what it says and
counts goes to its parent through a pipe. It ends after its commit when the parent says so or closes
the pipe, and at once, on Linux, when the parent is gone.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Mapping
from multiprocessing.connection import Connection
from typing import Any

from limpet.brokers.mosquitto.with_parent import end_with
from limpet.ingest.counts import Counts
from limpet.ingest.job import Job, held
from limpet.ingest.store import Batch, Outcome
from limpet.shared.problem import Problem

# What comes through the pipe, each with what is said: of this worker alone, of a device, what was
# counted, what a person has to put right, and that nothing has come for as long as was asked for.
SAY, TELL, COUNTED, PROBLEM, IDLE = "say", "tell", "counted", "problem", "idle"


class _Counts(Counts):
    """Sends what it has counted with each batch. What is missing the parent knows better."""

    def __init__(self, pipe: Connection) -> None:
        super().__init__(lambda text: pipe.send((TELL, text)))
        self._pipe = pipe
        self._opened: list[tuple[str, int, int, int]] = []

    def add(self, batch: Batch, outcome: Outcome, messages: int) -> None:
        super().add(batch, outcome, messages)
        self._pipe.send((COUNTED, self.all, self.reasons, self._opened))
        self._opened = []

    def missed(
        self,
        opened: Iterable[tuple[str, int, int, int]],
        filled: Mapping[tuple[str, int], int],
    ) -> None:
        self._opened += opened


def work(job: Job, pipe: Connection, parent: int) -> None:
    """Do it, as a child of the process `parent`."""
    ended = threading.Event()

    def end(*_: Any) -> None:
        ended.set()

    # Ctrl-C goes to all that the terminal has started: the parent says when.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, end)
    # Nothing is lost by it: what was not acknowledged comes again.
    if not end_with(parent, getattr(signal, "SIGKILL", signal.SIGTERM)):
        return
    try:
        with held(job.address.key):
            worker = job.worker(
                lambda text: pipe.send((SAY, text)),
                _Counts(pipe),
                lambda: ended.is_set() or pipe.poll(),
            )
            if worker.run(job.idle_s):
                pipe.send((IDLE,))
    except Problem as problem:
        pipe.send((PROBLEM, problem.cause, problem.remedy))
    except (BrokenPipeError, ConnectionError):
        pass  # the parent is gone
