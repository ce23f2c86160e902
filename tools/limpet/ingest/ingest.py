"""`limpet ingest`: what nodes publish goes into a store, and is acknowledged when it is there."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from limpet.identity import fleet_folder
from limpet.identity.fleet_folder import FleetOption
from limpet.identity.layout import Layout
from limpet.ingest import places
from limpet.ingest.asked import Address, Wanted
from limpet.ingest.counts import Counts
from limpet.ingest.job import Job, alone
from limpet.ingest.reader import reader
from limpet.ingest.report import report as print_report
from limpet.ingest.workers import Workers
from limpet.operating.where import SetupInfo
from limpet.shared.firmware import more_brokers, topics
from limpet.shared.numbers import MAX_WORKERS, Port, Seconds, WorkerCount, whole
from limpet.shared.problem import Problem

DAY_S = 24 * 3600
MQTT_PORT = 8883
NAME = "ingest"
# What is left of a worker of before is taken when the broker has sent nothing more for so long.
LEFT_S = 2.0
Days = Annotated[int, Parameter(converter=whole, validator=Number(gte=1, lte=36600))]
Flag = Parameter(negative=())
_EVERY = "+/+/+/+"
_READINGS = (topics.TELEMETRY, topics.BACKLOG)
_EVENTS = (topics.STATUS, topics.ALERTS, topics.HEALTH, topics.RESPONSE, f"{topics.RESPONSE}/+")


@Parameter(name="*")
@dataclass(frozen=True)
class Source:
    """Which fleet, and who we are to its broker."""

    fleet: FleetOption = None
    identity: Path | None = None
    """Folder with NAME.crt, NAME.key and ca.crt, where there is no fleet [default: the fleet's
    operators/NAME]."""
    name: Annotated[str, Parameter(name="--as")] = NAME
    """Name of that identity; it is good for one program at a time."""
    broker: Annotated[list[str] | None, Parameter(negative=())] = None
    """Host name or address of the broker [default: the devices' own]. Can be repeated: the next
    one, HOST or HOST:PORT, is tried where one cannot be had."""
    port: Port | None = None
    """Port of the broker [default: the devices' own]."""
    server_name: str | None = None
    """Name the broker's certificate has to carry [default: the host name]."""
    organisation: str | None = None
    """First level of the topics [default: those of the fleet's devices]."""


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
    fleet = _fleet(asked, needed=not report)
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
    events, readings = _filters(asked, layout)
    job = Job(
        _address(asked, fleet, asked.name),
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
        elif _key(asked, fleet, name).exists():
            wanted, idle_s = Wanted((), (), (*readings, *events)), LEFT_S
        else:
            continue
        address = _address(asked, fleet, name)
        found.append(replace(found[0], address=address, wanted=wanted, idle_s=idle_s, keep_s=None))
    return found


def _fleet(asked: Source, needed: bool) -> Path | None:
    if asked.fleet is None and asked.identity is not None:
        return None
    found = fleet_folder.required(asked.fleet) if needed else fleet_folder.current(asked.fleet)
    if found is None:
        return None
    fleet_folder.tell(found)
    return found.root


def _key(asked: Source, fleet: Path | None, name: str) -> Path:
    folder = asked.identity
    if folder is None:
        assert fleet
        folder = Layout(fleet).operator(name)
    return folder / f"{name}.key"


def _address(asked: Source, fleet: Path | None, name: str) -> Address:
    key = _key(asked, fleet, name)
    files = [key.with_name("ca.crt"), key.with_name(f"{name}.crt"), key]
    for path in files:
        if not path.exists():
            raise Problem(
                f"There is no {path}.",
                f"Make it: limpet operator add {name} --read; then restart the broker.",
            )
    port, server_name = asked.port, asked.server_name
    brokers = more_brokers.split(asked.broker or (), port or MQTT_PORT)
    if fleet:
        info = SetupInfo(fleet)
        brokers = [(host, port or its) for host, its in info.brokers]
        if asked.broker:
            brokers = more_brokers.split(asked.broker, port or info.port)
        server_name = server_name or info.server_name
    if not brokers:
        raise Problem("Without a fleet nothing says where the broker is.", "Give --broker.")
    if wrong := [host for host, number in brokers if not 0 < number < 65536]:
        raise Problem(f"--broker: a port of {wrong[0]} is none.", "Say HOST or HOST:PORT.")
    ca, certificate, key = files
    return Address(tuple(brokers), server_name, name, ca, certificate, key)


def _filters(asked: Source, layout: Layout | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the topic filters of what is no Reading, and of Readings."""
    bases = layout.bases().values() if layout else ()
    organisations = {base.split("/")[0] for base in bases}
    if asked.organisation:
        organisations = {asked.organisation}
    if not organisations:
        raise Problem("Without a fleet nothing says whose topics.", "Give --organisation.")
    if any(set("/+#$") & set(each) for each in organisations):
        raise Problem(f"{asked.organisation!r} is no organisation.", "Such as limpet.")
    every = [f"{each}/{_EVERY}" for each in sorted(organisations)]
    return (
        tuple(f"{base}/{suffix}" for base in every for suffix in _EVENTS),
        tuple(f"{base}/{suffix}" for base in every for suffix in _READINGS),
    )
