"""What the laptop adds to the Board: its settings, taken from LIMPET_* variables, and its clock.

`machine` and `board` share the clock, so that the sensor's 2 s are the node's 2 s at any speed.
The variables are `limpet node`'s options. One that cannot be used ends the process with
`BAD_SETTING` and a line that names it.
"""

import os
import sys

from device.clock import Clock

# How the process ends; `limpet node` starts it again after the first three.
HARD_RESET = 64
WATCHDOG_RESET = 65
SOFT_RESET = 66
BAD_SETTING = 78

_CAPTURE = "captures/am2302_1mhz_200s.jsonl"


def refuse(text):
    """Say what is wrong with the settings, and end."""
    print(text)
    sys.exit(BAD_SETTING)


def end(code):
    """End at once, as a reset does: no `finally` runs, nothing is flushed or closed."""
    try:
        import ffi
    except ImportError:
        sys.exit(code)
    ffi.open(None).func("v", "_exit", "i")(code)


def _speed():
    text = os.getenv("LIMPET_SPEED") or "1"
    try:
        speed = float(text)
    except ValueError:
        speed = 0
    if not 0.01 <= speed <= 10_000:
        refuse("LIMPET_SPEED=%s is no number from 0.01 to 10000" % text)
    return speed


speed = _speed()
clock = Clock(speed)
capture = os.getenv("LIMPET_REPLAY") or __file__.rsplit("/", 1)[0] + "/" + _CAPTURE
reset_cause = os.getenv("LIMPET_RESET") or "power-on"
