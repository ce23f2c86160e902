"""`limpet capacity`: what machines a fleet needs, and with --live how near its broker is to its
limits.
"""

import json
import sys
import time
from dataclasses import asdict
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from limpet.brokers import capacity as formula
from limpet.doctor import figures as figure
from limpet.doctor.figures import Judged, Numbers
from limpet.doctor.health import limits_of
from limpet.doctor.live import monitor, parsed
from limpet.doctor.live.listening import Listening
from limpet.doctor.live.monitor import Monitor
from limpet.doctor.probe import Probe, Seen
from limpet.doctor.sizing import Sizing, sizing
from limpet.identity import device_config, fleet_folder, operators
from limpet.identity.fleet_folder import FleetOption
from limpet.identity.layout import Layout
from limpet.operating.where import Where
from limpet.shared.firmware import errors
from limpet.shared.numbers import Port, Seconds, whole
from limpet.shared.plain import plural, safe
from limpet.shared.problem import Problem, told

CODES = {"ok": 0, "warning": 1, "critical": 2, "not asked": 3}
MEANS = {
    "ok": "no figure of the broker is near its limit",
    "warning": "one is above its warning",
    "critical": "one is above what is critical, or the command line is wrong",
    "not asked": "the broker cannot be asked, or says nothing of itself",
}
SERVICES, MONITORS, INTERVAL_S, FIELDS = 2, 1, 10.0, 2
# So long --live hears who speaks, and counts what comes in.
LISTEN_S = 5.0
# So many configs are read for how often devices speak: a large fleet's are alike.
_SAMPLE = 200

Count = Annotated[int, Parameter(converter=whole, validator=Number(gte=0, lte=1_000_000))]
Fields = Annotated[int, Parameter(converter=whole, validator=Number(gte=1, lte=32))]


def capacity(
    *,
    devices: Count | None = None,
    services: Count | None = None,
    monitors: Count = MONITORS,
    interval: Seconds | None = None,
    fields: Fields = FIELDS,
    live: Annotated[bool, Parameter(negative=())] = False,
    broker: str | None = None,
    port: Port | None = None,
    figures: str | None = None,
    fleet: FleetOption = None,
    as_json: Annotated[
        bool, Parameter(name="--json", negative=(), help="Print it as JSON.")
    ] = False,
) -> int:
    """Say how large broker and store have to be for a fleet; with --live, how full the broker is.

    Exit code with --live: 0 nothing is near its limit, 1 a warning, 2 critical, 3 the broker could
    not be asked, or says nothing of itself: mosquitto, RabbitMQ and NATS do.

    Parameters
    ----------
    devices
        How many devices [default: as the fleet has].
    services
        How many programs hear all devices [default: as the fleet has, two at least].
    monitors
        How many programs watch the broker.
    interval
        Seconds from one Reading of a device to its next [default: as the devices have it].
    fields
        How many values a Reading has.
    live
        Ask the running broker, and hold what it says against its limits.
    broker
        Of --live: host name or address [default: where the fleet's first device looks].
    port
        Of --live: its port [default: that of the running `limpet broker`, else the devices' own].
    figures
        Of --live: where RabbitMQ or NATS shows its figures by HTTP, such as http://127.0.0.1:8222
        [default: on this machine, where the fleet's broker files have it].
    """
    if live:
        return _live(Where(fleet, broker, port), figures, as_json)
    found = fleet_folder.required(fleet) if devices is None else fleet_folder.current(fleet)
    if found:
        fleet_folder.tell(found)
        layout = Layout(found.root)
        devices = len(layout.bases()) if devices is None else devices
        services = _services(layout) if services is None else services
        interval = interval or _interval(layout)
    services = SERVICES if services is None else services
    limits = formula.limits(devices or 0, services, monitors)
    needs = sizing(limits, interval or INTERVAL_S, fields)
    print(json.dumps(asdict(needs), indent=2) if as_json else _text(needs))
    return 0


