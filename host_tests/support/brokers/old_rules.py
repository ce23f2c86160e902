"""A broker whose files are by the rules of before (1, Limpet 0.1): it knows no telemetry/backlog.

mosquitto's is the text that was written then, letter for letter but for the registry's names.
"""

from __future__ import annotations

import pytest
from limpet.brokers import rules
from limpet.brokers.mosquitto import files as mosquitto_files
from limpet.identity import operators
from limpet.shared import private
from support.brokers.running import RunningBroker

_HEAD = """\
# Written by limpet from the registry, devices.json. A user is a certificate's CN; who is
# not here, or wants more than this, may connect, say nothing and hear nothing.
"""
_DEVICE = """
user {name}
topic write {base}/telemetry
topic write {base}/status
topic write {base}/health
topic write {base}/alerts
topic write {base}/commands/response
topic write {base}/commands/response/+
topic write {base}/config/reported
topic read {base}/commands
topic read {base}/config/desired
topic read {base}/status
topic read {org}/time
"""
_OPERATOR = """
user {name}
{write}topic read $SYS/#
{read}"""


def acl(bases: dict[str, str]) -> str:
    """Return mosquitto's ACL by the rules of before. bases: base topic of each device by its id."""
    orgs = rules.organisations(bases)
    write = "".join(
        f"topic write {org}/+/+/+/+/{suffix}\n"
        for org in orgs
        for suffix in ("commands", "config/desired")
    )
    read = "".join(f"topic read {org}/#\n" for org in orgs)
    devices = (
        _DEVICE.format(name=name, base=base, org=base.split("/")[0])
        for name, base in sorted(bases.items())
    )
    people = (_OPERATOR.format(name=name, write=write, read=read) for name in operators.NAMES)
    return _HEAD + "".join((*devices, *people))


def put_back(broker: RunningBroker, patch: pytest.MonkeyPatch) -> None:
    """Have a broker that runs go by the rules of before, from the next connection on at the latest.

    patch: undone, the embedded broker goes by the rules of now again; mosquitto does when its files
    are written anew and read.
    """
    if broker.kind == "mosquitto":
        layout = broker.setup.layout
        private.write(layout.broker / mosquitto_files.ACL, acl(layout.bases()).encode())
        broker.reload()
        return
    for name in ("DEVICE_WRITES", "DEVICE_READS"):
        before = tuple(each for each in getattr(rules, name) if each != rules.topics.BACKLOG)
        patch.setattr(rules, name, before)
