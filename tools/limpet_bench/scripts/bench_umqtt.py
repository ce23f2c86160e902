# mypy: ignore-errors
"""umqtt.robust of the package index publishes with QoS 1, one after the other: it has no window.

No goodbye: whether it is counted would be chance.
"""

import json
import time

from bench_common import config, device_id, payload, say, settings, topic
from umqtt.robust import MQTTClient

secure = "host" not in settings
client = MQTTClient(device_id, config["broker"], config["port"], keepalive=600, ssl=secure)
client.connect(False)


def reading(number):
    """The payload that a program around umqtt makes of a Reading."""
    taken = {"v": 1, "boot": 1, "seq": 10000 + number, "ts": int(time.time())}
    taken["temperature"], taken["humidity"] = 24.4, 45.2
    print("sampler reading", taken["seq"], taken["temperature"], taken["humidity"])
    return json.dumps(taken).encode()


made = settings.get("made")
began = time.ticks_us()
for number in range(settings["count"]):
    client.publish(topic, reading(number) if made else payload, False, 1)
say(s=time.ticks_diff(time.ticks_us(), began) / 1e6)
