"""rules: what a filter covers, and what follows from a name."""

from __future__ import annotations

import itertools

import pytest
from limpet.brokers.rules import covers, grant, organisations
from limpet.identity.registry import OPERATORS, Role
from paho.mqtt.client import topic_matches_sub

BASES = {"node-1": "limpet/home/desk/climate/node-1", "pump": "farm/south/well/water/pump"}
CONSUMERS: dict[str, Role] = {
    **dict.fromkeys(OPERATORS, "operate"),
    "grafana": "read",
    "teller": "discovery",
    "hass": "home-assistant",
}


@pytest.mark.parametrize(
    ("own", "wanted", "answer"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/b/c", False),
        ("a/b", "a", False),
        ("a/b", "a/+", False),
        ("a/b", "a/#", False),
        ("a/b", "#", False),
        ("a/+", "a/b", True),
        ("a/+", "a/+", True),
        ("a/+", "a/#", False),
        ("a/+", "a", False),
        ("a/+", "a/b/c", False),
        ("a/+/c", "a/#", False),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("a/#", "a/+/#", True),
        ("a/#", "+/b", False),
        ("a/#", "#", False),
        ("#", "$SYS/broker", False),
        ("+/broker", "$SYS/broker", False),
        ("$SYS/#", "$SYS/broker", True),
        ("a", "A", False),
        ("a/+", "a/", True),
    ],
)
def test_covers(own: str, wanted: str, answer: bool) -> None:
    """A filter covers what it matches, wildcards of the other included."""
    assert covers(own, wanted) is answer


def test_covers_agrees_with_matching() -> None:
    """Over all short filters: what is covered matches no topic that the covering one does not."""
    levels = ("a", "b", "+", "#")
    filters = [
        "/".join(parts)
        for depth in (1, 2, 3)
        for parts in itertools.product(levels, repeat=depth)
        if "#" not in parts[:-1]
    ]
    topics = ["/".join(parts) for n in (1, 2, 3, 4) for parts in itertools.product("ab", repeat=n)]
    matched = {f: {t for t in topics if topic_matches_sub(f, t)} for f in filters}
    for own, wanted in itertools.product(filters, repeat=2):
        if covers(own, wanted):
            assert matched[wanted] <= matched[own], (own, wanted)
    for own, topic in itertools.product(filters, topics):
        assert covers(own, topic) is topic_matches_sub(own, topic), (own, topic)


def test_unknown_names_have_no_rights() -> None:
    """Who is neither a device of the registry nor an operator is nobody."""
    for name in ("", "node-2", "limpet", "operator-9", "operators", "Operator"):
        assert grant(name, BASES, CONSUMERS) is None


def test_device_rights_follow_the_registry() -> None:
    """A device's rights are below the base topic that it was provisioned with."""
    pump = grant("pump", BASES, CONSUMERS)
    assert pump
    assert pump.may_write("farm/south/well/water/pump/telemetry")
    assert pump.may_read("farm/south/well/water/pump/commands")
    assert not pump.may_write("limpet/home/desk/climate/pump/telemetry")
    assert not pump.may_write("farm/south/well/water/pump/commands")
    assert not pump.may_read("farm/south/well/water/+/commands")
    # The time of its own organisation, which nobody but the broker tells.
    assert pump.may_read("farm/time")
    assert not pump.may_read("limpet/time")
    assert not pump.may_read("farm/+")
    operator = grant("operator", BASES, CONSUMERS)
    assert operator
    assert not any(each.may_write("farm/time") for each in (pump, operator))


def test_nobody_publishes_to_a_wildcard() -> None:
    """A will's topic with a wildcard in it is no topic, not even where `+` would be covered."""
    for name in ("pump", "operator"):
        rights = grant(name, BASES, CONSUMERS)
        assert rights
        assert not rights.may_write("farm/south/well/water/pump/commands/response/+")
        assert not rights.may_write("farm/+/well/water/pump/commands")


def test_operator_rights_span_the_organisations() -> None:
    """Operators read all of every organisation there is a device of, and nothing beyond."""
    assert organisations(BASES) == ["farm", "limpet"]
    operator = grant("operator-3", BASES, CONSUMERS)
    assert operator
    assert operator.may_read("farm/#")
    assert operator.may_read("$SYS/broker/uptime")
    assert not operator.may_read("#")
    assert not operator.may_read("other/#")
    assert operator.may_write("farm/south/well/water/pump/commands")
    assert not operator.may_write("farm/south/well/water/pump/status")


def test_a_reader_reads_what_operators_read_and_writes_nothing() -> None:
    """The role "read" of a consumer."""
    reader, operator = grant("grafana", BASES, CONSUMERS), grant("operator", BASES, CONSUMERS)
    assert reader
    assert operator
    assert reader.reads == operator.reads
    assert reader.may_read("$SYS/broker/uptime")
    assert reader.writes == ()
    assert not reader.may_write("farm/south/well/water/pump/commands")


def test_home_assistant_is_told_by_one_program_alone() -> None:
    """That one writes entries and nothing else, Home Assistant its own status and Commands; devices
    and operators neither, and nobody but that program may have an entry retained.
    """
    entry, there = "homeassistant/device/pump/config", "homeassistant/status"
    command = "farm/south/well/water/pump/commands"
    may = {
        name: [found.may_write(each) for each in (entry, there, command)]
        for name in ("teller", "hass", "pump", "operator", "grafana")
        if (found := grant(name, BASES, CONSUMERS))
    }
    assert may == {
        "teller": [True, False, False],
        "hass": [False, True, True],
        "pump": [False, False, False],
        "operator": [False, False, True],
        "grafana": [False, False, False],
    }
    teller, hass = grant("teller", BASES, CONSUMERS), grant("hass", BASES, CONSUMERS)
    assert teller
    assert hass
    assert teller.may_retain(entry)
    assert teller.may_retain("homeassistant/device/pump/problem")
    assert not hass.may_retain(command)
    assert teller.may_read(there)
    assert teller.may_read("homeassistant/device/+/config")
    assert not teller.may_write("homeassistant/sensor/x/config")
    assert hass.may_read("homeassistant/+/+/config")
    for each in (teller, hass):
        assert each.may_read("farm/#")
        assert not each.may_read("#")
        assert not each.may_read("$SYS/#")
