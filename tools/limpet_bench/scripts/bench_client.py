# mypy: ignore-errors
"""The client alone publishes with QoS 1, as many at once as its window takes."""

import time

from bench_common import config, context, device_id, payload, say, settings, topic
from umqtt_tls import MQTTClient

count = settings["count"]
acknowledged = 0


def on_ack(packet_id):
    """Count it."""
    global acknowledged
    acknowledged += 1


start = time.ticks_ms()


def now():
    """Milliseconds, as the client wants them."""
    return time.ticks_diff(time.ticks_ms(), start)


client = MQTTClient(
    device_id,
    config["broker"],
    config["port"],
    ssl=None if settings.get("plain") else context(),
    keepalive=600,
    window=settings["window"],
)
client.on_ack = on_ack
client.start(now())
while client.state != "up":
    client.wait(client.step(now()))
    if client.state == "down":
        raise SystemExit(1)

sent = 0
began = time.ticks_us()
while acknowledged < count:
    while sent < count and client.room():
        client.send(topic, payload, 1)
        sent += 1
    client.wait(client.step(now()))
took = time.ticks_diff(time.ticks_us(), began)
say(s=took / 1e6)
client.stop(now())
while client.state != "down":
    client.wait(client.step(now()))
