"""A Backlog as tests want it: with limits that differ, and what an earlier boot has handed over."""

from collections import namedtuple

from node.readings.backlog import Backlog
from node.shared.handover import Handover

Limits = namedtuple("Limits", "backlog_rate payload_max")


def fresh_handover() -> Handover:
    """Make a handover that nothing was left in."""
    return Handover(b"", lambda data: None)


def backlog(
    log: object,
    batch_at: object,
    rate: int = 0,
    payload_max: int = 2048,
    handover: object = None,
    batch_max: int = 100,
) -> Backlog:
    """Make one."""
    made = Backlog(log, batch_at, Limits(rate, payload_max), handover or fresh_handover())
    made._batch_max = batch_max  # until all is sent
    return made
