"""A Backlog as tests want it: with limits that differ, and what an earlier boot has handed over."""

from collections import namedtuple

from node.readings.backlog import Backlog
from node.shared.rtc_state import RtcState

Limits = namedtuple("Limits", "backlog_rate payload_max")


def fresh_rtc_state() -> RtcState:
    """Make the RTC state of a board that had no power."""
    return RtcState(b"", lambda data: None)


def backlog(
    log: object,
    encode: object,
    rate: int = 0,
    payload_max: int = 2048,
    rtc_state: object = None,
    batch_max: int = 100,
) -> Backlog:
    """Make one."""
    made = Backlog(log, encode, Limits(rate, payload_max), rtc_state or fresh_rtc_state())
    made.batch_max = batch_max
    return made
