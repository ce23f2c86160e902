"""ESP32-S3-DevKitC-1 (N8R8) with a DHT22 and an LED. Wiring: README.md beside this file."""

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

NAME = "esp32s3_devkitc"
CHIP = "esp32s3"
FLASH_MB = 8
OTA = False
DEEP_SLEEP = True

# Free of other duties, octal PSRAM's included, and next to 3V3.
SENSORS = (("dht22", 4),)
LED_GPIO = 5

network = Wifi(driver)
clock = clock_by(network)
sensors, led = wired(SENSORS, LED_GPIO)
