"""What the fleet's folder says of its devices, and what a visit in their names has shown. Pure."""

from collections import defaultdict
from collections.abc import Iterator

from limpet.doctor.facts import Facts
from limpet.doctor.finding import Finding, listed
from limpet.identity import device_config

KEEPALIVE_MOST_S = 600
# How our own visitors are called.
DOCTOR = "limpet-doctor-"


def broker_files(facts: Facts) -> Iterator[Finding]:
    """Files of a broker are older than the registry."""
    for each in facts.old_files:
        yield Finding(
            "warning",
            each.cause,
            "What is said may be acknowledged and dropped, and who was removed still be let in.",
            each.remedy,
        )


def unheard(facts: Facts) -> Iterator[Finding]:
    """The broker acknowledges what a device says, and delivers it to nobody: its birth never comes
    back.
    """
    for visit in facts.visits:
        if visit.admitted and visit.asked and not visit.heard:
            thrown = " It was thrown out, too: the device may be there itself." * visit.ended
            yield Finding(
                "critical",
                f"The broker lets {visit.name} in, and delivers nothing of what it says.{thrown}",
                "Its rules do not know the device. Its birth never comes back, so that it keeps "
                "its Readings (alert `not-authorized-here`).",
                "Restart the broker; if it is on another machine, bring it its files before: "
                "limpet broker-config mosquitto.",
            )


def refused(facts: Facts) -> Iterator[Finding]:
    """A device of the registry is not let in."""
    for visit in facts.visits:
        if not visit.admitted and visit.name in facts.bases:
            yield Finding(
                "critical",
                f"The broker does not let {visit.name} in: {visit.why}.",
                "The device keeps its Readings, and tries again.",
                "Its log says why. An older list of revoked certificates, or of names, is read "
                f"anew by a restart; a new certificate is `limpet fleet renew {visit.name}`.",
            )


def revoked(facts: Facts) -> Iterator[Finding]:
    """One that is locked out is let in."""
    for visit in facts.visits:
        if visit.admitted and visit.name in facts.revoked:
            reads = visit.read or visit.wrote
            yield Finding(
                "critical" if reads else "warning",
                f"The broker lets {visit.name} in, which is revoked.",
                "Whoever has that board is still heard and told."
                if reads
                else "It is given nothing, but keeps a place that others need.",
                "Restart the broker: `crlfile` and the rules are read then. On another machine "
                "bring it its files before: limpet broker-config mosquitto.",
            )


def folder(facts: Facts) -> Iterator[Finding]:
    """Something in a device's folder would be refused by the node, or by the broker."""
    for each in facts.devices:
        if each.problem:
            yield Finding(
                "warning",
                f"{each.name}: {each.problem.cause}",
                "As it is, it cannot be brought onto a board.",
                each.problem.remedy,
            )


def keepalive(facts: Facts) -> Iterator[Finding]:
    """The broker would learn too late, or never, that a device is gone."""
    settings = {each.name: each.config.keepalive_s for each in facts.devices if each.config}
    others = {
        name: seconds
        for name, seconds in facts.logged.keepalives.items()
        if name not in settings and not name.startswith(DOCTOR)
    }
    deploy = f"At most {KEEPALIVE_MOST_S}; 60 is usual. Then limpet deploy."
    yield from _keepalives(settings, "in the settings", deploy)
    yield from _keepalives(others, "by the broker's log", f"At most {KEEPALIVE_MOST_S}.")


def _keepalives(found: dict[str, int], where: str, remedy: str) -> Iterator[Finding]:
    odd = defaultdict(list)
    for name, seconds in found.items():
        if not 0 < seconds <= KEEPALIVE_MOST_S:
            odd[seconds].append(name)
    for seconds, names in sorted(odd.items()):
        yield Finding(
            "warning",
            f"The keepalive of {listed(names)} is {seconds} s {where}.",
            f"That one is gone shows after {seconds * 3 // 2} s."
            if seconds
            else "That one is gone may never show.",
            remedy,
        )


def other_broker(facts: Facts) -> Iterator[Finding]:
    """Devices of the fleet look for another broker than the one that was looked at."""
    others = defaultdict(list)
    for each in facts.devices:
        if facts.host and each.base and each.config:
            for host, port in device_config.brokers(each.config):
                if not facts.is_at(each.config, (host, port)):
                    others[f"{host}:{port}"].append(each.name)
    for where, names in others.items():
        yield Finding(
            "note",
            f"{listed(names)} look for a broker at {where}.",
            f"It was not looked at: {facts.where} was.",
            f"limpet doctor {where.rpartition(':')[0]} --port {where.rpartition(':')[2]}",
        )
