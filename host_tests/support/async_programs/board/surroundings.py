# mypy: ignore-errors
"""Where the broker is, and the client of this Python; LEDs that say what they are told."""

import os
import sys

if sys.implementation.name == "micropython":
    import mqtt_async as mqtt
else:
    import mqtt_cpython as mqtt

Client = mqtt.Client
HOST = "127.0.0.1"
PORT = int(os.getenv("PORT"))


def led(name):
    """A LED."""
    return lambda on: print(name, "on" if on else "off")
