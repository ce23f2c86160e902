"""What boards/host/machine.py asks of the laptop, on the virtual board: real time and no settings.

It stands in for boards/host/laptop.py, which needs the node's own files: a bare chip has none.
"""

import os
import sys

import utime

HARD_RESET = 64
WATCHDOG_RESET = 65
SOFT_RESET = 66
POWER_CUT = 67  # the board's own: nobody starts it again

capture = "/rom/captures/am2302_1mhz_200s.jsonl"
reset_cause = os.getenv("LIMPET_RESET") or "power-on"
standing = None  # a DHT22, and nothing else
wants = None  # nobody is at its levers


class clock:
    """Milliseconds since the process began: it does not run for long enough to wrap."""

    @staticmethod
    def now():
        """Of the chip, since its boot."""
        return utime.ticks_ms()

    @staticmethod
    def real_ms(ms):
        """As many."""
        return ms


def refuse(text):
    """A capture that is none: the test's own mistake."""
    print(text)
    sys.exit(1)


def end(code):
    """End at once, as a reset does: no `finally` runs, nothing is flushed or closed."""
    import ffi

    ffi.open(None).func("v", "_exit", "i")(code)
