# mypy: ignore-errors
"""Wait for what comes, for ever."""

from umqtt.simple import MQTTClient
from where import HOST, NAME, PORT, enough


def heard(topic, msg):
    """Show it."""
    print((topic, msg))
    enough()


client = MQTTClient(NAME, HOST, PORT)
client.set_callback(heard)
client.connect()
client.subscribe(b"foo_topic")
while True:
    client.wait_msg()
