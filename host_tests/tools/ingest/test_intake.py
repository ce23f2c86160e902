"""What arrives, turned into what the store takes: payloads that are good, wrong and hostile."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from limpet.ingest import intake
from limpet.ingest.intake import Intake, Reading, Taken
from support import schemas
from support.brokers.running import base
from support.ingesting import reading

NOW = 1_790_000_500
TELEMETRY = f"{base()}/telemetry"
BACKLOG = f"{base()}/telemetry/backlog"


def take(payload: Any, topic: str | None = TELEMETRY) -> Taken:
    """Return what a payload, bytes or what JSON can say, is made of."""
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Intake({"node-1": base()}).take(topic, data, NOW)


def reasons(taken: Taken) -> list[str]:
    """Return why something was left out."""
    return [each.reason for each in taken.rejected]


def test_live() -> None:
    """A Reading has what was measured, whatever its fields are called."""
    said = reading(7, 4, humidity=None, outdoor_temperature=-7.1, lux=7)
    assert schemas.fault(TELEMETRY, json.dumps(said).encode()) is None
    values = {"temperature": 20.04, "humidity": None, "outdoor_temperature": -7.1, "lux": 7}
    assert take(said) == Taken([Reading("node-1", 7, 4, said["ts"], None, values)], [], [])


def test_without_a_time() -> None:
    """It has the seconds of its boot instead."""
    taken = take(reading(7, 4, ts=None, up=12))
    assert taken.readings == [Reading("node-1", 7, 4, None, 12, {"temperature": 20.04})]
    assert not taken.rejected


@pytest.mark.parametrize(
    ("more", "times"),
    [
        ({"dt": 10}, [50, 60, 70]),
        ({"dt": [0, 7, 90]}, [50, 57, 140]),
        ({"dt": 0}, [50, 50, 50]),
    ],
)
@pytest.mark.parametrize("topic", [BACKLOG, TELEMETRY])
def test_batch(topic: str, more: dict[str, Any], times: list[int]) -> None:
    """Reading i is seq + i, at ts + i * dt or at ts + dt[i], on either topic."""
    taken = take({"v": 1, "boot": 1, "seq": 5, "ts": 50, "temperature": [1, None, 3.5], **more})
    found = [(each.seq, each.ts, each.up, each.values["temperature"]) for each in taken.readings]
    values = (1, None, 3.5)
    assert found == [(5 + i, times[i], None, values[i]) for i in range(3)]
    assert not taken.rejected


def test_batch_without_a_time() -> None:
    """What is said of ts is said of up there."""
    taken = take({"v": 1, "boot": 1, "seq": 5, "ts": None, "up": 9, "dt": 10, "lux": [1, 2]})
    assert [(each.ts, each.up) for each in taken.readings] == [(None, 9), (None, 19)]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"garbage", "not-json"),
        (b"\xff\xfe", "not-json"),
        (b'{"v":1,"boot":1,"seq":' + b"1" * 5000 + b"}", "not-json"),
        (b"[" * 30000, "not-json"),
        (b"[1]", "not-json"),
        (b"x" * 262144, "too-long"),
        (reading(1, 1, v=2), "other-version"),
        ({"v": 1, "temperature": 3}, "no-reading"),
        ({"v": 1, "boot": 1, "seq": 1, "ts": 5}, "no-reading"),
        ({"v": 1, "boot": 1, "seq": 1, "ts": 5, "LUX": 3}, "no-reading"),
        ({"v": 1, "boot": 1, "seq": 1, "ts": 5, "dt": 1}, "no-reading"),
        (reading(1, 1, temperature=None), "no-reading"),
        (reading(1, 1, temperature="warm"), "no-reading"),
        (reading(1, 1, dt=1, temperature=[None, "warm"]), "no-reading"),
        (reading(1, 1, boot=0), "bad-boot"),
        (reading(1, 1, boot=True), "bad-boot"),
        (reading(1, 1, boot=2**32), "bad-boot"),
        (reading(1, 1, seq=-1), "bad-seq"),
        (reading(1, 1, seq=1.0), "bad-seq"),
        (reading(1, 1, seq="1"), "bad-seq"),
        (reading(1, 1, ts=-1), "bad-ts"),
        (reading(1, 1, ts=1e9), "bad-ts"),
        (reading(1, 1, ts=None), "bad-ts"),
        (reading(1, 1, ts=None, up=-3), "bad-ts"),
        (reading(1, 1, ts=2**40), "bad-ts"),
        (reading(1, 1, dt=1, temperature=[]), "uneven-batch"),
        (reading(1, 1, dt=1, temperature=[1, 2], humidity=[1]), "uneven-batch"),
        (reading(1, 1, dt=1, temperature=[1, 2], humidity=1), "uneven-batch"),
        (reading(1, 1, temperature=[1, 2]), "uneven-batch"),
        (reading(1, 1, dt=[0], temperature=[1, 2]), "uneven-batch"),
        (reading(1, 1, dt=-1, temperature=[1, 2]), "uneven-batch"),
        (reading(1, 1, dt=1, temperature=[1] * 1001), "uneven-batch"),
        (reading(1, 2**32 - 1, ts=1, dt=1, temperature=[1, 2]), "bad-seq"),
        (reading(1, 1, dt=2**32 - 1, temperature=[1, 2]), "bad-ts"),
    ],
)
def test_nothing_is_taken(payload: Any, reason: str) -> None:
    """What is wrong as a whole is named, and kept in part."""
    taken = take(payload)
    assert not taken.readings
    assert reasons(taken) == [reason]
    assert reason in intake.REASONS
    [rejected] = taken.rejected
    assert len(rejected.payload) == min(rejected.size, intake.KEPT_BYTES)
    assert (rejected.topic, rejected.device) == (TELEMETRY, "node-1")


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (b"1e308", "bad-value"),
        (b"-1e10", "bad-value"),
        (b"NaN", "bad-value"),
        (b"Infinity", "bad-value"),
        (b"1" + b"0" * 400, "bad-value"),
        (b'"7"', "bad-value"),
        (b"true", "bad-value"),
        (b"{}", "bad-value"),
    ],
)
def test_a_bad_value_costs_itself(more: bytes, reason: str) -> None:
    """The other fields are stored; the payload is kept besides."""
    taken = take(b'{"v":1,"boot":1,"seq":1,"ts":5,"lux":%s,"temperature":3}' % more)
    assert [each.values for each in taken.readings] == [{"lux": None, "temperature": 3}]
    assert reasons(taken) == [reason]


@pytest.mark.parametrize("name", ["Lux", "1x", "x" * 49, 'a"b', "a-b", "device", "xmin", "ä", ""])
def test_a_bad_name_costs_itself(name: str) -> None:
    """No field's name is one that could not be a column's."""
    taken = take(reading(1, 1) | {name: 3})
    assert [list(each.values) for each in taken.readings] == [["temperature"]]
    assert reasons(taken) == ["bad-field"]


def test_too_many_fields() -> None:
    """The first 32 are taken."""
    taken = take(reading(1, 1) | {f"f{i}": i for i in range(40)})
    assert len(taken.readings[0].values) == intake.MAX_FIELDS
    assert reasons(taken) == ["too-many-fields"]


@pytest.mark.parametrize(
    ("topic", "reason"),
    [
        (None, "bad-topic"),
        ("", "bad-topic"),
        (base(), "bad-topic"),
        (f"{base()}/other", "bad-topic"),
        ("limpet/home/desk/climate//telemetry", "bad-topic"),
        (f"limpet/home/desk/climate/{'x' * 65}/telemetry", "bad-topic"),
        (f"{base('node-9')}/telemetry", "unknown-device"),
    ],
)
def test_topics(topic: str | None, reason: str) -> None:
    """Of a device that is in the registry, and of a kind that is known."""
    assert reasons(take(reading(1, 1), topic)) == [reason]
    assert Intake(None).take(topic, b"{}", NOW).rejected  # no registry makes it no better


def test_without_a_registry_every_device_counts() -> None:
    """Where there is no fleet it is up to the broker who may say something."""
    data = json.dumps(reading(1, 1)).encode()
    taken = Intake(None).take(f"{base('node-9')}/telemetry", data, NOW)
    assert [each.device for each in taken.readings] == ["node-9"]


@pytest.mark.parametrize(
    ("suffix", "payload", "kind", "key", "at"),
    [
        (
            "status",
            {"v": 1, "status": "offline", "boot": 7, "session": 2, "reason": "lost"},
            "status",
            "7 2 offline",
            NOW,
        ),
        (
            "alerts",
            {"v": 1, "ts": 70, "alert": "no-time", "state": "raised"},
            "alert",
            "70 no-time raised",
            70,
        ),
        ("health", {"v": 1, "ts": 70, "up": 5, "heap": 1}, "health", "70 5", 70),
        (
            "commands/response",
            {"v": 1, "id": "a", "status": "executed", "ts": 70},
            "response",
            "a",
            70,
        ),
        ("commands/response/x", {"v": 1, "id": "b", "ts": None}, "response", "b", NOW),
    ],
)
def test_events(suffix: str, payload: dict[str, Any], kind: str, key: str, at: int) -> None:
    """What else a device says is kept as it came, under what tells it from others."""
    taken = take(payload, f"{base()}/{suffix}")
    assert taken.events == [("node-1", kind, key, at, json.dumps(payload))]
    assert not taken.rejected


@pytest.mark.parametrize("payload", [{"v": 1}, {"v": 1, "boot": 0, "session": 1, "status": "x"}])
def test_events_without_a_name(payload: dict[str, Any]) -> None:
    """What cannot be told from others is rejected."""
    assert reasons(take(payload, f"{base()}/status")) == ["bad-event"]


def test_a_cleared_status_is_nothing() -> None:
    """An empty payload takes back what was retained."""
    assert take(b"", f"{base()}/status") == Taken([], [], [])


def test_no_bytes_raise() -> None:
    """Whatever comes is taken or named: payloads bent at random."""
    chance = random.Random(5)
    good = json.dumps(reading(1, 1, dt=[0, 1], temperature=[1, 2], humidity=[3, None])).encode()
    for _ in range(5000):
        data = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.choice(b'{}[]",:0123456789enut.-\xff\x00')
        taken = take(bytes(data[: chance.randint(1, len(data))]))
        assert all(each.reason in intake.REASONS for each in taken.rejected)
        assert taken.readings or taken.rejected
