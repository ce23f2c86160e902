"""The table of `limpet top`: what a row says, and which columns fit."""

from __future__ import annotations

import json
from typing import Any

import pytest
from limpet.heard.fleet import Fleet
from limpet.ingest.consumer import Message
from limpet.top import table
from limpet.top.rows import Row, age, as_json, row
from rich.cells import cell_len
from support.brokers.running import base

NOW = 1_790_000_500.0
ONLINE = {"v": 1, "status": "online", "boot": 7, "session": 1, "fw": "0.1.0"}
HEALTH = {
    "v": 1, "up": 60, "interval_s": 10, "queued": 12, "dropped": 3, "heap": 86_016, "rssi": -61,
    "downs": {"tcp-refused": 1, "no-ap": 4},
}  # fmt: skip
READING = {"v": 1, "boot": 7, "seq": 1, "ts": int(NOW), "temperature": 21.5, "humidity": 44.0}
ALERT = {
    "v": 1, "ts": int(NOW) - 300, "alert": "sensor-silent", "state": "raised", "reason": "timeout",
}  # fmt: skip


def said(*messages: tuple[str, dict[str, Any]], device: str = "node-1") -> Fleet:
    """Return a fleet of one, which has said these a minute before NOW."""
    fleet = Fleet({device: base(device)}, NOW - 60)
    for suffix, message in messages:
        payload = json.dumps(message).encode()
        fleet.take(Message(f"{base(device)}/{suffix}", payload, 1, 1), NOW - 60)
    return fleet


def shown(*messages: tuple[str, dict[str, Any]], now: float = NOW) -> Row:
    """Return the row of node-1 that has said these."""
    return row("node-1", base(), said(*messages).devices["node-1"], now)


def test_a_row() -> None:
    """All of it in words."""
    found = shown(("status", ONLINE), ("telemetry", READING), ("health", HEALTH), ("alerts", ALERT))
    assert found == Row(
        device="node-1",
        trouble="alert",
        place="home/desk",
        state="+ online",
        since="1 min",
        seen="1 min",
        fields="21.5 °C 44.0 %",
        alerts="sensor-silent (timeout) 5 min",
        losses="no-ap 4, tcp-refused 1",
        queue="12",
        dropped="3",
        heap="84 KB",
        rssi="-61",
        firmware="0.1.0",
    )


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ({"status": "offline", "reason": "lost"}, "x offline lost"),
        ({"status": "asleep", "wake_at": int(NOW) + 900}, "z asleep 15 min"),
        ({}, "+ online"),
    ],
)
def test_the_state(status: dict[str, Any], word: str) -> None:
    """A sign, a word, and what a person would ask next."""
    assert shown(("status", ONLINE | status)).state == word


def test_nothing_is_known() -> None:
    """What was never said is empty."""
    found = shown()
    assert (found.state, found.trouble) == ("? unseen", "unseen")
    assert not any((found.since, found.seen, found.fields, found.queue, found.heap, found.rssi))


def test_what_steers_a_terminal() -> None:
    """Nothing that a device says reaches one."""
    evil = "\x1b[2J\u202e\n"
    found = shown(
        ("status", ONLINE | {"status": "offline", "reason": evil, "fw": evil}),
        ("telemetry", READING | {"temperature" + evil: 1.0}),
        ("alerts", ALERT | {"reason": evil}),
    )
    assert all(text.isprintable() for text in vars(found).values())


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0 s"), (59.9, "59 s"), (60, "1 min"), (3599, "59 min"), (7200, "2 h"), (1e6, "11 d")],
)
def test_ages(seconds: float, text: str) -> None:
    """In the largest unit; a clock that was set back makes none of the future."""
    assert age(seconds) == text


@pytest.mark.parametrize("width", [1, 7, 20, 40, 79, 80, 100, 120, 160, 200, 400])
def test_it_fits(width: int) -> None:
    """No line is wider than the terminal, however long the names are."""
    names = ["node-1", "a-device-with-a-very-long-name-indeed-of-48-letters"]
    columns = table.fitting(width, names, ["home/desk", "a-very-long-site/with-a-long-zone"])
    found = shown(("status", ONLINE), ("telemetry", READING), ("health", HEALTH))
    for cells in (table.head(columns), table.cells(found, columns)):
        assert cell_len(table.GAP.join(cells)) <= width
        assert [cell_len(each) for each in cells] == [each.width for each in columns]
    assert columns[0].name == "device"


def test_what_goes_first() -> None:
    """The less important, until the device is left alone; what there is keeps its order."""
    gone, before = [], [each.name for each in table.COLUMNS]
    for width in range(220, 0, -1):
        names = [each.name for each in table.fitting(width, ["node-1"], ["home/desk"])]
        assert names == [each for each in before if each in names]
        gone += [each for each in before if each not in names]
        before = names
    by_weight = sorted(table.COLUMNS, key=lambda each: each.weight)
    assert gone == [each.name for each in by_weight[:-1]]


def test_a_cell() -> None:
    """Cut with a sign that it is, also where a letter takes two cells."""
    left, right = (table.Column("", "", 4, each) for each in (False, True))
    assert [table.cell(text, left) for text in ("ab", "abcd", "abcde")] == ["ab  ", "abcd", "abc…"]
    assert table.cell("7", right) == "   7"
    assert cell_len(table.cell("日本語", left)) == 4


def test_for_a_pipe() -> None:
    """As wide as it takes, without columns in which there is nothing."""
    found = shown(("status", ONLINE), ("telemetry", READING))
    columns = table.natural([found])
    names = [each.name for each in columns]
    assert "fields" in names
    assert "rssi" not in names
    assert "…" not in table.line(table.cells(found, columns))


def test_as_json() -> None:
    """Everything that is known, for programs, and nothing that JSON cannot hold."""
    fleet = said(("status", ONLINE), ("telemetry", READING), ("alerts", ALERT))
    found = as_json("node-1", base(), fleet.devices["node-1"], NOW)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["reading"] == {
        "ts": READING["ts"],
        "values": {"temperature": 21.5, "humidity": 44.0},
    }
    assert found["alerts"] == [{"name": "sensor-silent", "since": NOW - 300, "reason": "timeout"}]
    assert (found["place"], found["trouble"]) == (["home", "desk", "climate"], "alert")
