"""The watchdog on a whole node: what is stuck, in a step or beside one, ends in a reset that says
so.

The watchdog's 120 s are real ones, so they are shortened here.
"""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from support.brokers.running import RunningBroker
from support.nodes import StartNode, value, wait_for_status
from support.patched import mended, patched

BITES = ("app.py", "WATCHDOG_MS = 120_000", "WATCHDOG_MS = 2000")

# Each is stuck from 20 s on: within its step, or returning from it without doing its work.
HANGS = "if now > 20_000:\n            while True:\n                pass\n        "
STUCK = {
    "sampler hangs": (
        "sampler",
        "        try:\n            asked = self._next(now)\n",
        "        " + HANGS + "try:\n            asked = self._next(now)\n",
    ),
    "sampler idles": (
        "sampler",
        "            if asked and now >= self.due:\n",
        "            if asked and now >= self.due and now < 20_000:\n",
    ),
    "link hangs": (
        "link",
        "        self._now = now\n        try:",
        "        self._now = now\n        " + HANGS + "try:",
    ),
    "link idles": (
        "link",
        '        if client.state == "down" and now',
        "        if now > 20_000:\n            self.due = now + 1000\n            return\n"
        '        if client.state == "down" and now',
    ),
}


class Listening:
    """A port that takes connections and says nothing."""

    def __init__(self, port: int) -> None:
        self.port = port


@pytest.mark.parametrize("how", STUCK)
def test_stuck_node_is_reset(
    how: str, broker: RunningBroker, node: StartNode, tmp_path: Path
) -> None:
    """Whichever part is stuck, and however: the watchdog resets the node, its birth says so."""
    part, old, new = STUCK[how]
    file = {"sampler": "node/readings/sampler.py", "link": "node/session/link.py"}[part]
    firmware = patched(tmp_path / "firmware", BITES, (file, old, new))
    operator = broker.operator()
    running = node(broker, speed=25, firmware=firmware, config={"interval_s": 2})
    running.until("sampler reading")  # by now everything is imported
    mended(firmware, file)
    again = running.until("reset=watchdog")
    birth = wait_for_status(operator, lambda said: said.get("reset") == "watchdog").json()
    idle = how.endswith("idles")
    assert birth.get("why") == (part if idle else None)
    assert (value(again, "why") == part) == idle
    assert birth["boot"] == int(value(again, "boot"))
    assert len(running.said(f"node stuck part={part}")) == idle


def test_client_that_forgets_its_deadline_is_noticed(node: StartNode, tmp_path: Path) -> None:
    """A handshake without an end, for want of a deadline in the client, ends in a reset as well."""
    forgets = (
        "app.py",
        "    client = MQTTClient(",
        "    MQTTClient._flush = lambda self: False\n"
        "    MQTTClient._enter = forget(MQTTClient._enter)\n    client = MQTTClient(",
    )
    forget = (
        "app.py",
        "def build(",
        "def forget(enter):\n"
        "    return lambda self, state, allowed_ms: enter(self, state, None)\n\n\ndef build(",
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        where = Listening(server.getsockname()[1])
        firmware = patched(tmp_path / "firmware", BITES, forgets, forget)
        running = node(where, speed=100, firmware=firmware)
        running.until("node stuck part=link")
        mended(firmware, "app.py")
        assert value(running.until("reset=watchdog"), "why") == "link"
