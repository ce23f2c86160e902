"""ESP32-DevKitC V4 (ESP32-WROOM-32) with a DHT22 and an LED. Wiring: README.md beside this file."""

import gc
import os

import machine
import network as driver
from device.clock import Clock, set_rtc
from device.ntp import Ntp
from device.power import reset, reset_cause  # noqa: F401 (part of the Board)
from device.watchdog import start as watchdog  # noqa: F401 (part of the Board)
from device.wifi import Wifi

NAME = "esp32_devkit"
CHIP = "esp32"
FLASH_MB = 4
OTA = False
DEEP_SLEEP = True

# Neither is a strapping pin, wired to the flash, or input only, and both are on the row that has
# 3V3 and GND.
SENSOR_GPIO = 27
LED_GPIO = 26

network = Wifi(driver)
clock = Clock(ntp=Ntp(online=lambda: network.cause is None), set_system=set_rtc)


def sensor():
    """The DHT22: an object with `read()`, see device/sensor.py."""
    from device.sensor import Sensor  # safe mode has to do without: it may be what fails

    return Sensor(SENSOR_GPIO)


def led(on):
    """Light the LED or not."""
    machine.Pin(LED_GPIO, machine.Pin.OUT, value=on)


def halt():
    """The node cannot run as it is set up: leave the console to whoever can mend that."""


def interruptible(wait):
    """`wait` itself: Ctrl-C on the console is for whoever works on the Board, at any moment."""
    return wait


def random():
    """A number in [0, 1) that another node does not draw as well: the chip's own noise."""
    return int.from_bytes(os.urandom(3), "big") / 0x1000000


def heap_free():
    """Free bytes of the interpreter's heap, without what it could still grow by."""
    gc.collect()  # garbage is free too
    return gc.mem_free()
