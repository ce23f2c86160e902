"""The entry of a device: what Home Assistant takes, bounded, and nothing of a device's in a
template but what is harmless there.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from limpet.homeassistant import parts
from limpet.homeassistant.entry import (
    MOST_BYTES,
    PREFIX,
    Device,
    Remembered,
    device_of,
    entry,
    entry_topic,
    problem_topic,
    remembered,
)
from limpet.shared.firmware import commands, parse, version
from limpet.shared.paths import REPO
from support.brokers.running import base

SCHEMA = REPO / "docs" / "schema" / "homeassistant" / "device.schema.json"
FIELDS = ("humidity", "items", "lux", "outdoor_temperature", "pressure", "supply", "temperature")
USUAL = Device(base(), FIELDS, (), "0.1.0", 60)
NOW = 1_790_000_000


def made(device: Device = USUAL, name: str = "node-1") -> dict[str, Any]:
    """Return the entry of a device, which fits the schema."""
    payload, left_out = entry(PREFIX, name, device)
    assert left_out == ()
    found: dict[str, Any] = json.loads(payload)
    fits(found)
    return found


def fits(found: dict[str, Any]) -> None:
    """Hold an entry to what Home Assistant takes."""
    validator = Draft202012Validator(json.loads(SCHEMA.read_text("utf-8")))
    assert [f"{each.json_path}: {each.message}" for each in validator.iter_errors(found)] == []


def test_the_schema_is_one() -> None:
    """And it refuses what Home Assistant would refuse."""
    schema = json.loads(SCHEMA.read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    for key, part, wrong in (
        ("temperature", "unit_of_meas", "K/s"),
        ("temperature", "ent_cat", "config"),
        ("temperature", "qos", 2),
        ("node-interval", "mode", "wheel"),
        ("node-reboot", "cmd_t", "limpet/+/commands"),
        ("node-reboot", "stat_cla", "measurement"),
    ):
        found = made()
        found["cmps"][key][part] = wrong
        assert not validator.is_valid(found), (key, part)


def test_each_field_is_a_sensor() -> None:
    """Its last word says what it is; a name that says nothing is a plain measurement."""
    found = made()["cmps"]
    classes = {field: found[field].get("dev_cla") for field in FIELDS}
    assert classes == {
        "humidity": "humidity",
        "items": None,
        "lux": None,
        "outdoor_temperature": "temperature",
        "pressure": "atmospheric_pressure",
        "supply": "voltage",
        "temperature": "temperature",
    }
    outdoor = found["outdoor_temperature"]
    assert outdoor["name"] == "Outdoor temperature"
    assert outdoor["unit_of_meas"] == "°C"
    assert outdoor["uniq_id"] == "limpet_node-1_outdoor_temperature"
    assert outdoor["def_ent_id"] == "sensor.node_1_outdoor_temperature"
    assert {found[field]["exp_aft"] for field in FIELDS} == {60}
    assert "unit_of_meas" not in found["items"]
    # `value_json.items` would be a function of Python's.
    assert 'value_json["items"]' in found["items"]["val_tpl"]
    ids = [each["uniq_id"] for each in found.values()]
    assert len(set(ids)) == len(ids)


def test_where_it_is_and_what_runs_on_it() -> None:
    """By its topic, and by its status; what is not known is not said."""
    found = made()
    assert found["dev"] == {
        "ids": ["limpet_node-1"],
        "name": "node-1",
        "mf": "Limpet",
        "mdl": "Climate",
        "sa": "Desk",
        "sw": "0.1.0",
    }
    assert found["stat_t"] == f"{base()}/telemetry"
    assert found["avty_t"] == f"{base()}/status"
    assert found["o"]["sw"] == version.VERSION
    assert found["cmps"]["node-firmware"]["l_ver_tpl"] == f'{{{{ "{version.VERSION}" }}}}'
    bare = made(Device(base()))
    assert "sw" not in bare["dev"]
    assert all(key.startswith("node-") for key in bare["cmps"])


def test_what_a_device_has_no_more_is_removed() -> None:
    """By an entity without anything, as Home Assistant wants it."""
    found = made(Device(base(), ("temperature",), ("humidity",)))
    assert found["cmps"]["humidity"] == {"p": "sensor"}
    assert remembered(json.dumps(found).encode()) == Remembered(base(), ("temperature",), "", None)


def test_an_entry_is_bounded() -> None:
    """Thirty-two fields with the longest names of the device with the longest one: what has no room
    is named; thirty-two usual ones fit.
    """
    longest = tuple(
        f"{'a' * 45}_{chr(97 + number // 26)}{chr(97 + number % 26)}" for number in range(32)
    )
    name = "n" * 64
    topic = "/".join(["o" * 30, "s" * 30, "z" * 30, "t" * 30, name])
    payload, left_out = entry(PREFIX, name, Device(topic, longest, (), "0" * 40, 9999))
    assert len(payload) <= MOST_BYTES
    found = json.loads(payload)
    fits(found)
    kept = [field for field in longest if field in found["cmps"]]
    assert kept
    assert (*kept, *left_out) == longest
    usual = tuple(f"outdoor{number}_temperature" for number in range(32))
    payload, left_out = entry(PREFIX, "node-1", Device(base(), usual, (), "0.1.0", 60))
    assert (left_out, len(payload) < MOST_BYTES) == ((), True)


@pytest.mark.parametrize("key", ["node-identify", "node-reboot", "node-interval"])
def test_commands_are_the_nodes(key: str) -> None:
    """What a template comes to is a Command that the node takes, fresh each time."""
    template = made()["cmps"][key]["cmd_tpl"]
    values = {"now().timestamp()|int": NOW, "value|int": 30, "range(100000)|random": 7}
    values["(now().timestamp() * 1000)|int"] = NOW * 1000 + 1
    text = re.sub(r"\{\{ (.*?) \}\}", lambda found: str(values[found[1]]), template)
    command = parse.parse(text.encode(), base())
    assert command.fault is None
    commands.load(command.action, command.params)
    assert str(NOW * 1000 + 1) in command.id
    assert command.ts == NOW
    assert command.ttl in (parts.IDENTIFY_S, parts.REBOOT_S, parts.INTERVAL_S)
    if key == "node-interval":
        assert command.id.startswith(parts.INTERVAL_ID)


def test_what_a_zone_is_called_reaches_no_template() -> None:
    """Topics and names are texts to Home Assistant; templates have nothing of them."""
    hostile = base().replace("desk", "{{ states }}\"'")
    payload, _ = entry(PREFIX, "node-1", USUAL._replace(base=hostile))
    found = json.loads(payload)
    templates = [found["avty_tpl"]]
    templates += [
        v for each in found["cmps"].values() for k, v in each.items() if k.endswith("tpl")
    ]
    assert not [each for each in templates if "states" in each]


def test_expiry() -> None:
    """Three intervals and what a node may be late; of one that sleeps its sleep counts."""
    assert parts.expire_s(10) == 60
    assert parts.expire_s(10, 600) == 3 * 600 + 120
    assert parts.expire_s(600, 10) == 1830


def test_an_entry_is_read_back() -> None:
    """What is retained of ours is all that is remembered; what others say is none of it, nor what
    is no entry.
    """
    payload, _ = entry(PREFIX, "node-1", USUAL)
    assert remembered(payload) == Remembered(base(), tuple(sorted(FIELDS)), "0.1.0", 60)
    found = json.loads(payload)
    found["o"]["name"] = "zigbee2mqtt"
    for wrong in (json.dumps(found).encode(), b"{", b"[]", b"\xff", b'{"o":{}}', b"[" * 9999):
        assert remembered(wrong) is None
    found["o"]["name"] = "limpet"
    found["dev"]["sw"] = "{{ 1 }}"
    found["cmps"] = {
        "{{ x }}": {"p": "sensor", "stat_cla": "x"},
        "a": {"p": "sensor", "stat_cla": 1},
    }
    assert remembered(json.dumps(found).encode()) == Remembered(base(), ("a",), "", None)


def test_topics() -> None:
    """Of entries and problems, and of nothing else."""
    assert device_of(PREFIX, entry_topic(PREFIX, "node-1")) == ("node-1", "config")
    assert device_of("a/b", problem_topic("a/b", "node-1")) == ("node-1", "problem")
    for topic in (
        "homeassistant/device/node-1/config/x",
        "homeassistant/device/No/config",
        "homeassistant/sensor/node-1/config",
        "x/homeassistant/device/node-1/config",
        "homeassistant/device/config",
    ):
        assert device_of(PREFIX, topic) == ("", "")
