"""AWS IoT Core's policies as text: one for all devices, one for each role of a program, and the
things that have to be registered.

Not run here: it is a service, and nothing here may talk to it. A test reads the policies as AWS's
manual says that they are read, and holds them to the access matrix. A device's policy has its base
topic from an attribute of its thing, so that one policy is for all. There is no `$SYS` there, and
nobody who says {org}/time. Pure: no file is read or written.
"""

import json
import shlex
from collections.abc import Iterable
from typing import Any

from limpet.brokers import rules
from limpet.brokers.plan import Plan, made_from
from limpet.identity.registry import Role

DEVICE, THINGS = "limpet-device.json", "things.json"
CONSUMERS = {role: f"limpet-{role}.json" for role in rules.ROLES}
STATE: tuple[str, ...] = ()
RELOAD = "know the things of things.json, and make each changed policy's new version the default"

_ARN = "arn:aws:iot:*:*:"
_NAME = "${iot:Connection.Thing.ThingName}"
_BASE = "${iot:Connection.Thing.Attributes[base]}"
_ORG = "${iot:Connection.Thing.Attributes[org]}"


def render(plan: Plan) -> dict[str, str]:
    """Return the text of each file by its name."""
    found = {DEVICE: _text(_device())}
    for role, name in CONSUMERS.items():
        found[name] = _text(_consumer(plan, role))
    return found | {THINGS: _text(_things(plan))}


def start(plan: Plan) -> list[str]:
    """Return the commands that make the policies; docs/brokers.md has those for each thing."""
    return [
        f"aws iot create-policy --policy-name {name.removesuffix('.json')} "
        f"--policy-document {shlex.quote(f'file://{plan.folder / name}')}"
        for name in (DEVICE, *CONSUMERS.values())
    ]


def _device() -> list[dict[str, Any]]:
    writes = [f"{_BASE}/{_any(each)}" for each in rules.DEVICE_WRITES]
    kept = [f"{_BASE}/{each}" for each in rules.RETAINED if each in rules.DEVICE_WRITES]
    reads = [f"{_BASE}/{each}" for each in rules.DEVICE_READS]
    reads += [f"{_ORG}/{each}" for each in rules.MEMBERS_READ]
    return [
        _connect(),
        _allow("Publish", "topic", writes),
        _allow("RetainPublish", "topic", kept),
        _allow("Subscribe", "topicfilter", reads),
        # What it has subscribed to, that is; the list once more would be too long for a policy.
        _allow("Receive", "topic", [f"{_BASE}/*", *reads[len(rules.DEVICE_READS) :]]),
    ]


def _consumer(plan: Plan, role: Role) -> list[dict[str, Any]]:
    orgs, rights = rules.organisations(plan.bases), rules.ROLES[role]
    own = [each for each in rights.reads if not each.startswith("$")]
    reads = [_any(each) for each in (*own, *(f"{org}/#" for org in orgs))]
    writes = [*(f"{org}/{each}" for org in orgs for each in rights.below), *rights.writes]
    found = [_connect()]
    if writes:
        kept = filter(rules.is_kept, writes)
        found += [
            _allow("Publish", "topic", map(_any, writes)),
            _allow("RetainPublish", "topic", map(_any, kept)),
        ]
    if reads:
        found += [_allow("Subscribe", "topicfilter", reads), _allow("Receive", "topic", reads)]
    return found


def _connect() -> dict[str, Any]:
    """Allow a client that calls itself by its thing's name, with that thing's certificate."""
    said = _allow("Connect", "client", [_NAME])
    said["Condition"] = {
        "Bool": {"iot:Connection.Thing.IsAttached": "true"},
        "ForAllValues:StringEquals": {"iot:ConnectAttributes": ["PersistentConnect", "LastWill"]},
    }
    return said


def _allow(action: str, kind: str, names: Iterable[str]) -> dict[str, Any]:
    resources = [f"{_ARN}{kind}/{name}" for name in names]
    return {"Effect": "Allow", "Action": f"iot:{action}", "Resource": resources}


def _any(topic: str) -> str:
    """Return a filter of MQTT as one of a policy, where `+` is only a plus: wider than that, as `*`
    goes over several levels, and below what is the client's own all the same.
    """
    return topic.replace("+", "*").replace("#", "*")


def _things(plan: Plan) -> dict[str, Any]:
    things = [
        {"thing": name, "policy": DEVICE.removesuffix(".json"), "attributes": _attributes(base)}
        for name, base in sorted(plan.bases.items())
    ]
    things += [
        {"thing": name, "policy": CONSUMERS[role].removesuffix(".json"), "attributes": {}}
        for name, role in plan.consumers.items()
    ]
    return {"limpet": made_from(plan), "things": things}


def _attributes(base: str) -> dict[str, str]:
    return {"base": base, "org": base.split("/", 1)[0]}


def _text(said: list[dict[str, Any]] | dict[str, Any]) -> str:
    if isinstance(said, list):
        said = {"Version": "2012-10-17", "Statement": said}
    return json.dumps(said, indent=1) + "\n"
