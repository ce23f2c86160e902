"""The chip's `machine` on the virtual board: the laptop's (boards/host/machine.py, here `desk`),
but for what that has no use for.
"""

import os

import desk
import rtc_file
import utime
from desk import *  # noqa: F403

# Pins that the flash is wired to, and how many there are: datasheets of ESP32-S3 and ESP32-C3.
_OTHERS = {"ESP32S3": (range(26, 33), 48), "ESP32C3": (range(11, 18), 21)}
_chip = os.getenv("VIRTUAL_CHIP")

if _chip in _OTHERS:

    class Pin(desk.Pin):
        """A GPIO of another chip than the laptop plays."""

        def __init__(self, gpio, mode=desk.Pin.IN, pull=None, value=0):
            flash, last = _OTHERS[_chip]
            if not 0 <= gpio <= last or gpio in flash:
                raise ValueError("invalid pin")
            super().__init__(0, mode, pull, value)


class RTC(desk.RTC):
    """Memory and clock outlive a reset, and not a power cut."""

    def __init__(self):
        pass

    def memory(self, data=None):
        """What is kept (bytes), or keep `data`."""
        if data is None:
            return rtc_file.load()
        if len(data) > self._SIZE:
            raise ValueError("buffer too long")
        return rtc_file.save(data)

    def datetime(self, date=None):
        """(year, month, day, weekday, hour, minute, second, microsecond), or set it."""
        if date is None:
            year, month, day, hour, minute, second, weekday = utime.gmtime(
                int(utime.time()) + rtc_file.offset_s()
            )[:7]
            return year, month, day, weekday, hour, minute, second, 0
        year, month, day, _, hour, minute, second, _ = date
        at = utime.mktime((year, month, day, hour, minute, second, 0, 0))
        zone = utime.mktime(utime.gmtime(0))  # mktime takes local time, the RTC has none
        rtc_file.keep_offset(int(at - zone - int(utime.time())))
        return None


class WDT(desk.WDT):
    """Sooner than asked for, by the factor that the test has set."""

    def __init__(self, id=0, timeout=5000):
        super().__init__(id, timeout // int(os.getenv("VIRTUAL_HASTE") or 1))
        rtc_file.keep_watchdog(timeout)


def freq(hertz=None):
    """Of the CPU."""
    return 240_000_000


def unique_id():
    """The chip's MAC address."""
    return b"\x02\x00\x00\x00\x00\x01"
