"""The entities of a device, as Home Assistant's discovery has them: each a dict. Pure.

docs/schema/homeassistant/device.schema.json says what Home Assistant 2026.2 takes of these. The
keys are its abbreviations: a device of 32 fields has to fit into one packet. Each entity has its
own `qos`, as Home Assistant passes on none of the entry itself.

Home Assistant runs what is in a template. A field's name goes into one as a word in quotes, and is
one that intake takes: a letter, then letters, digits and `_`. Nothing else that a device says does.
"""

from __future__ import annotations

import json
from typing import Any

from limpet.heard.fleet import SILENT_INTERVALS, SILENT_S, WAKE_S
from limpet.shared.firmware import reading, topics
from limpet.shared.seen_readings import UNITS

Part = dict[str, Any]

# By the last word of a field's name, as their units are.
_CLASSES = {
    "temperature": "temperature",
    "humidity": "humidity",
    "pressure": "atmospheric_pressure",
    "supply": "voltage",
}
# What is about the node and not about the room.
_OF_THE_NODE = {"supply"}
# How long a Command is good for: who presses a button wants it now, and a node that is away is not
# to be reset tomorrow. An interval is meant to last, and reaches a node that sleeps when it wakes.
IDENTIFY_S = 30
REBOOT_S = 60
INTERVAL_S = 86_400
# By it `entries.py` knows Responses that tell of an interval.
INTERVAL_ID = "ha-interval-"
# A batch of a node behind a broker with old rules comes on `telemetry`, too: a list is no value.
_FIELD = "{{%set x=value_json[{}]%}}{{{{x if x is number or x is none else''}}}}"
_STATUS = "(value_json|default({})).status"
AVAILABLE = f"{{{{ 'online' if {_STATUS} in ['online', 'asleep'] else 'offline' }}}}"
_LINKED = f"{{{{ 'ON' if {_STATUS} in ['online', 'asleep'] else 'OFF' }}}}"
# For what is to be seen of a device that is away, too.
_ALWAYS = "{{ 'online' }}"
# Random besides the time, as two presses may come within a millisecond.
_FRESH = "{{ (now().timestamp() * 1000)|int }}-{{ range(100000)|random }}"
_NOW = "{{ now().timestamp()|int }}"


def sensor(field: str, expire_s: int | None) -> Part:
    """Return the sensor of a field of the Readings. expire_s: after so long without a Reading its
    value counts no more; None where that is not known.
    """
    quantity = field.rpartition("_")[2]
    found: Part = {
        "name": titled(field),
        "stat_cla": "measurement",
        "val_tpl": _FIELD.format(json.dumps(field)),
    }
    if unit := UNITS.get(quantity):
        found["unit_of_meas"] = unit
    if kind := _CLASSES.get(quantity):
        found["dev_cla"] = kind
    if quantity in _OF_THE_NODE:
        found["ent_cat"] = "diagnostic"
    if expire_s:
        found["exp_aft"] = expire_s
    return _part("sensor", found)


def own(base: str, problem_topic: str, newest: str) -> dict[str, Part]:
    """Return what each device has besides its fields, by a key that no field has. base: its base
    topic; newest: the version of the firmware that it could have.
    """
    command, status = f"{base}/{topics.COMMANDS}", f"{base}/{topics.STATUS}"
    health = f"{base}/{topics.HEALTH}"
    low, high = reading.INTERVAL_S
    return {
        "node-connection": _part(
            "binary_sensor",
            {
                "name": "Connection",
                "dev_cla": "connectivity",
                "ent_cat": "diagnostic",
                "stat_t": status,
                "val_tpl": _LINKED,
                "avty_tpl": _ALWAYS,
            },
        ),
        "node-problem": _part(
            "binary_sensor",
            {
                "name": "Problem",
                "dev_cla": "problem",
                "ent_cat": "diagnostic",
                "stat_t": problem_topic,
                "val_tpl": "{{ value_json['problem'] }}",
                "json_attr_t": problem_topic,
                "avty_tpl": _ALWAYS,
            },
        ),
        "node-rssi": _health(health, "rssi", "Signal", "signal_strength", "dBm"),
        "node-heap": _health(health, "heap", "Free heap", "data_size", "B"),
        "node-uptime": _health(health, "up", "Uptime", "duration", "s"),
        "node-queued": _health(health, "queued", "Waiting Readings"),
        "node-identify": _button(command, "Identify", "identify", IDENTIFY_S),
        "node-reboot": _button(command, "Reboot", "reboot", REBOOT_S, "restart"),
        "node-interval": _part(
            "number",
            {
                "name": "Interval",
                "dev_cla": "duration",
                "ent_cat": "config",
                "unit_of_meas": "s",
                "min": low,
                "max": high,
                "step": 1,
                "mode": "box",
                "stat_t": health,
                "val_tpl": "{{ value_json['interval_s'] }}",
                # Else the old one is shown until the next health.
                "opt": True,
                "cmd_t": command,
                "cmd_tpl": _command(
                    "set_interval", INTERVAL_S, INTERVAL_ID, '{"seconds": {{ value|int }} }'
                ),
            },
        ),
        "node-firmware": _part(
            "update",
            {
                "name": "Firmware",
                "dev_cla": "firmware",
                "ent_cat": "diagnostic",
                "stat_t": status,
                "val_tpl": "{{ {'installed_version': value_json.fw}|tojson "
                "if value_json.fw is string else '' }}",
                "l_ver_t": status,
                "l_ver_tpl": f"{{{{ {json.dumps(newest)} }}}}",
            },
        ),
    }


def expire_s(interval_s: float, sleep_s: float = 0.0) -> int:
    """Return how long a value counts when no other comes, seconds. sleep_s: the longest that the
    device was seen to sleep; 0 where it never was.
    """
    if sleep_s > interval_s:
        return int(SILENT_INTERVALS * sleep_s + WAKE_S)
    return int(SILENT_INTERVALS * interval_s + SILENT_S)


def titled(name: str) -> str:
    """Return a name on the wire as a person reads it: Outdoor temperature."""
    words = name.replace("_", " ").replace("-", " ").strip()
    return words[:1].upper() + words[1:]


def _part(platform: str, found: Part) -> Part:
    return {"p": platform, "qos": 1, **found}


def _health(topic: str, name: str, title: str, kind: str = "", unit: str = "") -> Part:
    found: Part = {
        "name": title,
        "ent_cat": "diagnostic",
        "stat_cla": "measurement",
        "stat_t": topic,
        "val_tpl": _FIELD.format(json.dumps(name)),
    }
    if kind:
        found |= {"dev_cla": kind, "unit_of_meas": unit}
    return _part("sensor", found)


def _button(topic: str, title: str, action: str, ttl_s: int, kind: str = "") -> Part:
    return _part(
        "button",
        {
            "name": title,
            "dev_cla": kind or action,
            "ent_cat": "config",
            "cmd_t": topic,
            "cmd_tpl": _command(action, ttl_s, f"ha-{action}-"),
        },
    )


def _command(action: str, ttl_s: int, name: str, params: str = "") -> str:
    """Return the template of a Command. name: how its id begins; params: a template of JSON."""
    params = f'"params": {params}, ' if params else ""
    return f'{{"id": "{name}{_FRESH}", "action": "{action}", {params}"ts": {_NOW}, "ttl": {ttl_s}}}'
