"""`limpet ingest`: what nodes publish goes into a store, and is acknowledged when it is there."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from limpet.identity import fleet_folder
from limpet.identity.fleet_folder import FleetOption
from limpet.identity.layout import Layout
from limpet.ingest import places
from limpet.ingest.consumer import Address, Consumer, Wanted
from limpet.ingest.counts import Counts
from limpet.ingest.reader import reader
from limpet.ingest.report import report as print_report
from limpet.ingest.worker import Registry, Worker
from limpet.operating.where import SetupInfo
from limpet.shared import locks
from limpet.shared.firmware import topics
from limpet.shared.numbers import Port, Seconds, whole
from limpet.shared.problem import Problem

DAY_S = 24 * 3600
MQTT_PORT = 8883
NAME = "ingest"
MAX_WORKERS = 16
Workers = Annotated[int, Parameter(converter=whole, validator=Number(gte=1, lte=MAX_WORKERS))]
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
    broker: str | None = None
    """Host name or address of the broker [default: the devices' own]."""
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

    layout = Layout(fleet) if fleet else None
    registry = Registry(layout, say)
    address = _address(asked, fleet)
    with _alone(address.key):
        consumer = Consumer(address, _wanted(asked, registry, share), say)
        worker = Worker(
            consumer,
            lambda: places.opened(where),
            registry,
            say,
            keep_s=keep * DAY_S if keep else None,
        )
        worker.on_figures = figures
        say(f"into {where.shown}; Ctrl-C ends it")
        try:
            worker.run(idle)
        except KeyboardInterrupt:
            if sys.stdout.isatty():
                print()  # after the terminal's ^C
    return 0


def _fleet(asked: Source, needed: bool) -> Path | None:
    if asked.fleet is None and asked.identity is not None:
        return None
    found = fleet_folder.required(asked.fleet) if needed else fleet_folder.current(asked.fleet)
    if found is None:
        return None
    fleet_folder.tell(found)
    return found.root


def _address(asked: Source, fleet: Path | None) -> Address:
    folder = asked.identity
    if folder is None:
        assert fleet
        folder = Layout(fleet).operator(asked.name)
    files = [folder / "ca.crt", folder / f"{asked.name}.crt", folder / f"{asked.name}.key"]
    for path in files:
        if not path.exists():
            raise Problem(
                f"There is no {path}.", f"Make it: limpet operator add {asked.name} --read."
            )
    host, port, server_name = asked.broker, asked.port, asked.server_name
    if fleet:
        info = SetupInfo(fleet)
        host, port = host or info.host, port or info.port
        server_name = server_name or info.server_name
    if not host:
        raise Problem("Without a fleet nothing says where the broker is.", "Give --broker.")
    return Address(host, port or MQTT_PORT, server_name, asked.name, *files)


def _wanted(asked: Source, registry: Registry, share: bool) -> Wanted:
    organisations = {base.split("/")[0] for base in (registry.bases or {}).values()}
    if asked.organisation:
        organisations = {asked.organisation}
    if not organisations:
        raise Problem("Without a fleet nothing says whose topics.", "Give --organisation.")
    if any(set("/+#$") & set(each) for each in organisations):
        raise Problem(f"{asked.organisation!r} is no organisation.", "Such as limpet.")
    every = [f"{each}/{_EVERY}" for each in sorted(organisations)]
    readings = tuple(f"{base}/{suffix}" for base in every for suffix in _READINGS)
    events = tuple(f"{base}/{suffix}" for base in every for suffix in _EVENTS)
    # The statuses that are retained come by no shared subscription: each takes them all.
    return Wanted(events, readings) if share else Wanted((*readings, *events))


class _alone:
    """Holds the identity: two programs with one would throw each other out."""

    def __init__(self, key: Path) -> None:
        self._key = key
        self._lock = -1

    def __enter__(self) -> None:
        self._lock = os.open(self._key, os.O_RDONLY)
        if not locks.take(self._lock):
            os.close(self._lock)
            name = self._key.stem
            raise Problem(f"Another program runs as {name}.", "End it, or give another --as.")

    def __exit__(self, *error: object) -> None:
        os.close(self._lock)
