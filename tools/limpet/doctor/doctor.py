"""`limpet doctor`: what is wrong with a fleet's broker, or with one of its devices, worst first,
and what to do about each.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from limpet.doctor.checks import examine
from limpet.doctor.facts import Facts
from limpet.doctor.finding import Finding
from limpet.doctor.gathering import PLAIN_PORT, Asked, Unseen, gathered
from limpet.identity.fleet_folder import FleetOption
from limpet.identity.layout import Layout
from limpet.operating.where import Where
from limpet.shared.numbers import Port
from limpet.shared.plain import safe
from limpet.shared.problem import Problem

CODES = {"ok": 0, "note": 0, "warning": 1, "critical": 2, "not asked": 3}
MEANS = {
    "ok": "nothing is wrong, as far as can be seen",
    "note": "nothing is wrong; something is good to know",
    "warning": "something is wrong that will do harm, or may",
    "critical": "somebody reads or writes what is not his, or Readings do not arrive; or the "
    "command line is wrong",
    "not asked": "there is no fleet, no device in it, or no identity to ask with",
}
LISTEN_S = 12.0

ListenSeconds = Annotated[float, Parameter(validator=Number(gte=2, lte=3600))]


def doctor(
    target: str | None = None,
    /,
    *,
    port: Port | None = None,
    server_name: str | None = None,
    plain_port: Port = PLAIN_PORT,
    seconds: ListenSeconds = LISTEN_S,
    follow: Annotated[bool, Parameter(negative=())] = False,
    figures: str | None = None,
    log: Path | None = None,
    fleet: FleetOption = None,
    as_json: Annotated[
        bool, Parameter(name="--json", negative=(), help="Print it as JSON.")
    ] = False,
) -> int:
    """Say what is wrong with the broker, or with a device, worst first, each with what to do.

    It listens for a while as an operator, and connects in the name of up to three devices that are
    not there, to see what they may; it changes nothing. Exit code: 0 nothing is wrong, 1 a warning,
    2 critical (or wrong usage), 3 it could not be asked.

    Parameters
    ----------
    target
        A device of the fleet, or a broker's host name or address [default: the broker where the
        fleet's first device looks, and all devices].
    port
        Port of the broker [default: that of the running `limpet broker`, else the devices' own].
    server_name
        Name the broker's certificate has to carry [default: the host name].
    plain_port
        Port on which nothing should speak MQTT without TLS.
    seconds
        How long to listen.
    follow
        Say as it happens, until Ctrl-C, who is refused, who speaks and is in no registry, and which
        figure of `limpet capacity --live` is near its limit, and no more.
    figures
        Of --follow: where RabbitMQ or NATS shows its figures by HTTP [default: on this machine,
        where the fleet's broker files have it].
    log
        Of --follow: the broker's log, - for standard input [default: that of `limpet broker`].
    """
    try:
        asked = _asked(target, Where(fleet, None, port, server_name), plain_port, seconds)
        if follow:
            from limpet.doctor import follow as following  # it takes HTTP, which the rest does not

            return following.follow(asked.where, asked.device, figures, log, as_json)
        facts, unseen = gathered(asked)
    except Problem as problem:
        print(f"limpet: {problem.cause}\n{problem.remedy}", file=sys.stderr)
        return CODES["not asked"]
    found = examine(facts)
    level = found[0].level if found else "ok"
    if as_json:
        print(json.dumps(_summary(asked, facts, level, found, unseen), indent=2))
    else:
        print(_text(asked, facts, level, found, unseen))
    return CODES[level]


def _asked(target: str | None, where: Where, plain_port: int, seconds: float) -> Asked:
    settled = where.settled(target, tell=True)
    if target is None or target in Layout(settled.root).bases():
        return Asked(settled, target or "", plain_port, seconds)
    there = Where(settled.fleet, target, where.port, where.server_name)
    return Asked(there, "", plain_port, seconds)


def _summary(
    asked: Asked, facts: Facts, level: str, found: list[Finding], unseen: list[Unseen]
) -> dict[str, Any]:
    return {
        "broker": facts.where,
        "device": asked.device or None,
        "level": level,
        "findings": [asdict(each) for each in found],
        "not_seen": [asdict(each) for each in unseen],
    }


def _text(
    asked: Asked, facts: Facts, level: str, found: list[Finding], unseen: list[Unseen]
) -> str:
    of = f"{asked.device}, at {facts.where}" if asked.device else facts.where
    lines = [f"{of}: {level}"]
    for each in found:
        lines += [
            f"{each.level:<9} {each.cause}",
            f"          {each.means}",
            f"       -> {each.remedy}",
        ]
    for one in unseen:
        lines.append(f"not seen  {one.what}: {one.why}")
    return "\n".join(safe(line) for line in lines)
