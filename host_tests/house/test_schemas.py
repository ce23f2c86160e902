"""docs/schema/: good schemas, which agree with the code, and what holds the node to them."""

from __future__ import annotations

import ast
import itertools
import json
import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from limpet.shared import firmware
from limpet.shared.paths import LIB, REPO
from limpet.shared.seen_readings import UNITS
from node.commands import parse
from support import schemas
from support.brokers.running import RunningBroker, base

from docs import samples

SCHEMAS = schemas.schemas()
SUFFIXES = {
    value for name, value in vars(firmware.topics).items() if name.isupper() and name != "TIME"
}
READING = {"v": 1, "boot": 7, "seq": 42, "ts": 50, "temperature": 24.4, "humidity": 46.3}
UNKNOWN = READING | {"ts": None, "up": 3}
BATCH = READING | {"dt": 10, "temperature": [24.4, None], "humidity": [46.3, 46.4]}
BIRTH = {"v": 1, "status": "online", "boot": 7, "session": 1, "fw": "1", "reset": "hard"}
WILL = {"v": 1, "status": "offline", "boot": 7, "session": 1, "reason": "lost"}
ALERT = {"v": 1, "ts": None, "alert": "sensor-silent", "state": "raised", "reason": "silent"}
DONE: dict[str, Any] = {"v": 1, "id": "a", "status": "executed", "result": {}, "ts": None}
REFUSED = {"v": 1, "id": "a", "status": "failed", "code": "flash", "text": "", "ts": 5}


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema(name: str) -> None:
    """Each is one by the 2020-12 draft, of the topic that its file is named after; each pattern is
    held to both ends, as it is looked for anywhere in a name.
    """
    schema = SCHEMAS[name]
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema)
    assert schemas.name_of(f"a/b/c/d/e/{schema['title']}") == name or name == "time"
    assert schema["description"]
    for pattern in re.findall(r'"(\^[^"]*)":', json.dumps(schema)):
        assert pattern.endswith("$") or pattern.startswith("^(?!"), pattern


def test_every_topic_has_one() -> None:
    """Those that the firmware knows, and the time; no other."""
    names = {schemas.name_of(f"{base()}/{suffix}") for suffix in SUFFIXES}
    assert set(SCHEMAS) == names | {"time"}
    assert schemas.name_of(f"{base()}/commands/response/req-1") == "commands-response"
    assert schemas.name_of("limpet/time") == "time"
    assert schemas.name_of("$SYS/broker/uptime") is None


def test_samples_fit() -> None:
    """What the node's own code makes for the reference, and that as the page shows it."""
    page = (REPO / "docs" / "reference" / "topics.md").read_text("utf-8")
    for sample in samples.everything():
        topic = sample.topic.replace("{org}", "limpet")
        full = topic if topic == "limpet/time" else f"{base()}/{topic}"
        assert schemas.fault(full, sample.text.encode()) is None
        section = page.partition(f"\n## `{sample.topic}`\n")[2].partition("\n## ")[0]
        assert f"```json\n{sample.text}\n```" in section


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("telemetry", READING),
        ("telemetry", READING | {"humidity": None}),
        ("telemetry", READING | {"outdoor_temperature": -3.5, "soil_2": 4, "supply": 3.31}),
        ("telemetry", {"v": 1, "boot": 1, "seq": 0, "ts": 0, "moisture": 12}),
        ("telemetry", UNKNOWN),
        ("telemetry", BATCH),  # through a broker of before
        ("telemetry-backlog", BATCH),
        ("telemetry-backlog", BATCH | {"dt": [0, 7]}),
        ("telemetry-backlog", BATCH | {"dt": 0, "temperature": [1], "humidity": [None]}),
        ("telemetry-backlog", BATCH | {"ts": None, "up": 9}),
        ("status", BIRTH),
        ("status", BIRTH | {"outage": {"s": 4, "cause": "tcp-timeout"}, "why": "config:zone"}),
        ("status", BIRTH | {"alerts": ["no-time", "cold_frame-sensor-silent"]}),
        ("status", WILL),
        ("alerts", ALERT),
        ("alerts", ALERT | {"alert": "cold_frame-sensor-silent"}),
        ("commands-response", DONE),
        ("commands-response", DONE | {"result": {"boot": 1, "seq": 2, "ts": None, "lux": 3}}),
        ("commands-response", REFUSED),
    ],
)
def test_fits(name: str, said: dict[str, Any]) -> None:
    """What a node may say."""
    assert schemas.reason(name, said) is None


