"""Which device is to be looked at first: the one order of `limpet top` and the page. Pure."""

from __future__ import annotations

import re

from limpet.heard.fleet import Heard

# The worst first, each in words; Prometheus has their numbers, so a new one goes to the end of its
# kind, and the changelog says so. fault: no goodbye, one for a fault, or not back from a restart.
TROUBLES = {
    "silent": "silent",
    "lost": "offline by a fault",
    "alert": "an alert",
    "dropping": "Readings given up within the hour",
    "queueing": "a queue that grows",
    "offline": "offline",
    "unseen": "never seen",
    "asleep": "asleep",
    "online": "online",
}
# So many of them, from the front, somebody should see to.
BAD = 5
DROPPING_S = 3600.0
# A node that was told to restart is back sooner, or not at all.
RESTART_S = 300.0
RANKS = {word: rank for rank, word in enumerate(TROUBLES)}
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
    return RANKS[trouble(heard, now)]


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
