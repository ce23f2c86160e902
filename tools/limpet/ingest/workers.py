"""`limpet ingest --workers N`: N processes that share the Readings, started, watched and ended by
this one, which counts for all of them.

One that dies is started again, with a back-off: what it had not acknowledged comes again. What only
a person can put right ends all of them.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any

from limpet.ingest import child
from limpet.ingest.counts import MAX_NAMED, Counts
from limpet.ingest.job import Job, Say
from limpet.ingest.worker import LOOK_S, TELL_S
from limpet.shared.problem import Problem

BACKOFF_S = (1.0, 30.0)
# Who has lived so long has done well.
WELL_S = 60.0
# Within this one has written its batch, also to a disk that is slow, and has taken its leave.
END_S = 30.0
_TURN_S = 0.5
# As everywhere but on Linux: a child has nothing of ours but what it is given.
_processes = multiprocessing.get_context("spawn")


class _Place:
    """One worker, by whichever process it is done at present, if by any."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.name = job.address.name
        self.process: Any = None
        self.pipe: Connection | None = None
        self.over = False
        self.due = self.started = 0.0
        self.delay_s = BACKOFF_S[0]
        # What was counted by those before, and by this one.
        self.before = [Counter[str](), Counter[str]()]
        self.now = [Counter[str](), Counter[str]()]

    def start(self) -> None:
        """Start a process for it."""
        self.pipe, theirs = _processes.Pipe()
        self.process = _processes.Process(
            target=child.work, args=(self.job, theirs, os.getpid()), name=self.name
        )
        self.process.start()
        theirs.close()
        self.started = time.monotonic()

    def ended(self) -> str:
        """Say how its process has ended, after its pipe did."""
        assert self.pipe
        self.pipe.close()
        self.process.join(END_S)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join(END_S)
        code = self.process.exitcode or 0
        self.pipe = self.process = None
        for before, now in zip(self.before, self.now, strict=True):
            before.update(now)
            now.clear()
        if time.monotonic() - self.started >= WELL_S:
            self.delay_s = BACKOFF_S[0]
        self.due = time.monotonic() + self.delay_s
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


class Workers:
    """All workers. figures: is given what all of them together have counted, now and then."""

    def __init__(self, jobs: list[Job], say: Say, figures: Callable[[Counts], None]) -> None:
        self._places = [_Place(job) for job in jobs]
        self._say = say
        self._figures = figures
        self._counts = Counts(say, jobs[0].gaps)
        self._heard: set[str] = set()
        self._problem: Problem | None = None
        self._asked = 0
        self._looked = self._told = time.monotonic()
        self._said = ""

    def run(self) -> None:
        """Run them until Ctrl-C, or until all have ended as nothing came. Raises Problem."""
        with self._signals():
            try:
                while not self._problem and not self._asked and self._left():
                    for each in self._left():
                        if each.process is None and time.monotonic() >= each.due:
                            each.start()
                    self._listen(_TURN_S)
                    self._look()
            finally:
                self._end()
        self._tell()
        if self._problem:
            raise self._problem

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Ctrl-C and SIGTERM are counted: an exception would end what is half read. The second one
        waits for nobody.
        """

        def asked(*_: Any) -> None:
            self._asked += 1

        numbers = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, asked) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)

    def _left(self) -> list[_Place]:
        return [each for each in self._places if not each.over]

    def _listen(self, timeout_s: float) -> None:
        by_pipe = {each.pipe: each for each in self._places if each.pipe}
        if not by_pipe:
            time.sleep(timeout_s)
        for pipe in wait(list(by_pipe), timeout_s):
            assert isinstance(pipe, Connection)
            place = by_pipe[pipe]
            try:
                kind, *said = pipe.recv()
            except (EOFError, OSError):
                self._gone(place, place.ended())
            else:
                self._take(place, kind, said)

    def _take(self, place: _Place, kind: str, said: list[Any]) -> None:
        if kind == child.SAY:
            self._say(f"{place.name}: {said[0]}")
        elif kind == child.TELL:
            # Of a device that several of them have something of, one is enough.
            if said[0] not in self._heard and len(self._heard) < MAX_NAMED:
                self._heard.add(said[0])
                self._say(said[0])
        elif kind == child.COUNTED:
            place.now = said[:2]
            self._counts.missed(said[2], {})
        elif kind == child.IDLE:
            place.over = True
        elif place.job.wanted.leaving:
            self._say(f"{place.name}, of earlier workers: {said[0]} {said[1]}")
            place.over = True
        else:
            self._problem = self._problem or Problem(*said)

    def _gone(self, place: _Place, how: str) -> None:
        if place.over or self._problem or self._asked:
            return
        self._say(f"{place.name} has ended ({how}); started again in {place.delay_s:g} s")
        place.delay_s = min(place.delay_s * 2, BACKOFF_S[1])

    def _end(self) -> None:
        """Have all of them end after their commit; who does not is killed."""
        deadline = time.monotonic() + END_S
        for each in self._places:
            if each.pipe:
                with contextlib.suppress(OSError):  # it has ended
                    each.pipe.send("end")
        already = self._asked
        while any(each.pipe for each in self._places):
            if time.monotonic() > deadline or self._asked > max(already, 1):
                for each in self._places:
                    if each.process:
                        self._say(f"{each.name} does not end, and is killed")
                        each.process.kill()
                deadline = time.monotonic() + END_S
                already = self._asked
            self._listen(_TURN_S)

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked >= LOOK_S:
            self._looked = now
            self._counts.look()
        if now - self._told >= TELL_S:
            self._told = now
            self._tell()

    def _tell(self) -> None:
        counts = self._counts
        for total, part in ((counts.all, 0), (counts.reasons, 1)):
            total.clear()
            for each in self._places:
                total.update(each.before[part])
                total.update(each.now[part])
        counts.check()
        text = counts.text()
        if text != self._said:
            self._said = text
            self._figures(counts)
