"""Until when certificates are good, and for whom. Pure."""

import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import groupby

from limpet.doctor.facts import Certificate, Facts
from limpet.doctor.finding import Finding, listed
from limpet.shared.plain import plural

DAY_S = 24 * 3600
# As `limpet fleet renew` takes them; a broker's is made anew 60 days ahead.
NEAR_DAYS = 30


def end(facts: Facts) -> Iterator[Finding]:
    """One has ended, ends soon, or is not good yet."""
    shown = [door.shown for door in facts.doors if door.shown]
    known = {(each.whose, each.end): each for each in (*facts.certificates, *shown)}
    due = [(_state(each, facts.now), each.renew, each) for each in known.values()]
    due = [each for each in due if each[0]]
    due.sort(key=lambda each: each[:2])
    for (state, renew), group in groupby(due, key=lambda each: each[:2]):
        whose = listed([each.whose for _, _, each in group])
        soon = state.startswith("ends")
        yield Finding(
            "warning" if soon else "critical",
            f"The certificate of {whose} {state}.",
            "Whoever checks it refuses it" + (" from then on." if soon else "."),
            renew,
        )


def _state(each: Certificate, now: float) -> str:
    if each.end < now:
        return f"has ended on {_day(each.end)}"
    if each.start > now:
        return f"is good only from {_day(each.start)} on, by this machine's clock"
    if each.end - now < NEAR_DAYS * DAY_S:
        left = plural(int((each.end - now) // DAY_S), "day")
        return f"ends on {_day(each.end)}, in {left}"
    return ""


def _day(when: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(when))


def name(facts: Facts) -> Iterator[Finding]:
    """The broker's is for other names than the one by which devices look for it."""
    shown = next((door.shown for door in facts.doors if door.shown), None)
    if shown is None:
        return
    missing = defaultdict(list)
    for each in facts.devices:
        if each.config and facts.is_for(each.config):
            wanted = each.config.server_hostname or facts.host
            if wanted not in shown.names:
                missing[wanted].append(each.name)
    for wanted, names in missing.items():
        yield Finding(
            "critical",
            f"The broker's certificate is not for {wanted}, by which {listed(names)} look for it; "
            f"it is for {listed(list(shown.names))}.",
            "They refuse it (`cause=certificate-name`) and keep their Readings.",
            f"`limpet provision {names[0]}` enters the name, where the broker's files are this "
            "fleet's; then restart it.",
        )


def old(facts: Facts) -> Iterator[Finding]:
    """The broker shows another certificate than the fleet has made for it."""
    made = next((each for each in facts.certificates if each.names), None)
    for door in facts.doors:
        if made and door.shown and door.shown.serial != made.serial:
            yield Finding(
                "warning",
                f"Port {door.port} shows another certificate than the fleet's broker/server.crt.",
                "It was made anew, and the broker has not read it; or that one is elsewhere.",
                "Restart it; on another machine bring it the new files before: "
                "limpet broker-config, --out FOLDER.",
            )
