"""The chip's `time` on the virtual board: in 2000 after a power-on, until the RTC is set.

MicroPython's own module in all else. The epoch stays the unix port's, 1970, and what TLS compares
certificates with stays the laptop's clock.
"""

import rtc_file
import utime
from utime import *  # noqa: F403


def time():
    """Seconds since the epoch, by the RTC."""
    return int(utime.time()) + rtc_file.offset_s()


def gmtime(seconds=None):
    """The date of `seconds`; of now, by the RTC, when that is None."""
    return utime.gmtime(time() if seconds is None else seconds)


localtime = gmtime  # a chip knows no time zone