def without(said: dict[str, Any], name: str) -> dict[str, Any]:
    """Return it without one of its fields."""
    return {key: value for key, value in said.items() if key != name}


@pytest.mark.parametrize(
    ("name", "said", "why"),
    [
        *(("telemetry", without(READING, n), n) for n in ("v", "boot", "seq")),
        ("telemetry", without(READING, "ts"), "is a required"),
        ("telemetry", READING | {"temperature": "24.4"}, "temperature: '24.4' is not of type"),
        ("telemetry", READING | {"temperature": True}, "temperature: True is not of type"),
        ("telemetry", READING | {"humidity": 100.1}, "greater than the maximum"),
        ("telemetry", READING | {"outdoor_humidity": -0.1}, "less than the minimum"),
        ("telemetry", READING | {"outdoor_temperature": [1.0]}, r"\[1.0\] is not of type"),
        ("telemetry", READING | {"Pressure": 1}, "'Pressure' was unexpected"),
        ("telemetry", READING | {"soil__2": 1}, "'soil__2' was unexpected"),
        ("telemetry", READING | {"temperature": None, "humidity": None}, "at least one value"),
        ("telemetry", {"v": 1, "boot": 1, "seq": 0, "ts": 0}, "at least one value"),
        ("telemetry", READING | {"ts": None}, "'up' is a required"),
        ("telemetry", READING | {"up": 5}, "False schema"),
        ("telemetry", READING | {"v": 2}, "1 was expected"),
        ("telemetry", READING | {"boot": 0}, "less than the minimum"),
        ("telemetry", READING | {"seq": 4.5}, "not of type 'integer'"),
        ("telemetry", READING | {"dt": 10}, "not of type 'array'"),
        ("telemetry", [READING], "not of type 'object'"),
        ("telemetry-backlog", READING, "'dt' is a required"),
        ("telemetry-backlog", READING | {"dt": 0}, "not of type 'array'"),
        ("telemetry-backlog", BATCH | {"temperature": []}, "non-empty"),
        ("telemetry-backlog", BATCH | {"humidity": [1.5]}, "lists of different lengths"),
        ("telemetry-backlog", BATCH | {"dt": [0, 7, 9]}, "lists of different lengths"),
        ("telemetry-backlog", BATCH | {"dt": 1.5}, "not of type"),
        (
            "telemetry-backlog",
            BATCH | {"temperature": [None, None], "humidity": [None, None]},
            "at least one value",
        ),
        *(("status", without(BIRTH, n), "is a required") for n in BIRTH),
        *(("status", without(WILL, n), "is a required") for n in WILL),
        ("status", BIRTH | {"reason": "lost"}, "False schema"),
        ("status", WILL | {"fw": "1"}, "False schema"),
        ("status", BIRTH | {"reset": "tired"}, "not one of"),
        ("status", WILL | {"reason": "tired"}, "not one of"),
        ("status", BIRTH | {"more_alerts": 1}, "'alerts' is a dependency"),
        ("status", BIRTH | {"outage": {"s": 4}}, "'cause' is a required"),
        ("status", BIRTH | {"outage": {"s": 4, "cause": "x", "n": 1}}, "'n' was unexpected"),
        ("status", BIRTH | {"mood": "good"}, "'mood' was unexpected"),
        *(("alerts", without(ALERT, n), "is a required") for n in ALERT),
        ("alerts", ALERT | {"state": "cleared"}, "False schema"),
        *(("commands-response", without(DONE, n), "is a required") for n in DONE),
        *(("commands-response", without(REFUSED, n), "is a required") for n in REFUSED),
        ("commands-response", DONE | {"code": "x"}, "False schema"),
        ("commands-response", DONE | {"result": {"boot": 1, "seq": 2, "ts": 3}}, "at least one"),
        ("time", {"v": 1, "ts": None}, "not of type"),
    ],
)
def test_does_not_fit(name: str, said: Any, why: str) -> None:
    """What no node may say, each with its reason: fields that are missing, are of another type, out
    of range, of no schema, or do not go together.
    """
    assert re.search(why, schemas.reason(name, said) or "")


def test_published_they_are_open() -> None:
    """A consumer ignores what it does not know, so that a newer node's Messages are not thrown away
    by who checks them; a Command has no other fields, as the node refuses them.
    """
    for name, said in (("status", BIRTH), ("alerts", ALERT), ("commands-response", DONE)):
        assert Draft202012Validator(SCHEMAS[name]).is_valid(said | {"newer": "yes"})
        assert not Draft202012Validator(SCHEMAS[name]).is_valid(without(said, "v"))
    command = {"id": "a", "action": "ping"}
    assert Draft202012Validator(SCHEMAS["commands"]).is_valid(command)
    assert not Draft202012Validator(SCHEMAS["commands"]).is_valid(command | {"newer": "yes"})


