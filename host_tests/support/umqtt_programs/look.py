# mypy: ignore-errors
"""Look for what has come now and then, and do something else meanwhile, for ever."""

import time

from umqtt.simple import MQTTClient
from where import HOST, NAME, PORT, enough


def heard(topic, msg):
    """Show it."""
    print((topic, msg))
    enough()


client = MQTTClient(NAME.encode(), HOST, PORT, keepalive=30)
client.set_callback(heard)
client.connect()
client.subscribe("foo_topic", 1)
while True:
    client.check_msg()
    time.sleep_ms(10)
