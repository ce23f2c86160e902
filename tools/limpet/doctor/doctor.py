"""`limpet doctor`: what is wrong with a fleet's broker, or with one of its devices, worst first,
and what to do about each.
"""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import CycloptsError, Parameter
from cyclopts.validators import Number

from limpet.doctor import clearing, report
from limpet.doctor.checks import examine
from limpet.doctor.gathering import PLAIN_PORT, Asked, gathered
from limpet.identity.fleet_folder import FleetOption
from limpet.identity.layout import Layout
from limpet.operating.where import Where
from limpet.shared.numbers import Port
from limpet.shared.problem import Problem, there_is, told

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
    log: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    fleet: FleetOption = None,
    clear_retained: Annotated[str | None, Parameter(show_default=False)] = None,
    yes: Annotated[bool, Parameter(negative=())] = False,
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
        The broker's log, - for standard input [default: that of `limpet broker`].
    clear_retained
        Look at nothing else: show what is retained on topics that this filter fits, and clear it.
        It asks first.
    yes
        With --clear-retained: do not ask.
    """
    _refuse(
        ("--clear-retained and --follow are two things.", clear_retained is not None and follow),
        ("--yes belongs to --clear-retained.", yes and clear_retained is None),
        ("--figures belongs to --follow.", figures is not None and not follow),
    )
    here = Where(fleet, None, port, server_name)
    if clear_retained is not None:
        return clearing.clear(_asked(target, here).where, clear_retained, yes, as_json)
    try:
        asked = replace(_asked(target, here), plain_port=plain_port, seconds=seconds, log=log)
        if follow:
            from limpet.doctor import follow as following  # it takes HTTP, which the rest does not

            return following.follow(asked.where, asked.device, figures, log, as_json)
        facts, unseen = gathered(asked)
        if target and not asked.device and facts.seen and "name" not in facts.seen.took:
            raise Problem(
                f"{target} is neither a device of the fleet nor a host's name.",
                there_is(facts.bases, target),
            )
    except (Problem, OSError) as error:
        print(told(error).text(), file=sys.stderr)
        return CODES["not asked"]
    found = examine(facts)
    level = found[0].level if found else "ok"
    if as_json:
        print(json.dumps(report.summary(facts, asked.device, level, found, unseen), indent=2))
    else:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 1000
        print(report.text(facts, asked.device, found, unseen, width))
    return CODES[level]


def _refuse(*rules: tuple[str, bool]) -> None:
    """Say what does not go together: one of it would be passed over without a word."""
    for rule, is_broken in rules:
        if is_broken:
            raise CycloptsError(msg=rule)


def _asked(target: str | None, where: Where) -> Asked:
    settled = where.settled(target, tell=True)
    if target is None or target in Layout(settled.root).bases():
        return Asked(settled, target or "")
    return Asked(Where(settled.fleet, target, where.port, where.server_name))
