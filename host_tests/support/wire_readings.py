"""The Readings in what a node says, of whatever sensors, live or in batches."""

from __future__ import annotations

from typing import Any

from limpet.shared import payloads

# What a Reading says beside what was measured.
FRAME = ("v", "boot", "seq", "ts", "up", "dt")


def is_telemetry(topic: str) -> bool:
    """Whether Readings come on `topic`: live ones, or those that waited."""
    return payloads.kind_of(topic) in payloads.READINGS


def expanded(said: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the Readings in the payload of a telemetry Message, each as if it was sent alone."""
    if "dt" not in said:
        return [said]
    frame = {name: said[name] for name in ("v", "boot", "seq", "ts", "up") if name in said}
    columns = {name: each for name, each in said.items() if name not in FRAME}
    (count,) = {len(each) for each in columns.values()}
    dt = said["dt"]
    offsets = dt if isinstance(dt, list) else [n * dt for n in range(count)]
    time = "up" if said["ts"] is None else "ts"  # which of them counts on
    return [
        frame
        | {"seq": said["seq"] + n, time: said[time] + offset}
        | {name: each[n] for name, each in columns.items()}
        for n, offset in zip(range(count), offsets, strict=True)
    ]


def values(reading: dict[str, Any]) -> dict[str, Any]:
    """Return what was measured."""
    return {name: value for name, value in reading.items() if name not in FRAME}
