# mypy: ignore-errors
"""A client of `which` kind, as a program uses it: messages per second, or the heap that it takes.

One by one, or by as many tasks as `tasks` says. mqtt_as wants a chip's modules and an `ssl`.
"""

import asyncio
import errno
import gc
import select
import socket
import sys
import time

import bench_common
import umqtt.robust
from bench_common import config, device_id, payload, say, settings, topic

which, count, tasks = settings["which"], settings["count"], settings.get("tasks", 1)
heaps = []


class network:
    """Wi-Fi that is there."""

    STA_IF = 0

    def __init__(self, _):
        self.active = self.connect = self.disconnect = self.config = lambda *_, **__: True
        self.isconnected = lambda: True
        self.status = lambda: 3


class ssl:
    """The TLS that mqtt_as asks for, over a socket that does not block."""

    @staticmethod
    def wrap_socket(sock):
        """The handshake is carried on by writing."""
        context, name = bench_common.context(), config["broker"]
        made = context.wrap_socket(sock, server_hostname=name, do_handshake_on_connect=False)
        made.setblocking(False)
        return made


network.WLAN = network
for stand_in in (network, ssl):
    sys.modules[stand_in.__name__] = stand_in
sys.modules["machine"] = type("machine", (), {"unique_id": lambda: b"1234"})


def look():
    """How much of the heap is in use."""
    gc.collect()
    heaps.append(gc.mem_alloc())


def done(began):
    """Tell it."""
    say(
        s=time.ticks_diff(time.ticks_us(), began) / 1e6,
        imported=heaps[1] - heaps[0],
        up=heaps[2] - heaps[0],
    )


async def publish(client, number):
    """So many, one behind the other."""
    for _ in range(number):
        await client.publish(topic, payload, qos=1)


async def measured(client):
    """As many tasks as there are to be, beside one another."""
    await publish(client, 1)
    look()
    began = time.ticks_us()
    await asyncio.gather(*[publish(client, count // tasks) for _ in range(tasks)])
    done(began)


async def mqtt_async():
    """The client of lib/clients."""
    from mqtt_async import Client

    look()
    address = device_id, config["broker"], config["port"]
    async with Client(*address, ssl=bench_common.context(), keepalive=600) as client:
        await measured(client)


async def mqtt_as():
    """Peter Hinch's."""
    from mqtt_as import MQTTClient
    from mqtt_as import config as told

    look()
    told.update(client_id=device_id, server=config["broker"], port=config["port"])
    told["ssl"] = "host" not in settings
    told.update(ssid="x", wifi_pw="x", queue_len=16, keepalive=600)
    client = MQTTClient(told)
    await client.connect(quick=True)
    await measured(client)


def umqtt_robust():
    """The drop-in for umqtt of lib/clients."""
    import mqtt_waiting  # noqa: F401 - loaded when it connects
    from umqtt_robust import MQTTClient

    look()
    address = device_id, config["broker"], config["port"]
    client = MQTTClient(*address, keepalive=600, ssl=bench_common.context())
    client.connect(False)
    client.publish(topic, payload, False, 1)
    look()
    began = time.ticks_us()
    for _ in range(count):
        client.publish(topic, payload, False, 1)
    done(began)


# What any of them imports of the firmware is no one's heap.
_ = errno, select, socket, umqtt.robust
look()
if which == "umqtt_robust":
    umqtt_robust()
else:
    asyncio.run({"mqtt_async": mqtt_async, "mqtt_as": mqtt_as}[which]())
