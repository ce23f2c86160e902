"""The client, the Link and the Outbox over a model of network and broker, in simulated time.

`python window.py random SECONDS SEEDS FIRST` lets everything go wrong that may, then checks that
every Reading and Response has arrived; `python window.py steady SECONDS` publishes one Reading per
second. Runs under both Pythons; a folder in the working folder is the node's flash.

The node is in world.py, what a client must not send in strict_broker.py,
what goes wrong in lossy_network.py.
"""

import os
import sys

import support.micropython.names  # noqa: F401 - before what is written for MicroPython
from support.fuzz.fuzz import Random, held
from support.simulated.lossy_network import Broken
from support.simulated.world import World


def random(seconds: int, seeds: int, first: int) -> None:
    """Run as many worlds, with seeds from `first` on."""
    for seed in range(first, first + seeds):
        print("seed", seed)
        os.mkdir(f"seed-{seed}")
        os.chdir(f"seed-{seed}")
        troubled(seconds, seed)
        os.chdir("..")


def troubled(seconds: int, seed: int) -> None:
    """Run `seconds` in which trouble comes and goes, and settle."""
    rng = Random(seed)
    window = (1, 2, 8, 32)[rng.below(4)]
    commit_s = (0, 2, 10, 100000)[rng.below(4)]
    ring = 8192 if commit_s == 100000 else 64
    capacity, rate = (8192, 128)[rng.below(2)], (0, 5, 50)[rng.below(3)]
    world = World(seed, window, commit_s, ring, capacity, rate)
    world.broker.packet_max = (1 << 20, 1024, 600, 300)[rng.below(4)]
    print(f"window={window} commit_s={commit_s} capacity={capacity} rate={rate}", end=" ")
    print(f"packet_max={world.broker.packet_max}")
    world.client.pid = 65000 + rng.below(536)  # so that ids wrap
    world.broker.shown = show
    next_reading = next_weather = 0
    while world.now < seconds * 1000:
        if world.now >= next_weather:
            world.broker.trouble = (0, 1, 5, 20, 60)[rng.below(5)]
            next_weather = world.now + 1000 + rng.below(60000)
            world.client.pid = (world.broker.wrapped() or world.client.pid + 1) - 1
        if world.now >= next_reading:
            world.take_reading()
            next_reading = world.now + 200 + rng.below(2000)
            if not rng.below(10):
                world.make_response()
        world.step(min(next_reading, next_weather))
    world.settle()
    broker = world.broker
    print(
        f"readings={world.seq} published={broker.published} again={broker.again}"
        f" connections={broker.connections} commits={world.backlog.commits}"
        f" dropped={world.backlog.dropped}"
    )


def show(topic: str, payload: bytes) -> None:
    """Print what is said, for who knows the schemas."""
    print("said", topic, payload.decode())


def steady(seconds: int) -> None:
    """Publish one Reading per second: each arrives at once, once, and leaves nothing behind."""
    world = World(1, 8, 2, 64, 8192, 0)
    kept = 0
    for second in range(seconds):
        world.take_reading()
        while world.now < second * 1000 + 1000:
            world.step(second * 1000 + 1000)
        if second == seconds // 10:
            kept = held()
        # Sets of all that ever was would be slow, and grow.
        arrived = world.broker.arrived
        if len(arrived) != 1 or second not in arrived or world.broker.acknowledged != arrived:
            raise Broken(f"second {second}: {arrived}")
        arrived.clear()
        world.broker.acknowledged.clear()
    kept = held() - kept
    published = world.broker.published
    print(f"published={published} wraps={published // 65535} downs={len(world.downs)} kept={kept}")


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[2:]]
    if sys.argv[1] == "random":
        random(*numbers)
    else:
        steady(*numbers)
