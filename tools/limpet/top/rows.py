"""A device as a row of the table, and as JSON. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from limpet.heard import trouble
from limpet.heard.fleet import Heard
from limpet.shared.seen_readings import SeenReading, measured

# A sign beside each word, as not everybody sees the colours, and some have none.
SIGNS = {"silent": "!", "offline": "x", "unseen": "?", "asleep": "z", "online": "+"}
_SPANS = ((60, 1, "s"), (3600, 60, "min"), (86_400, 3600, "h"), (float("inf"), 86_400, "d"))


@dataclass(frozen=True)
class Row:
    """What is shown of a device, each as a text; empty where it is not known. trouble: one of
    trouble.TROUBLES.
    """

    device: str
    trouble: str
    place: str
    state: str
    since: str
    seen: str
    fields: str
    alerts: str
    losses: str
    queue: str
    dropped: str
    heap: str
    rssi: str
    firmware: str


def row(device: str, base: str, heard: Heard, now: float) -> Row:
    """Return a device as it is `now`, Unix seconds. base: its base topic."""
    health = heard.health
    queued, dropped, heap, rssi = (
        health.get(each) for each in ("queued", "dropped", "heap", "rssi")
    )
    return Row(
        device=device,
        trouble=trouble.trouble(heard, now),
        place=place(base),
        state=_state(heard, now),
        since="" if heard.since is None else age(now - heard.since),
        seen=age(now - heard.seen) if heard.seen else "",
        fields=_fields(heard),
        alerts=", ".join(_alert(name, *said, now) for name, said in sorted(heard.alerts.items())),
        losses=", ".join(f"{cause} {count}" for cause, count in heard.losses.most_common()),
        queue="" if queued is None else f"{queued:.0f}{'+' if heard.queue_grows else ''}",
        dropped=f"{dropped:.0f}" if dropped else "",
        heap="" if heap is None else f"{heap / 1024:.0f} KB",
        rssi="" if rssi is None else f"{rssi:.0f}",
        firmware=heard.firmware,
    )


def place(base: str) -> str:
    """Return `site/zone` of a base topic."""
    return "/".join(base.split("/")[1:3])


def age(seconds: float) -> str:
    """Return a span in its largest unit: `4 s`, `12 min`, `3 h`, `5 d`."""
    seconds = max(seconds, 0)
    for most, unit_s, unit in _SPANS:
        if seconds < most:
            return f"{seconds // unit_s:.0f} {unit}"
    return ""


def as_json(device: str, base: str, heard: Heard, now: float) -> dict[str, Any]:
    """Return what is known of a device, for programs; times are Unix seconds, None where one is not
    known.
    """
    reading = heard.reading
    return {
        "device": device,
        "place": base.split("/")[1:4],
        "state": heard.state(now),
        "trouble": trouble.trouble(heard, now),
        "since": heard.since,
        "seen": heard.seen or None,
        "reason": heard.reason,
        "wake_at": heard.wake_at,
        "reading": reading
        and {
            "ts": reading.ts,
            "values": {k: v for k, v in reading.values.items() if k in heard.fields},
        },
        "alerts": [
            {"name": name, "since": each.since, "reason": each.reason}
            for name, each in sorted(heard.alerts.items())
        ],
        "losses": dict(heard.losses),
        "missing": heard.missing(),
        "boot": heard.boot,
        "session": heard.session or None,
        "health": heard.health,
        "firmware": heard.firmware,
    }


def _state(heard: Heard, now: float) -> str:
    """Return sign and word, and why it is offline, or for how long it still sleeps."""
    word = heard.state(now)
    more = ""
    if word == "offline":
        more = heard.reason
    elif word == "asleep" and heard.wake_at is not None:
        more = age(heard.wake_at - now)
    return f"{SIGNS[word]} {word} {more}".rstrip()


def _fields(heard: Heard) -> str:
    reading = heard.reading
    if reading is None:
        return ""
    values = {name: value for name, value in reading.values.items() if name in heard.fields}
    return "  ".join(measured(SeenReading(reading.boot, reading.seq, reading.ts, None, values)))


def _alert(name: str, since: float | None, reason: str, now: float) -> str:
    when = "" if since is None else f" {age(now - since)}"
    return f"{name}{f' ({reason})' if reason else ''}{when}"
