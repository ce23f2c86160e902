"""The laptop as a Board: sensors play captures, the network is always there."""

import gc
import os
import sys

import laptop
import machine
from device.power import reset, reset_cause, watchdog  # noqa: F401 (part of the Board)
from laptop import BAD_SETTING, clock  # noqa: F401 (part of the Board)

NAME = "host"
CHIP = "host"
FLASH_MB = 0
OTA = False
DEEP_SLEEP = False

SENSORS = laptop.standing.lines if laptop.standing else (("dht22", 27),)
LED_GPIO = 26


class _Network:
    """The operating system's own network, which it looks after itself. Always usable; whether the
    broker can be reached is for the Link to find out.
    """

    cause = due = None

    def join(self, ssid, password):
        """Nothing to join."""

    def run(self, now):
        """There is nothing to look at."""
        self.due = None

    def rejoin(self, now):
        """Nothing to join again."""

    def rssi(self):
        """No radio of ours."""
        return None


network = _Network()


def sensors():
    """What SENSORS says, made: a tuple of sensors, see lib/sensing.py."""
    from device.sensors import make  # safe mode has to do without: it may be what fails

    return make(SENSORS, machine, LED=LED_GPIO)


def led(on):
    """Light the LED or not. Nothing shows: the pin only has to exist."""
    machine.Pin(LED_GPIO, machine.Pin.OUT, value=on)


def halt():
    """The node cannot run as it is set up: end, with the code that `limpet node` takes for that."""
    sys.exit(BAD_SETTING)


def interruptible(wait):
    """`wait(ms)` as the only place where Ctrl-C breaks in. In the middle of a TLS record it would
    ruin the connection, and the goodbye would never arrive.
    """
    return laptop.interruptible(wait)


def random():
    """A number in [0, 1) that another node does not draw as well."""
    return int.from_bytes(os.urandom(3), "big") / 0x1000000


def idf_heap():
    """None: a laptop has no other heap that could be full."""


def heap_free():
    """Free bytes of the interpreter's heap."""
    gc.collect()  # garbage is free too
    return gc.mem_free()
