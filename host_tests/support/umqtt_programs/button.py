# mypy: ignore-errors
"""Tell of each press of a button, for ever."""

import time

from machine import Pin, unique_id
from umqtt.simple import MQTTClient
from where import HOST, PORT

button = Pin(0, Pin.IN)
client = MQTTClient(unique_id(), HOST, PORT)
client.set_callback(lambda topic, msg: print("heard", topic, msg))
client.connect()
client.subscribe(b"led")
while True:
    while button.value():
        time.sleep_ms(2)
    print("pressed")
    client.publish(b"led", b"toggle")
    client.wait_msg()
