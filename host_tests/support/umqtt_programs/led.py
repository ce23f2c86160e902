# mypy: ignore-errors
"""Switch a LED as it is told."""

from machine import Pin, unique_id
from umqtt.simple import MQTTClient
from where import HOST, PORT, enough

led = Pin(2, Pin.OUT, value=1)
is_on = 0


def heard(topic, msg):
    """`on`, `off` or `toggle`."""
    global is_on
    print((topic, msg))
    is_on = 1 - is_on if msg == b"toggle" else int(msg == b"on")
    led.value(1 - is_on)
    print("pin", led.value())
    enough()


client = MQTTClient(unique_id(), HOST, PORT)
client.set_callback(heard)
client.connect()
client.subscribe(b"led")
client.publish(b"led", b"on")
client.publish(b"led", b"toggle")
client.publish(b"led", b"off")
try:
    while 1:
        client.wait_msg()
finally:
    client.disconnect()
    print("gone")
