"""What is kept of what devices say: right, and bounded, whatever they say."""

from __future__ import annotations

import json
from typing import Any

from limpet.exporter.metrics import unit
from limpet.heard.fleet import (
    MAX_ALERTS,
    MAX_NAMES,
    MAX_SPANS,
    UNKNOWN_SILENT_S,
    Alert,
    Fleet,
)
from limpet.ingest.consumer import Message
from limpet.ingest.intake import MAX_FIELDS
from support.brokers.running import base

NOW = 1_790_000_500.0


def fleet(*names: str) -> Fleet:
    """Return one that has heard nothing."""
    return Fleet({name: base(name) for name in names or ("node-1",)})


def say(
    into: Fleet,
    suffix: str,
    said: Any,
    device: str = "node-1",
    *,
    retained: bool = False,
    at: float = NOW,
) -> None:
    """Have a device say something."""
    payload = said if isinstance(said, bytes) else json.dumps(said).encode()
    into.take(Message(f"{base(device)}/{suffix}", payload, 1, 1, retained), at)


def reading(seq: int, boot: int = 7, **fields: Any) -> dict[str, Any]:
    """Return a Reading, ten seconds behind the one before."""
    ts = 1_790_000_000 + 10 * seq + 100_000 * boot
    return {"v": 1, "boot": boot, "seq": seq, "ts": ts} | (fields or {"temperature": seq / 10})


def status(word: str, boot: int, session: int = 1) -> dict[str, Any]:
    """Return a status."""
    return {"v": 1, "status": word, "boot": boot, "session": session, "fw": "0.1.0"}


def test_the_newest_reading_counts() -> None:
    """A backlog fills what was missing, and is not taken for what is now."""
    heard = fleet()
    node = heard.devices["node-1"]
    for seq in (1, 2, 6):
        say(heard, "telemetry", reading(seq))
    assert node.missing() == 3
    batch = reading(3) | {"dt": 10, "temperature": [0.3, 0.4]}
    say(heard, "telemetry/backlog", batch)
    assert node.missing() == 1
    assert node.reading
    assert (node.reading.seq, node.reading.values) == (6, {"temperature": 0.6})
    say(heard, "telemetry", reading(9, boot=8))
    assert (node.missing(), node.reading.boot) == (0, 8)
    # Old ones of the boot before are nobody's gap.
    say(heard, "telemetry/backlog", reading(4))
    assert (node.missing(), node.reading.boot) == (0, 8)


def test_a_device_that_counts_anew() -> None:
    """Its flash was erased: a lower boot with a later time, said live, is of now."""
    heard = fleet()
    node = heard.devices["node-1"]
    say(heard, "telemetry", reading(5, boot=7))
    later = reading(1, boot=1) | {"ts": 1_799_000_000}
    say(heard, "telemetry/backlog", later)
    assert node.reading
    assert node.reading.boot == 7
    say(heard, "telemetry", later)
    assert node.reading.boot == 1
    say(heard, "status", status("online", 7), retained=True)
    say(heard, "status", status("online", 1))
    assert (node.status, node.boot) == ("online", 1)


def test_statuses() -> None:
    """What is retained is no sign of life; a will that comes late says nothing of now."""
    heard = fleet()
    node = heard.devices["node-1"]
    say(heard, "status", status("online", 7, 3), retained=True)
    assert (node.status, node.session, node.seen, node.firmware) == ("online", 3, 0, "0.1.0")
    say(heard, "status", status("online", 7, 4))
    say(heard, "status", status("offline", 7, 3))
    assert (node.status, node.session, node.seen) == ("online", 4, NOW)
    say(heard, "status", status("offline", 7, 4))
    assert node.status == "offline"
    say(heard, "status", status("online", 8) | {"fw": 'x"}\n' * 9})
    assert (node.status, node.firmware) == ("online", "other")


def test_causes_are_from_the_list() -> None:
    """Whatever a device calls them; and a new boot counts from 0."""
    heard = fleet()
    node = heard.devices["node-1"]
    made_up = {f"made-up-{n}": 1 for n in range(1000)}
    health = {"v": 1, "ts": None, "up": 60, "heap": 5000, "rssi": -70, "bugs": "no", "queued": -1}
    say(heard, "health", health | {"downs": {"closed": 2, "dns": True} | made_up})
    assert node.losses == {"closed": 2, "other": 1000}
    assert node.health == {"up": 60, "heap": 5000, "rssi": -70}
    say(heard, "status", status("online", 8))
    assert not node.losses
    assert not node.health


def test_what_is_kept_is_bounded() -> None:
    """Names of fields, of one device and of all; holes; devices that nobody knows."""
    heard = fleet(*(f"node-{n}" for n in range(1, 21)))
    for turn in range(3):
        fields = {f"f{turn}_{n}": n for n in range(30)}
        say(heard, "telemetry", reading(turn, **fields))
    node = heard.devices["node-1"]
    assert len(node.fields) == MAX_FIELDS
    assert heard.ignored_fields == 90 - MAX_FIELDS
    for number in range(2, 21):
        fields = {f"d{number}_{n}": n for n in range(30)}
        say(heard, "telemetry", reading(1, **fields), f"node-{number}")
    assert len(set().union(*(each.fields for each in heard.devices.values()))) == MAX_NAMES
    for seq in range(10, 10 + 4 * MAX_SPANS, 2):
        say(heard, "telemetry", reading(seq))
    assert len(node.spans.spans) == MAX_SPANS
    assert node.missing() == 7 + 2 * MAX_SPANS - 1
    for number in range(1000):
        say(heard, "telemetry", reading(1), f"stranger-{number}")
    assert heard.rejected == {"unknown-device": 1000}
    assert len(heard.devices) == 20


