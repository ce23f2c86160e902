"""A device in a few lines, and one in detail, as the browser gets them."""

from __future__ import annotations

from typing import Any

from limpet.heard import trouble
from limpet.heard.fleet import Heard
from limpet.page.model.node import Node

SPARK = 40
# What of a device's health is shown as it was before, too.
TREND = ("heap", "rssi", "queued")


def card(device: str, base: str, heard: Heard, now: float) -> dict[str, Any]:
    """Return a device in a few lines. now: Unix seconds."""
    word, reading = trouble.trouble(heard, now), heard.reading
    health = heard.health
    found: dict[str, Any] = {
        "id": device,
        "place": base.split("/")[1:4],
        "state": heard.state(now),
        "trouble": word,
        "rank": trouble.RANKS[word],
        "since": heard.since,
        "seen": round(heard.seen, 1),
        "reason": heard.reason,
        "values": {},
        "ts": None,
        "seq": None,
        "boot": heard.boot,
        "alerts": [
            {"name": name, "since": each.since, "reason": each.reason}
            for name, each in heard.alerts.items()
        ],
        "queued": health.get("queued"),
        "rssi": health.get("rssi"),
    }
    if reading:
        found |= {"values": reading.values, "ts": reading.ts, "seq": reading.seq}
        found["boot"] = heard.boot or reading.boot
    return found


def detail(device: str, heard: Heard, node: Node, ends: float | None) -> dict[str, Any]:
    """Return a device in detail. ends: until when its certificate is good, Unix seconds."""
    return {
        "t": "node",
        "id": device,
        "health": heard.health,
        "health_at": node.health.times[-1] if heard.health and len(node.health) else None,
        "losses": dict(heard.losses),
        "firmware": heard.firmware,
        "session": heard.session,
        "interval_s": heard.health.get("interval_s"),
        "certificate_ends": ends,
        "missing": heard.missing() if heard.reading else None,
        "reported": node.reported,
        "desired": node.desired,
        "update": node.update,
    }


def trend(node: Node) -> dict[str, list[tuple[int, float]]]:
    """Return how the health of a device was, by name: times and values."""
    times = node.health.times
    return {
        name: [
            (ts, value)
            for ts, value in zip(times, node.health.column(name), strict=True)
            if value == value
        ]
        for name in TREND
    }
