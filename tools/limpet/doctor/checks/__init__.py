"""What may be wrong, each a pure function: facts in, findings out. CHECKS is the list of them.

access.py           who gets in, and who reads and writes what is not his
certificates.py     until when certificates are good, and for whom
working.py          whether the broker works, and how near its limits it is
devices.py          what the fleet's folder says of its devices, and a visit in their names
traffic.py          what is on its way, and what is retained

A new one is a function, and a row here: docs/adding.md.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from limpet.doctor.checks import access, certificates, devices, traffic, working
from limpet.doctor.facts import Facts
from limpet.doctor.finding import LEVELS, Finding
from limpet.shared.plain import short

Check = Callable[[Facts], Iterable[Finding]]
CHECKS: dict[str, Check] = {
    "down": working.down,
    "figures": working.figures,
    "files": working.files,
    "anonymous": access.anonymous,
    "plaintext": access.plaintext,
    "public": access.public,
    "old-tls": access.old_tls,
    "stranger": access.stranger,
    "foreign-read": access.foreign_read,
    "foreign-write": access.foreign_write,
    "take-over": access.take_over,
    "certificate-end": certificates.end,
    "certificate-name": certificates.name,
    "certificate-old": certificates.old,
    "broker-files": devices.broker_files,
    "unheard": devices.unheard,
    "refused": devices.refused,
    "revoked": devices.revoked,
    "folder": devices.folder,
    "keepalive": devices.keepalive,
    "other-broker": devices.other_broker,
    "two-sessions": traffic.two_sessions,
    "taken": traffic.taken,
    "unknown-device": traffic.unknown_device,
    "clock": traffic.clock,
    "qos": traffic.qos,
    "qos-asked": traffic.qos_asked,
    "slashes": traffic.slashes,
    "leftovers": traffic.leftovers,
    "offline": traffic.offline,
    "alerts": traffic.alerts,
}


# What somebody has said is in some of them, and may be as long as a Message.
_MOST = 1_000


def examine(facts: Facts) -> list[Finding]:
    """Return what is wrong, worst first."""
    found = [
        replace(each, check=name, cause=short(each.cause, _MOST))
        for name, check in CHECKS.items()
        for each in check(facts)
    ]
    return sorted(found, key=lambda each: LEVELS.index(each.level))
