"""ESP32-C3-DevKitM-1 with a DHT22 and an LED. Wiring: README.md beside this file."""

import network as driver
from device.esp32_board import (  # noqa: F401 (part of the Board)
    clock_by,
    halt,
    heap_free,
    idf_heap,
    interruptible,
    random,
    reset,
    reset_cause,
    watchdog,
    wired,
)
from device.wifi import Wifi

NAME = "esp32c3_devkitm"
CHIP = "esp32c3"
FLASH_MB = 4
OTA = False
DEEP_SLEEP = True

# Free of other duties, and each next to a GND.
SENSORS = (("dht22", 3),)
LED_GPIO = 10

network = Wifi(driver)
clock = clock_by(network)
sensors, led = wired(SENSORS, LED_GPIO)