def _services(layout: Layout) -> int:
    own = [name for name in layout.consumers() if not operators.is_operator(name)]
    return max(len(own) + 1, SERVICES)


def _interval(layout: Layout) -> float | None:
    """Return how many seconds lie between two Readings of the fleet's devices, as a rate's mean."""
    rates = []
    for name in sorted(layout.bases())[:_SAMPLE]:
        try:
            rates.append(1 / device_config.load(layout.device(name)).interval_s)
        except (OSError, errors.ConfigError):
            continue
    return len(rates) / sum(rates) if rates else None


def _text(needs: Sizing) -> str:
    limits = needs.limits
    rows = [
        ("connections", f"{limits.connections:,}"),
        ("file descriptors", f"{limits.open_files:,}, {limits.silent:,} of them for who is new"),
        ("memory", f"{size(needs.usual_bytes)} of the broker, {size(needs.most_bytes)} at most"),
        ("Messages", f"{needs.incoming:,.1f} a second in, {needs.outgoing:,.1f} out"),
        (
            "traffic",
            f"{size(needs.incoming_bytes)} a second in, {size(needs.outgoing_bytes)} out, with TLS",
        ),
        ("all come back", f"{needs.storm_s:,.1f} s of one core, for their TLS"),
        ("storage", f"{size(needs.year_bytes)} a year in SQLite"),
    ]
    kinds = ("device", limits.devices), ("service", limits.services), ("monitor", limits.monitors)
    many = ", ".join(plural(count, kind) for kind, count in kinds)
    said = f"{many}; a Reading of {plural(needs.fields, 'field')} each {needs.interval_s:g} s"
    return "\n".join([said, *(f"  {name:<18}{text}" for name, text in rows), *needs.advice])


def size(count: float) -> str:
    """Return bytes as a person reads them: `3.1 KB`, `26.5 GB`; thousands, as on disks."""
    for unit in ("bytes", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:,.0f} bytes" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"


def _live(where: Where, url: str | None, as_json: bool) -> int:
    try:
        settled = where.settled(tell=True)
        seen = Probe(settled).look()
        if seen.failed:
            raise seen.failed[1]
        found = _looked(settled, seen, url)
    except (Problem, OSError) as error:
        print(told(error).text(), file=sys.stderr)
        return CODES["not asked"]
    worst = max((each.level for each in found), key=CODES.__getitem__)
    if as_json:
        print(json.dumps(_summary(seen.where, worst, found), indent=2))
    else:
        print(safe(f"{seen.where}: {worst}"))
        for each in found:
            print(f"  {each.level:<9} {each.words()}")
            if each.level != "ok":
                print(f"            {each.remedy}")
    return CODES[worst]


def _looked(settled: Where, seen: Seen, url: str | None) -> list[Judged]:
    """Return the figures of a broker that works, after LISTEN_S seconds. Raises Problem."""
    layout = Layout(settled.root)
    by_mqtt = parsed.of_sys(seen.said)
    page = Monitor(url) if url else None if by_mqtt.said() else monitor.of_fleet(layout)
    if page is None and not by_mqtt.said():
        raise Problem(
            f"{seen.where} says nothing of itself below $SYS.",
            "mosquitto does. RabbitMQ and NATS do by HTTP: --figures http://127.0.0.1:8222",
        )
    before, begun = page.numbers() if page else Numbers(), time.monotonic()
    with Listening(settled) as listening:
        print(f"limpet: listening for {LISTEN_S:g} s", file=sys.stderr, flush=True)
        time.sleep(LISTEN_S)
        names, more = listening.strangers()
        said = by_mqtt
        if page:
            said = figure.with_rate(before, page.numbers(), time.monotonic() - begun)
    limits = limits_of(layout, page.kind if page else "mosquitto")
    return [*figure.judged(said, limits), figure.unknown(names, more)]


def _summary(where: str, worst: str, found: list[Judged]) -> dict[str, Any]:
    return {
        "broker": where,
        "level": worst,
        "figures": [{**asdict(each), "level": each.level} for each in found],
    }
