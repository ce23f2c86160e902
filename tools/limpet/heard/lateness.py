"""Which Readings came late: the one definition of charts and figures. Pure."""

from __future__ import annotations

from limpet.shared.firmware import topics

# A Reading that is older than this when it comes was not live; clocks may differ by seconds.
LATE_INTERVALS = 3
LATE_S = 4.0
UNKNOWN_INTERVAL_S = 3.0


def is_late(topic: str, readings: int, age_s: float | None, interval_s: float | None) -> bool:
    """Return whether the Readings of a Message had waited on the node: they came as a batch, or the
    one that came is too old.

    topic: it came on; readings: how many are in it; age_s: of the first, seconds, None where that
    is not known; interval_s: between two Readings of the device, None where that is not known.
    """
    if readings != 1 or not topic.endswith(topics.TELEMETRY):
        return True
    usual_s = UNKNOWN_INTERVAL_S if interval_s is None else interval_s
    return age_s is not None and age_s > LATE_INTERVALS * usual_s + LATE_S
