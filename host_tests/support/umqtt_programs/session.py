# mypy: ignore-errors
"""Subscribe only where the broker has kept no session, and wait for ever."""

from umqtt.robust import MQTTClient
from where import HOST, NAME, PORT, enough


def heard(topic, msg):
    """Show it."""
    print((topic, msg))
    enough()


client = MQTTClient(NAME, HOST, PORT)
client.DEBUG = True
client.set_callback(heard)
if not client.connect(clean_session=False):
    print("a new session")
    client.subscribe(b"foo_topic")
while 1:
    client.wait_msg()
