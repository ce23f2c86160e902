"""Which device is to be looked at first: the one order of `limpet top` and the page. Pure."""

from __future__ import annotations

import re

from limpet.heard.fleet import Heard

# The worst first. lost: offline without a goodbye, or with one for a fault, or not back from a
# restart; alert: one is raised; dropping: Readings were given up within DROPPING_S; queueing: at
# its last two healths more and more waited; the rest as `Heard.state` has it.
TROUBLES = (
    "silent", "lost", "alert", "dropping", "queueing", "offline", "unseen", "asleep", "online",
)  # fmt: skip
# So many of them, from the front, somebody should see to.
BAD = 5
DROPPING_S = 3600.0
# A node that was told to restart is back sooner, or not at all.
RESTART_S = 300.0
_RANKS = {word: rank for rank, word in enumerate(TROUBLES)}
_DIGITS = re.compile("([0-9]+)")


def trouble(heard: Heard, now: float) -> str:
    """Return one of TROUBLES: the worst that holds. now: Unix seconds."""
    state = heard.state(now)
    if state == "silent" or (state == "offline" and _unexpected(heard, now)):
        return "silent" if state == "silent" else "lost"
    if heard.alerts:
        return "alert"
    if heard.dropped_at is not None and now - heard.dropped_at <= DROPPING_S:
        return "dropping"
    if heard.queue_grows:
        return "queueing"
    return state


def rank(heard: Heard, now: float) -> int:
    """Return the place of its trouble in TROUBLES, 0 for the worst. now: Unix seconds."""
    return _RANKS[trouble(heard, now)]


def order(device: str, heard: Heard, now: float) -> tuple[int, list[str | int]]:
    """Return what to sort by: the rank, then the name, so that no row moves without a reason."""
    return rank(heard, now), by_name(device)


def by_name(device: str) -> list[str | int]:
    """Return what to sort by, so that node-2 comes before node-10."""
    return [int(part) if part.isdecimal() else part for part in _DIGITS.split(device)]


def _unexpected(heard: Heard, now: float) -> bool:
    if heard.reason == "reboot":
        return now - (heard.since or heard.began) > RESTART_S
    return heard.reason != "shutdown"
