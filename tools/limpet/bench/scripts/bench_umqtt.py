# mypy: ignore-errors
"""umqtt.robust of the package index publishes with QoS 1, one after the other: it has no window."""

import time

from bench_common import config, device_id, payload, say, settings, topic
from umqtt.robust import MQTTClient

client = MQTTClient(device_id, config["broker"], config["port"], keepalive=600, ssl=True)
client.connect(False)
began = time.ticks_us()
for _ in range(settings["count"]):
    client.publish(topic, payload, False, 1)
say(s=time.ticks_diff(time.ticks_us(), began) / 1e6)
client.disconnect()
