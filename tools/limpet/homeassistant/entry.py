"""The entry of one device for Home Assistant's discovery, and what can be read out of one. Pure.

<prefix>/device/<id>/config     the entry, retained: an empty one takes the device out
<prefix>/device/<id>/problem    {"problem": "ON", "trouble": "alert", "alerts": [...]}, retained
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from limpet.homeassistant import parts
from limpet.ingest.intake import MAX_FIELDS
from limpet.shared.firmware import topics, version
from limpet.shared.payloads import BASE_LEVELS

PREFIX = "homeassistant"
# Brokers are held to packets of 16 KB (brokers/capacity.py): that, without the topic.
MOST_BYTES = 16_200
# By it an entry is known as ours.
ORIGIN = "limpet"
URL = "https://github.com/OWNER/limpet"
_FIELD = re.compile(r"[a-z][a-z0-9_]{0,47}")
_DEVICE = re.compile(r"[a-z0-9-]{1,64}")


class Device(NamedTuple):
    """What an entry is made of. base: its base topic. fields: names of what it measures; gone: of
    what it did. firmware: that it runs, '' where that is not known. expire_s: after so long a value
    counts no more; None where that is not known.
    """

    base: str
    fields: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    firmware: str = ""
    expire_s: int | None = None


class Remembered(NamedTuple):
    """What an entry of ours says of its device."""

    base: str
    fields: tuple[str, ...]
    firmware: str
    expire_s: int | None


def entry_topic(prefix: str, device: str) -> str:
    """Return where the entry of a device is; `+` for that of each."""
    return f"{prefix}/device/{device}/config"


def problem_topic(prefix: str, device: str) -> str:
    """Return where it is said whether a device has a problem; `+` for each."""
    return f"{prefix}/device/{device}/problem"


def device_of(prefix: str, topic: str) -> tuple[str, str]:
    """Return the device and the last level of such a topic; two empty words for any other."""
    head, _, rest = topic.partition(f"{prefix}/device/")
    name, _, kind = rest.partition("/")
    if head or kind not in ("config", "problem") or not _DEVICE.fullmatch(name):
        return "", ""
    return name, kind


def entry(prefix: str, name: str, device: Device) -> tuple[bytes, tuple[str, ...]]:
    """Return the payload of a device's entry, and the fields that had no room in it."""
    found = _frame(prefix, name, device)
    components: dict[str, Any] = found["cmps"]
    for field in device.gone:
        components[field] = {"p": "sensor"}  # which has Home Assistant remove it
    size, left_out = len(_json(found)), list[str]()
    for field in device.fields:
        one = {
            **parts.sensor(field, device.expire_s),
            "uniq_id": f"limpet_{name}_{field}",
            "def_ent_id": _entity("sensor", name, field),
        }
        more = len(_json({field: one}))
        if size + more > MOST_BYTES:
            left_out.append(field)
            continue
        size += more
        components[field] = one
    return _json(found), tuple(left_out)


def _frame(prefix: str, name: str, device: Device) -> dict[str, Any]:
    levels = [*device.base.split("/"), *[""] * BASE_LEVELS]
    about: dict[str, Any] = {
        "ids": [f"limpet_{name}"],
        "name": name,
        "mf": "Limpet",
        "mdl": parts.titled(levels[3]),
        "sa": parts.titled(levels[2]),
    }
    if device.firmware:
        about["sw"] = device.firmware
    own = parts.own(device.base, problem_topic(prefix, name), version.VERSION)
    for key, each in own.items():
        short = key.removeprefix("node-")
        each |= {
            "uniq_id": f"limpet_{name}_{key}",
            "def_ent_id": _entity(each["p"], name, short),
        }
    return {
        "dev": {key: value for key, value in about.items() if value},
        "o": {"name": ORIGIN, "sw": version.VERSION, "url": URL},
        "stat_t": f"{device.base}/{topics.TELEMETRY}",
        "avty_t": f"{device.base}/{topics.STATUS}",
        "avty_tpl": parts.AVAILABLE,
        "cmps": own,
    }


def remembered(payload: bytes) -> Remembered | None:
    """Return what an entry says that we have published once; None where it is none of ours, or has
    been written by somebody who writes otherwise. What is in it is checked as if it were a
    device's.
    """
    try:
        found = json.loads(payload)
        if found["o"]["name"] != ORIGIN:
            return None
        base = str(found["avty_t"]).removesuffix(f"/{topics.STATUS}")
        sensors = {
            key: each
            for key, each in found["cmps"].items()
            if _FIELD.fullmatch(key) and each["p"] == "sensor" and "stat_cla" in each
        }
        expires = {each.get("exp_aft") for each in sensors.values()}
        firmware = found["dev"].get("sw", "")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    longest = max((each for each in expires if type(each) is int and each > 0), default=None)
    known = isinstance(firmware, str) and re.fullmatch(r"[0-9A-Za-z.+_-]{1,40}", firmware)
    fields = tuple(sorted(sensors)[:MAX_FIELDS])
    return Remembered(base, fields, firmware if known else "", longest)


def problem(trouble: str, bad: bool, alerts: Iterable[str]) -> bytes:
    """Return the payload that says whether a device has a problem. trouble: one of heard's
    TROUBLES, and whether that is `bad`; alerts: names of those that are raised.
    """
    said = {"problem": "ON" if bad else "OFF", "trouble": trouble, "alerts": sorted(alerts)}
    return _json(said)


def _entity(platform: str, name: str, key: str) -> str:
    return f"{platform}.{name}_{key}".replace("-", "_")


def _json(said: Any) -> bytes:
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
