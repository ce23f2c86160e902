"""A node's flash that holds what an earlier boot has not delivered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from limpet.identity.provisioning import Setup
from support.brokers.running import RunningBroker
from support.micropython import upy

STORED = 250
STORE = f"""
from node.shared.reading import Reading
from recordlog import RecordLog
from support.parts.layouts import FOLDER, NOTE, SIZE, pack_into
log = RecordLog(FOLDER, SIZE, 1000, note=NOTE)
record = bytearray(SIZE)
for seq in range({STORED}):
    pack_into(record, 0, Reading(1, seq, 1770000000 + 4 * seq + seq % 2, 4 * seq, (244, 463)))
    log.append(record)
"""


def stored(setup: Setup, flash: Path, port: int, **config: Any) -> Path:
    """A node's flash with STORED Readings of boot 1."""
    RunningBroker(setup).image(flash, port=port, **config)
    upy.run(STORE, cwd=flash)
    return flash
