"""What a lost connection means for what was heard."""

from __future__ import annotations

import json

from limpet.heard.fleet import Fleet
from limpet.heard.known import Known
from limpet.heard.listening import Hearing
from limpet.identity.provisioning import Setup
from limpet.ingest.consumer import Message
from support.brokers.running import base

NOW = 1_790_000_500.0


def test_nobody_is_silent_while_nobody_can_be_heard(setup: Setup) -> None:
    """While the broker is away all is as it was; when it is back, each has its time again."""
    known = Known(setup.layout.root, None, print)
    hearing = Hearing(Fleet(known.refresh(), NOW), known)
    hearing.connection(True, 1, NOW)
    said = {"v": 1, "status": "online", "boot": 7, "session": 1, "fw": "0.1.0"}
    hearing.take(Message(f"{base()}/status", json.dumps(said).encode(), 1, 1), NOW)
    heard = hearing.fleet.devices["node-1"]
    assert hearing.judged_at(NOW + 5) == NOW + 5
    hearing.connection(False, 1, NOW + 10)
    hearing.connection(False, 1, NOW + 20)
    later = NOW + 10_000
    assert heard.state(later) == "silent"
    assert heard.state(hearing.judged_at(later)) == "online"
    hearing.connection(True, 2, later)
    assert hearing.judged_at(later) == later
    assert heard.state(later) == "online"
