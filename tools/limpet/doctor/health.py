"""`limpet health`: whether a broker does what the fleet needs of it, within 5 s.

The exit code says it, for cron, systemd and what watches a system: 0 healthy, 1 degraded, 2 down,
as such programs count, and 3 where the broker could not be asked at all.
"""

import json
import sys
import time
from dataclasses import dataclass
from typing import Annotated, Any

from cyclopts import Parameter

from limpet.brokers import written
from limpet.brokers.capacity import Limits
from limpet.doctor import figures
from limpet.doctor.live import parsed
from limpet.doctor.probe import STEPS, Probe, Seen
from limpet.identity.fleet_folder import FleetOption
from limpet.identity.layout import Layout
from limpet.operating.where import Where
from limpet.shared.numbers import Port, Seconds
from limpet.shared.plain import plural, safe
from limpet.shared.problem import Problem, told

CODES = {"healthy": 0, "degraded": 1, "down": 2, "not asked": 3}
MEANS = {
    "healthy": "every step works, and none is slow",
    "degraded": "every step works, but something will soon not, or one is slow",
    "down": "a step fails, or the command line is wrong",
    "not asked": "there is no fleet, no device in it, or no identity to ask with",
}
# On a network of one's own each step takes milliseconds; a handshake on a Raspberry Pi, 50.
SLOW_S = 1.0
# The broker's certificate is made anew 60 days ahead of its end: half of that has passed.
CERTIFICATE_DAYS = 30
NEAR = 0.8
_DAY_S = 24 * 3600


@dataclass(frozen=True)
class Reason:
    """Why a broker is not healthy, and what to do about it."""

    cause: str
    remedy: str


def reasons(seen: Seen, limits: Limits, now: float, slow_s: float = SLOW_S) -> list[Reason]:
    """Return why a broker that works is degraded; none: it is healthy. Pure.

    now: Unix seconds.
    """
    found = []
    for step, took in seen.took.items():
        if took > slow_s:
            remedy = "Look at the load of its machine, and at the way there."
            found.append(Reason(f"{step} took {took:.1f} s", remedy))
    renew = "Run `limpet fleet renew` or `provision`, and have the broker read its files again."
    own = f"limpet operator renew {seen.name}"
    ends = (
        ("the broker's certificate", seen.server_ends, renew),
        (f"the certificate of {seen.name}", seen.own_ends, own),
    )
    for whose, end, remedy in ends:
        if end is not None and end - now < CERTIFICATE_DAYS * _DAY_S:
            days = max(int((end - now) // _DAY_S), 0)
            found.append(Reason(f"{whose} ends in {plural(days, 'day')}", remedy))
    for each in figures.judged(parsed.of_sys(seen.said), limits):
        if each.limit and each.value > NEAR * each.limit:
            found.append(Reason(f"{each.words()}: over {NEAR * 100:.0f} %", each.remedy))
    return found


def limits_of(layout: Layout, kind: str = "mosquitto") -> Limits:
    """Return the limits of the fleet's broker: as its files have them, else as they would be."""
    devices = written.size(len(layout.bases()))
    noted = written.record(layout, kind) or written.Written(kind, "", "", 8883, devices)
    return written.plan_by(layout, noted).limits


def health(
    broker: str | None = None,
    /,
    *,
    port: Port | None = None,
    server_name: str | None = None,
    slow: Seconds = SLOW_S,
    fleet: FleetOption = None,
    as_json: Annotated[
        bool, Parameter(name="--json", negative=(), help="Print it as JSON.")
    ] = False,
) -> int:
    """Say whether a broker works: connect, subscribe, publish, and have it back, within 5 s.

    It asks with an operator's certificate, touches no device and leaves nothing behind. Exit code:
    0 healthy, 1 degraded, 2 down (or wrong usage), 3 it could not be asked.

    Parameters
    ----------
    broker
        Host name or address [default: where the fleet's first device looks; its further ones have
        to be named].
    port
        Port [default: that of the running `limpet broker`, else the devices' own].
    server_name
        Name the broker's certificate has to carry [default: the host name].
    slow
        Seconds of one step above which the broker counts as degraded.
    """
    try:
        where = Where(fleet, broker, port, server_name).settled(tell=True)
        limits = limits_of(Layout(where.root))
        probe = Probe(where)
    except (Problem, OSError) as error:
        print(told(error).text(), file=sys.stderr)
        return CODES["not asked"]
    seen = probe.look()
    for host, number in probe.others:
        name = f"limpet health {host} --port {number}"
        print(f"limpet: the nodes have another broker, not asked: {name}", file=sys.stderr)
    if seen.failed:
        step, fault = seen.failed
        state, why = "down", [Reason(f"{step}: {fault.cause}", fault.remedy)]
    else:
        why = reasons(seen, limits, time.time(), slow)
        state = "degraded" if why else "healthy"
    print(json.dumps(_summary(state, seen, why), indent=2) if as_json else _text(state, seen, why))
    return CODES[state]


def _summary(state: str, seen: Seen, why: list[Reason]) -> dict[str, Any]:
    return {
        "state": state,
        "broker": seen.where,
        "identity": seen.name,
        "steps_ms": {step: _ms(seen, step) for step in STEPS},
        "failed": seen.failed[0] if seen.failed else None,
        "certificate_ends": int(seen.server_ends) if seen.server_ends else None,
        "reasons": [vars(each) for each in why],
    }


def _ms(seen: Seen, step: str) -> float | None:
    return round(seen.took[step] * 1000, 1) if step in seen.took else None


def _text(state: str, seen: Seen, why: list[Reason]) -> str:
    lines = [f"{seen.where} is {state}"]
    for step in STEPS:
        if step in seen.took:
            lines.append(f"  {step:<11}{_ms(seen, step):>8} ms")
        elif seen.failed and step == seen.failed[0]:
            lines.append(f"  {step:<11}  failed")
    for each in why:
        lines += [f"{each.cause.rstrip('.')}.", f"  {each.remedy}"]
    return "\n".join(safe(line) for line in lines)
