"""A sensor could not be read: the log, the counters and the alert. Imported for it, and let go of.

What a driver says is not trusted: its reason becomes the name of a counter, and stands in an alert
and in a line of the log.
"""

from micropython import const
from node.shared.unimport import unimport

# Different reasons that are counted by their own name: a driver may have any number of them.
_REASONS = const(16)
_WORD_MAX = const(24)  # characters of a reason
_TEXT_MAX = const(100)  # of what an exception says


def tell(log, errors, asked, alert, reason="unnamed", cause=None, *_):
    """`asked` (see sampler.py) has failed, by SensorError(reason, cause). alert: as the sampler's,
    where it counts as dead; else None. errors: reason -> count.
    """
    unimport("node.readings.failed")  # when this returns
    name, reason = asked.sensor.name, _word(reason)
    key = (name and name + ":") + reason
    counted = key if key in errors or len(errors) < _REASONS else "other"
    errors[counted] = errors.get(counted, 0) + 1
    log("sampler", "error reason=" + key, *(() if cause is None else (_line(cause),)))
    if alert:
        alert(asked.alert, True, ("reason", reason))


def _word(reason):
    """`reason` where it can name a counter."""
    word = str(reason) if isinstance(reason, (str, int)) else ""
    for each in word[: _WORD_MAX + 1]:
        if not (each.isalpha() or each.isdigit() or each in "-_"):
            return "unnamed"
    return word if 0 < len(word) <= _WORD_MAX else "unnamed"


def _line(cause):
    """What an exception says, in one line: nobody can write a line of the log by it."""
    try:
        return repr(str(cause))[1:-1][:_TEXT_MAX]
    except Exception:  # noqa: BLE001 - it may be anybody's, too
        return "?"