def test_garbage() -> None:
    """Whatever comes is counted, and changes nothing."""
    heard = fleet()
    for payload in (b"", b"\xff", b"[]", b"{", b"[" * 100_000, b'{"v": 2}', b"x" * 70_000):
        for suffix in ("telemetry", "status", "health"):
            say(heard, suffix, payload)
    say(heard, "status", {"status": "odd", "boot": 1, "session": 1})
    say(heard, "status", {"status": "online", "boot": "1", "session": None})
    say(heard, "health", {"up": 5, "downs": [1], "read_errors": {"a": None}, "heap": 1e400})
    node = heard.devices["node-1"]
    assert (node.status, node.boot, node.reading) == ("", None, None)
    assert node.health == {"up": 5}
    assert sum(heard.rejected.values()) > 15


def test_the_registry_changes() -> None:
    """Who is gone is forgotten, who stays is not."""
    heard = fleet("node-1", "node-2")
    say(heard, "telemetry", reading(1))
    heard.known({"node-1": base(), "node-3": base("node-3")})
    assert list(heard.devices) == ["node-1", "node-3"]
    assert heard.devices["node-1"].reading


def test_units() -> None:
    """By the last word of a field's name."""
    names = ("temperature", "outdoor_temperature", "humidity", "pressure", "supply", "co2", "")
    found = [unit(each) for each in names]
    assert found == ["celsius", "celsius", "percent", "hectopascals", "volts", "", ""]


def test_how_a_device_is() -> None:
    """By its status, and by whether anything came since; what a broker retained proves nothing."""
    heard = Fleet({"node-1": base("node-1")}, NOW)
    node = heard.devices["node-1"]
    assert node.state(NOW) == "unseen"
    say(heard, "status", status("online", 7), retained=True)
    assert (node.state(NOW), node.since) == ("online", None)
    assert node.state(NOW + UNKNOWN_SILENT_S + 1) == "silent"
    say(heard, "health", {"v": 1, "ts": int(NOW), "up": 9, "interval_s": 10})
    assert [node.state(NOW + each) for each in (60, 61)] == ["online", "silent"]
    say(heard, "status", status("offline", 7) | {"reason": "lost"})
    assert (node.state(NOW), node.reason, node.since) == ("offline", "lost", NOW)
    say(heard, "status", status("online", 7, 2))
    assert (node.state(NOW), node.reason) == ("online", "")
    say(heard, "status", status("asleep", 7, 2) | {"wake_at": int(NOW) + 900})
    assert [node.state(NOW + each) for each in (900, 1021)] == ["asleep", "silent"]


def test_a_status_said_again_begins_nothing() -> None:
    """With other settings it comes anew, and so does what is retained, after a reconnection."""
    heard = fleet()
    node = heard.devices["node-1"]
    say(heard, "status", status("online", 7))
    say(heard, "status", status("online", 7) | {"interval_s": 30}, at=NOW + 500)
    say(heard, "status", status("online", 7), retained=True, at=NOW + 600)
    assert node.since == NOW
    say(heard, "status", status("online", 7, 2), at=NOW + 700)
    assert node.since == NOW + 700
    say(heard, "status", status("offline", 7, 2), at=NOW + 800)
    assert node.since == NOW + 800


def test_nobody_was_silent_while_the_broker_was_away() -> None:
    """Each has its three intervals from when there is a connection again."""
    heard = Fleet({"node-1": base("node-1")}, NOW)
    node = heard.devices["node-1"]
    say(heard, "status", status("online", 7))
    heard.interrupted(NOW + 5000)
    assert node.state(NOW + 5001) == "online"


def test_alerts_are_those_of_the_birth_and_since() -> None:
    """Raised, cleared, named by a birth; bounded, whatever is said."""
    heard = fleet()
    node = heard.devices["node-1"]
    raised = {"v": 1, "ts": 1_790_000_000, "alert": "sensor-silent", "state": "raised"}
    say(heard, "alerts", raised | {"reason": "silent"})
    assert node.alerts == {"sensor-silent": Alert(1_790_000_000, "silent")}
    say(heard, "status", status("online", 7) | {"alerts": ["no-time", "sensor-silent", 5]})
    assert node.alerts.keys() == {"no-time", "sensor-silent"}
    assert node.alerts["sensor-silent"].since == 1_790_000_000
    say(heard, "alerts", raised | {"state": "cleared"})
    assert node.alerts == {"no-time": Alert(None)}
    for number in range(2 * MAX_ALERTS):
        say(heard, "alerts", raised | {"alert": f"alert-{number}" + "x" * 99, "reason": "y" * 999})
    assert len(node.alerts) == MAX_ALERTS
    assert max(len(name) + len(each.reason) for name, each in node.alerts.items()) < 150
