# mypy: ignore-errors
"""Say one thing, and go."""

from umqtt.simple import MQTTClient
from where import HOST, NAME, PORT

client = MQTTClient(NAME, HOST, PORT)
print(client.connect())
print(client.publish(b"foo_topic", b"hello"))
print(client.disconnect())
