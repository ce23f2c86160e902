"""The rows of the access matrix as what they come down to, for brokers that are not run here: their
rules are read as their manuals say that they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import NamedTuple

from limpet.brokers.aws import renderer as aws
from limpet.brokers.emqx import renderer as emqx
from limpet.brokers.plan import Plan
from paho.mqtt.client import topic_matches_sub
from support.brokers.matrix import (
    DEVICE,
    HASS,
    NEIGHBOUR,
    OPERATOR,
    READER,
    RENEWED,
    REVOKED,
    STRANGER,
    TELLER,
    UNKNOWN,
    base,
)

_OWN, _NEIGHBOURS, _STRANGERS = base(DEVICE), base(NEIGHBOUR), base(STRANGER)
_ENTRY, _THERE = f"homeassistant/device/{DEVICE}/config", "homeassistant/status"


class Try(NamedTuple):
    """Who wants to "publish" to a topic, retained or not, or to "subscribe" to a filter."""

    who: str
    action: str
    topic: str
    retain: bool = False


# Those that come down to the handshake, and are read in another way.
HANDSHAKES = (
    "nobody: no certificate",
    "a certificate of another authority",
    "a device poses as its neighbour",
    "TLS 1.1",
)
# What AWS's policies do not see: it knows each certificate by itself.
_REPLACED = "a revoked certificate, of a device with a new one"
BY_AWS = (*HANDSHAKES, _REPLACED)
TRIES = {
    "a device says its telemetry": Try(DEVICE, "publish", f"{_OWN}/telemetry"),
    "a device hears its Commands": Try(DEVICE, "subscribe", f"{_OWN}/commands"),
    "a device says its neighbour's telemetry": Try(DEVICE, "publish", f"{_NEIGHBOURS}/telemetry"),
    "a device says its neighbour's status": Try(DEVICE, "publish", f"{_NEIGHBOURS}/status"),
    "a device says another organisation's telemetry": Try(
        DEVICE, "publish", f"{_STRANGERS}/telemetry"
    ),
    "a device says its own from another site": Try(
        DEVICE, "publish", f"limpet/hut/desk/climate/{DEVICE}/telemetry"
    ),
    "a device says something else below its topic": Try(DEVICE, "publish", f"{_OWN}/firmware"),
    "a device gives itself a Command": Try(DEVICE, "publish", f"{_OWN}/commands"),
    "a device answers on another's reply topic": Try(
        DEVICE, "publish", f"{_NEIGHBOURS}/commands/response/x"
    ),
    "a device says the time": Try(DEVICE, "publish", "limpet/time"),
    "a device hears its neighbour by `#`": Try(DEVICE, "subscribe", "#"),
    "a device hears its neighbour by `+`": Try(DEVICE, "subscribe", "+/+/+/+/+/telemetry"),
    "a device hears its neighbour's Commands": Try(DEVICE, "subscribe", f"{_NEIGHBOURS}/commands"),
    "a device hears another organisation": Try(DEVICE, "subscribe", "other/#"),
    "a device hears the broker's figures, `$SYS`": Try(DEVICE, "subscribe", "$SYS/#"),
    "a device leaves a will on its status": Try(DEVICE, "publish", f"{_OWN}/status", True),
    "a device leaves a will on its neighbour's status": Try(
        DEVICE, "publish", f"{_NEIGHBOURS}/status", True
    ),
    "a device has telemetry retained": Try(DEVICE, "publish", f"{_OWN}/telemetry", True),
    "an operator sends a Command": Try(OPERATOR, "publish", f"{_OWN}/commands"),
    "an operator says a device's telemetry": Try(OPERATOR, "publish", f"{_OWN}/telemetry"),
    "an operator says the time": Try(OPERATOR, "publish", "limpet/time"),
    "a reader hears everything": Try(READER, "subscribe", "limpet/#"),
    "a reader sends a Command": Try(READER, "publish", f"{_OWN}/commands"),
    "a program of the role `discovery` tells Home Assistant of a device": Try(
        TELLER, "publish", _ENTRY, True
    ),
    "a program of the role `discovery` sends a Command": Try(TELLER, "publish", f"{_OWN}/commands"),
    "Home Assistant says that it is there": Try(HASS, "publish", _THERE),
    "Home Assistant sends a Command": Try(HASS, "publish", f"{_OWN}/commands"),
    "Home Assistant says a device's telemetry": Try(HASS, "publish", f"{_OWN}/telemetry"),
    "a device tells Home Assistant of itself": Try(DEVICE, "publish", _ENTRY, True),
    "a device says that Home Assistant is there": Try(DEVICE, "publish", _THERE),
    "an operator tells Home Assistant of a device": Try(OPERATOR, "publish", _ENTRY, True),
    "a revoked certificate": Try(REVOKED, "publish", f"{base(REVOKED)}/telemetry"),
    _REPLACED: Try(RENEWED, "publish", f"{base(RENEWED)}/telemetry"),
    "a certificate of this authority, in no registry": Try(
        UNKNOWN, "publish", f"{base(UNKNOWN)}/telemetry"
    ),
}


def by_emqx(files: Mapping[str, str], wanted: Try) -> bool:
    """Return what acl.conf says: the first rule that fits counts, and the last one fits all.

    A topic is published to where a filter matches it; a filter is subscribed to where the rule's
    filter matches it, word for word.
    """
    text = files[emqx.ACL]
    rule = re.compile(
        r'\{allow, \{username, "([^"]+)"\}, (publish|subscribe|\{publish, \[\{retain, false\}\]\}),'
        r" \[(.*)\]\}\.$"
    )
    lines = [line for line in text.splitlines() if line and not line.startswith("%%")]
    assert lines[-1] == "{deny, all}."
    for line in lines[:-1]:
        found = rule.match(line)
        assert found, line
        who, action, topics = found[1], found[2], re.findall(r'"([^"]+)"', found[3])
        if (
            who != wanted.who
            or wanted.action not in action
            or (wanted.retain and "retain" in action)
        ):
            continue
        if any(topic_matches_sub(each, wanted.topic) for each in topics):
            return True
    return False


def by_aws(files: Mapping[str, str], wanted: Try) -> bool:
    """Return what the thing's policy says: something has to allow it, `*` is any text, and there is
    no Deny. A thing that is not registered has no policy.
    """
    registered = json.loads(files[aws.THINGS])["things"]
    thing = next((each for each in registered if each["thing"] == wanted.who), None)
    if thing is None:
        return False
    policy = json.loads(files[f"{thing['policy']}.json"])
    actions = {"publish": ["iot:Publish"], "subscribe": ["iot:Subscribe", "iot:Receive"]}
    needed = actions[wanted.action] + (["iot:RetainPublish"] if wanted.retain else [])
    return all(_aws_allows(policy, thing, action, wanted.topic) for action in needed)


def _aws_allows(
    policy: dict[str, list[dict[str, object]]], thing: dict[str, object], action: str, topic: str
) -> bool:
    kinds = {"iot:Subscribe": "topicfilter"}
    asked = f"arn:aws:iot:region:account:{kinds.get(action, 'topic')}/{topic}"
    attributes = thing["attributes"]
    assert isinstance(attributes, dict)
    for statement in policy["Statement"]:
        assert statement["Effect"] == "Allow"
        if statement["Action"] != action:
            continue
        resources = statement["Resource"]
        assert isinstance(resources, list)
        for resource in resources:
            for name, value in attributes.items():
                resource = resource.replace(f"${{iot:Connection.Thing.Attributes[{name}]}}", value)
            pattern = re.escape(resource).replace(r"\*", ".*")
            if re.fullmatch(pattern, asked):
                return True
    return False


def files(plan: Plan) -> dict[str, str]:
    """Return the files of both."""
    return emqx.render(plan) | aws.render(plan)
