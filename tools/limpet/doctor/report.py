"""What `limpet doctor` prints: the findings, worst first; of one device what the broker shows."""

import time
from collections import Counter
from dataclasses import asdict
from typing import Any

from limpet.doctor.facts import Facts
from limpet.doctor.finding import LEVELS, Finding
from limpet.doctor.gathering import Unseen
from limpet.shared import payloads
from limpet.shared.firmware import topics
from limpet.shared.plain import safe, short
from limpet.shared.seen_readings import wrapped

# Of what a device has said of itself.
_MOST = 400


def summary(
    facts: Facts, device: str, level: str, found: list[Finding], unseen: list[Unseen]
) -> dict[str, Any]:
    """Return it as it is printed as JSON."""
    return {
        "broker": facts.where,
        "device": device or None,
        "level": level,
        "shown": shown(facts, device) if device else None,
        "findings": [asdict(each) for each in found],
        "not_seen": [asdict(each) for each in unseen],
    }


def text(
    facts: Facts, device: str, found: list[Finding], unseen: list[Unseen], width: int = 1000
) -> str:
    """Return it as lines for a person, as wide as what they are shown on."""
    of = f"{device}, at {facts.where}" if device else facts.where
    count = Counter(each.level for each in found)
    worst = ", ".join(f"{count[each]} {each}" for each in LEVELS if count[each])
    lines = [f"{of}: {worst or 'nothing is wrong, as far as can be seen'}"]
    if device:
        lines += [f"  {name:<13} {value}" for name, value in shown(facts, device).items() if value]
    for each in found:
        lines.append(f"{each.level:<9} {each.cause}")
        lines.append(f"{'':<10}{each.means}")
        lines.append(f"{'do':>8}: {each.remedy}")
    lines += [f"not seen  {each.what}: {each.why}" for each in unseen]
    return "\n".join(part for line in lines for part in wrapped(safe(line), width, " " * 10))


def shown(facts: Facts, device: str) -> dict[str, str | None]:
    """Return what is known of a device, in words; None where the broker shows nothing."""
    own = next(each for each in facts.devices if each.name == device)
    said = {
        kind: payloads.describe(each.topic, each.payload)
        for each in facts.messages
        if (kind := payloads.kind_of(each.topic)) and each.topic.startswith(f"{own.base}/")
    }
    ends = next((each.end for each in facts.certificates if each.whose == device), None)
    config = own.config
    goes = config and f"{config.broker}:{config.port}, a Reading each {config.interval_s} s"

    def last(kind: str) -> str | None:
        lines = said.get(kind)
        return short(lines[-1], _MOST) if lines else None

    return {
        "topics below": own.base,
        "certificate": time.strftime("until %Y-%m-%d", time.gmtime(ends)) if ends else None,
        "config": goes and f"{goes}, keepalive {config.keepalive_s} s",
        "status": last(topics.STATUS),
        "last Reading": last(topics.TELEMETRY),
        "health": last(topics.HEALTH),
    }
