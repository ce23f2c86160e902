"""What every Board with an ESP32 offers beside its facts: a board.py imports it from here.

Pins and the network are told by a board.py.
"""

import gc
import os
import time

import machine

from device.clock import Clock, epoch
from device.power import reset, reset_cause, watchdog  # noqa: F401 (part of the Board)
from device.time_servers import TimeServers

_IDF_HEAP = ((sum, 1), (max, 2), (sum, 3))  # places in what idf_heap_info() tells of each part


def clock_by(network):
    """The Board's clock: asks time servers while there is a network, and sets the chip's own."""
    return Clock(ntp=TimeServers(online=lambda: network.cause is None), set_system=set_rtc)


def set_rtc(unix_ms):
    """Set the chip's clock, which TLS reads, to Unix milliseconds."""
    seconds, ms = divmod(unix_ms, 1000)
    year, month, day, hour, minute, second, weekday = time.gmtime(seconds - epoch(time))[:7]
    machine.RTC().datetime((year, month, day, weekday, hour, minute, second, ms * 1000))


def wired(lines, led_gpio):
    """The Board's functions `sensors` and `led`, for what is wired: its SENSORS, its LED."""

    def sensors():
        """What SENSORS says, made: a tuple of sensors, see lib/sensing.py."""
        from device.sensors import make  # safe mode has to do without: it may be what fails

        return make(lines, machine, LED=led_gpio)

    def led(on):
        """Light the LED or not."""
        machine.Pin(led_gpio, machine.Pin.OUT, value=on)

    return sensors, led


def halt():
    """The node cannot run as it is set up: leave the console to whoever can mend that."""


def interruptible(wait):
    """`wait` itself: Ctrl-C on the console is for whoever works on the Board, at any moment."""
    return wait


def random():
    """A number in [0, 1) that another node does not draw as well: the chip's own noise."""
    return int.from_bytes(os.urandom(3), "big") / 0x1000000


def heap_free():
    """Free bytes of the interpreter's heap, and the longest piece that it could still grow by."""
    gc.collect()  # garbage is free too
    return gc.mem_free()


def idf_heap():
    """Bytes of the chip's own heap, from which Wi-Fi and TLS take theirs: free, the longest free
    piece, and the least that was ever free. That is never more than heap_size.py leaves, 13 KB.
    """
    import esp32

    pieces = esp32.idf_heap_info(esp32.HEAP_DATA)
    return tuple(take([each[which] for each in pieces]) for take, which in _IDF_HEAP)