def test_health_needs_every_field() -> None:
    """All but what a chip alone has, and that together."""
    (sample,) = (each.payload for each in samples.everything() if each.topic == "health")
    for name in sample:
        reason = schemas.reason("health", without(sample, name))
        assert reason, name
        assert name in reason
    on_a_laptop = {k: v for k, v in sample.items() if not k.startswith("idf")}
    assert schemas.reason("health", on_a_laptop) is None


def test_commands_are_what_the_node_takes() -> None:
    """The schema of Commands and the node's parser agree on all of these, but for the device that a
    `reply_to` has to be of, which no schema knows.
    """
    home = f"{base()}/commands/response"
    values: dict[str, list[Any]] = {
        "v": [1, 0, 2, True, "1", None],
        "id": ["a", "~" * 64, "~" * 65, "", "é", 5, None],
        "action": ["ping", "", 5, None, []],
        "params": [{}, {"seconds": "any"}, [], None, 5],
        "ts": [0, 4294967295, 4294967296, -1, "0", None, True],
        "ttl": [0, 2592000, 2592001, -1, "0", None, False],
        "reply_to": [home, f"{home}/x-1", f"{home}/", f"{home}/a/b", "elsewhere", 5],
        "more": [1],
    }
    good: dict[str, Any] = {"id": "a", "action": "ping"}
    tried = [good, without(good, "id"), without(good, "action"), {}]
    for begin in (good, good | {"ts": 5}):
        tried += [begin | {name: value} for name, some in values.items() for value in some]
    for (one, first), (two, second) in itertools.combinations(values.items(), 2):
        tried += [good | {one: a, two: b} for a in first[:3] for b in second[:3]]
    taken = 0
    for command in tried:
        parsed = parse.parse(json.dumps(command).encode(), base())
        fits = schemas.reason("commands", command) is None
        assert fits is (parsed.fault is None), (command, parsed)
        taken += fits
    assert taken > 50


def test_drivers_measure_in_the_units_of_the_schemas() -> None:
    """What a driver in lib/ calls a field says what it is in, to every consumer, and within the
    bounds that the schema has for it.
    """
    parts = SCHEMAS["telemetry"]["$defs"]
    seen = set()
    for path in sorted(LIB.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Field":
                name, unit, decimals, low, high, _ = map(ast.literal_eval, node.args)
                quantity = name.rpartition("_")[2]
                assert unit == UNITS[quantity], path.name
                part = parts[quantity]
                assert low / 10**decimals >= part["minimum"], path.name
                assert high / 10**decimals <= part.get("maximum", high), path.name
                seen.add(quantity)
    assert seen == {"temperature", "humidity", "supply"}


def test_what_a_test_says_itself_may_be_wrong(broker: RunningBroker) -> None:
    """A Message that the tests' own client has published is no node's; the same bytes by any other
    way are held to the schemas.
    """
    operator, device = broker.operator(), broker.client().connect()
    device.publish(f"{base()}/health", "nothing of the kind")
    operator.wait_for(f"{base()}/health")
    assert schemas.faults() == []
    device._paho.publish(f"{base()}/health", "nothing like it", 1)
    operator.wait_for(f"{base()}/health", lambda message: message.payload == b"nothing like it")
    (found,) = schemas.faults()
    assert found.startswith(f"{base()}/health is no JSON")


@pytest.mark.xfail(strict=True, raises=pytest.fail.Exception)
def test_a_wrong_message_fails_the_test() -> None:
    """Although nothing else is wrong."""
    schemas.note(f"{base()}/telemetry", json.dumps(without(READING, "seq")).encode())


@pytest.mark.parametrize(
    ("topic", "payload", "why"),
    [
        ("telemetry", b"{", "is no JSON"),
        ("telemetry", b'{"v":1,"boot":1,"seq":0,"ts":0,"temperature":NaN}', "is no JSON"),
        ("telemetry", b"", "is no JSON"),
        ("telemetry/late", b"{}", "is no topic of a device"),
        ("status", b"[]", "not of type 'object'"),
    ],
)
def test_faults_name_topic_and_reason(topic: str, payload: bytes, why: str) -> None:
    """And show the payload."""
    found = schemas.fault(f"{base()}/{topic}", payload)
    assert found
    assert found.startswith(f"{base()}/{topic}")
    assert why in found
