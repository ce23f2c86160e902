"""ESP32-DevKitC V4 (ESP32-WROOM-32) with a DHT22 and an LED. Wiring: README.md beside this file."""

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

NAME = "esp32_devkit"
CHIP = "esp32"
FLASH_MB = 4
OTA = False
DEEP_SLEEP = True

# Free of other duties, and on the row that has 3V3 and GND.
SENSORS = (("dht22", 27),)
LED_GPIO = 26

network = Wifi(driver)
clock = clock_by(network)
sensors, led = wired(SENSORS, LED_GPIO)
