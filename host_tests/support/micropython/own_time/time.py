# mypy: ignore-errors
"""The module `time`, with ticks that stand still while another program has the core. MicroPython.

For budgets of milliseconds, on the path before anything else: a call that computes or that waits
takes as long as ever, but a busy machine lengthens nothing. Where the kernel does not say how long
a program has waited for a core (Linux does), the ticks are the real ones.
"""

from utime import *  # noqa: F403 - all that is not below
from utime import ticks_add as _add
from utime import ticks_diff as _diff
from utime import ticks_ms as _ms
from utime import ticks_us as _us

try:
    _file = open("/proc/self/schedstat", "rb")  # noqa: SIM115 (as long as the interpreter lives)
except OSError:
    _file = None


def _waited_us():
    if _file is None:
        return 0
    _file.seek(0)
    return int(_file.read(80).split()[1]) // 1000


# What ticks_us and ticks_ms said last.
_last = [_add(_us(), -_waited_us()), _add(_ms(), -(_waited_us() // 1000))]


def _own(ticks, which, unit_us):
    """`ticks()` without what was waited for. It never goes back: nothing comes in between, and the
    kernel counts a wait by another clock, which may be some microseconds ahead.
    """
    waited = _waited_us()
    while True:
        now = ticks()
        before, waited = waited, _waited_us()
        if before == waited:
            break
    now = _add(now, -(waited // unit_us))
    if _diff(now, _last[which]) > 0:
        _last[which] = now
    return _last[which]


def ticks_us():
    """Microseconds, wrapping."""
    return _own(_us, 0, 1)


def ticks_ms():
    """Milliseconds, wrapping."""
    return _own(_ms, 1, 1000)
