"""`limpet ingest`: what nodes publish goes into a store, and is acknowledged when it is there."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from limpet.identity.layout import Layout
from limpet.ingest import places
from limpet.ingest.asked import Wanted
from limpet.ingest.counts import Counts
from limpet.ingest.job import Job, alone
from limpet.ingest.options import Source, address_of, filters, fleet_of, key_of
from limpet.ingest.reader import reader
from limpet.ingest.report import report as print_report
from limpet.ingest.workers import Workers
from limpet.shared.firmware import topics
from limpet.shared.numbers import MAX_WORKERS, Seconds, WorkerCount, whole

DAY_S = 24 * 3600
# What is left of a worker of before is taken when the broker has sent nothing more for so long.
LEFT_S = 2.0
Days = Annotated[int, Parameter(converter=whole, validator=Number(gte=1, lte=36600))]
Flag = Parameter(negative=())
_READINGS = (topics.TELEMETRY, topics.BACKLOG)
_EVENTS = (topics.STATUS, topics.ALERTS, topics.HEALTH, topics.RESPONSE, f"{topics.RESPONSE}/+")


def ingest(
    *,
    store: str | None = None,
    report: Annotated[bool, Flag] = False,
    share: Annotated[bool, Flag] = False,
    workers: WorkerCount | None = None,
    keep: Days | None = None,
    idle: Seconds | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
    source: Source | None = None,
) -> int:
    """Store what the nodes publish, without a gap and without a duplicate, until Ctrl-C.

    What is stored is on the disk before the broker is told so. Meanwhile, and while this does not
    run, the broker queues. A Reading that comes twice is stored once; what is missing is told.

    Parameters
    ----------
    store
        A file for SQLite, or postgresql://USER@HOST/DATABASE or timescaledb://... A password
        belongs into ~/.pgpass, or the whole into the variable LIMPET_STORE [default:
        store/limpet.db in the fleet].
    report
        Say what the store holds of each device, what is missing and what was rejected, and end.
    share
        Take a share of the Readings, as one of several: each on another machine, or with another
        --as. The broker has to speak MQTT 5.
    workers
        Take the Readings by so many processes on this machine, each with an identity of its own:
        NAME, NAME-2, NAME-3, ... One that dies is started again. Where there were more before,
        what those have left at the broker is stored first.
    keep
        Drop what is older than so many days.
    idle
        End when nothing has come for so many seconds.
    as_json
        Print figures, once a minute and at the end, or the report, as JSON.
    """
    asked = source or Source()
    fleet = fleet_of(asked, needed=not report)
    where = places.place(store, fleet)
    if report:
        with reader(where) as found:
            print_report(found, where.shown, as_json)
        return 0

    def say(text: str) -> None:
        print(f"limpet ingest: {text}", file=sys.stderr if as_json else sys.stdout, flush=True)

    def figures(counts: Counts) -> None:
        if as_json:
            print(json.dumps(counts.figures()), flush=True)
        else:
            say(counts.text())

    made = _jobs(asked, fleet, where, keep=keep, idle=idle, share=share, workers=workers)
    say(f"into {where.shown}; Ctrl-C ends it")
    try:
        if workers is None:
            alone(made[0], say, figures)
        else:
            Workers(made, say, figures).run()
    except KeyboardInterrupt:
        if sys.stdout.isatty():
            print()  # after the terminal's ^C
    return 0


def _jobs(
    asked: Source,
    fleet: Path | None,
    store: places.Place,
    *,
    keep: int | None,
    idle: float | None,
    share: bool,
    workers: int | None,
) -> list[Job]:
    """Return what each worker has to do. With `workers` also for those that others have left over,
    up to MAX_WORKERS.
    """
    layout = Layout(fleet) if fleet else None
    events, readings = (filters(asked, layout, each) for each in (_EVENTS, _READINGS))
    job = Job(
        address_of(asked, fleet, asked.name),
        # The statuses that are retained come by no shared subscription: each takes them all.
        Wanted(events, readings) if share else Wanted((*readings, *events)),
        store,
        fleet,
        keep_s=keep * DAY_S if keep else None,
        idle_s=idle,
        shared=share,
    )
    if workers is None:
        return [job]
    first = Wanted(events, readings) if workers > 1 else job.wanted
    found = [replace(job, wanted=first, shared=True)]
    for number in range(2, MAX_WORKERS + 1):
        name = f"{asked.name}-{number}"
        if number <= workers:
            wanted, idle_s = Wanted((), readings, events), idle
        elif key_of(asked, fleet, name).exists():
            wanted, idle_s = Wanted((), (), (*readings, *events)), LEFT_S
        else:
            continue
        address = address_of(asked, fleet, name)
        found.append(replace(found[0], address=address, wanted=wanted, idle_s=idle_s, keep_s=None))
    return found
