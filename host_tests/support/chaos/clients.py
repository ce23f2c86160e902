"""Faults drawn by a seed, done to a client that publishes with QoS 1, and the book of what came.

A client counts a message as acknowledged when its call comes back; the book, when the broker has
sent the PUBACK. What the first has and the second has not is lost.
"""

from __future__ import annotations

import contextlib
import os
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from time import monotonic, sleep

from support import schemas
from support.brokers.codec import Packet
from support.brokers.running import RunningBroker, base
from support.proxies.packet_proxy import PacketProxy

TOPIC = f"{base()}/commands/response"
# Far above what any fault holds a client up for, answers that are waited for included.
_HANGS_S = 60.0
# Messages that have to come through between two faults.
_BETWEEN = 3

Do = Callable[["World"], None]


class World:
    """A broker, the way to it, what came through it, and how many faults were done."""

    def __init__(self, broker: RunningBroker, chance: random.Random) -> None:
        self.broker = broker
        self.chance = chance
        self.delivered: set[int] = set()
        self.done = 0
        self._changed = threading.Condition()
        self.proxy = PacketProxy(broker, watch=self._watch)

    def _watch(self, way: str, packet: Packet) -> None:
        if way == "delivered" and packet.topic == TOPIC:
            with self._changed:
                self.delivered.add(int(packet.payload))
                self._changed.notify_all()

    def wait_for_more(self, count: int = _BETWEEN) -> None:
        """Until so many more were delivered; TimeoutError when it hangs."""
        deadline = monotonic() + _HANGS_S
        with self._changed:
            wanted = len(self.delivered) + count
            while len(self.delivered) < wanted:
                if not self._changed.wait(max(deadline - monotonic(), 0)):
                    raise TimeoutError(f"nothing comes any more, after {len(self.delivered)}")

    def lasting(self, longest_s: float = 0.6) -> None:
        """Let what was done last for a while, and restore."""
        sleep(self.chance.uniform(0.05, longest_s))
        self.proxy.restore()


def _lasts(what: Callable[[PacketProxy], object]) -> Do:
    def do(world: World) -> None:
        what(world.proxy)
        world.lasting()

    return do


def _cuts(what: Callable[[PacketProxy], object]) -> Do:
    """What happens to a connection that is made anew."""

    def do(world: World) -> None:
        what(world.proxy)
        world.proxy.cut()

    return do


def _black_hole(world: World) -> None:
    world.proxy.black_hole()
    world.lasting()  # what is connected then stays lost


def _broker_restarts(world: World) -> None:
    world.broker.stop()
    sleep(world.chance.uniform(0.0, 0.3))
    world.broker.start()


FAULTS: dict[str, Do] = {
    "cut": lambda world: world.proxy.cut(),
    "reset": lambda world: world.proxy.reset(),
    "closed": lambda world: world.proxy.close(),
    "pulled": _lasts(lambda proxy: proxy.refuse()),
    "held": _lasts(lambda proxy: proxy.hold()),
    "slow": _lasts(lambda proxy: proxy.delay(0.1, 0.1)),
    "black hole": _black_hole,
    "closed within a packet": lambda world: world.proxy.close_after(world.chance.randrange(1, 900)),
    "broker restarts": _broker_restarts,
    "PUBACK lost": lambda world: _ignored(world.proxy.drop_puback()),
    "PUBACK twice": lambda world: _ignored(world.proxy.double_puback()),
    "PUBACK of nothing": lambda world: _ignored(world.proxy.stray_puback()),
    "CONNACK cut off": _cuts(lambda proxy: proxy.truncate_connack()),
    "refused: unavailable": _cuts(lambda proxy: proxy.refuse_connect(3)),
    "refused: not authorized": _cuts(lambda proxy: proxy.refuse_connect(5)),
    "garbage": lambda world: _ignored(world.proxy.garbage()),
    "a lying length": lambda world: _ignored(world.proxy.lie_about_length()),
}


def _ignored(word: object) -> None:
    """A word happens by itself."""


def chaos(
    broker: RunningBroker, folder: Path, run: Callable[[Path], list[str]], seed: int, seconds: float
) -> tuple[list[int], World]:
    """Do each fault once to the client that `run(folder)` runs, in an order by `seed`, and go on so
    for `seconds`. Returns the numbers that the client has said to be acknowledged, and the world.

    The client publishes numbers from 0 on TOPIC until there is a file `stop`, and prints each.
    """
    world = World(broker, random.Random(seed))
    broker.image(folder, port=0)
    with world.proxy, _running(run, folder, world) as said:
        world.wait_for_more()
        ends = monotonic() + seconds
        while not world.done or monotonic() < ends:
            for kind in world.chance.sample(sorted(FAULTS), len(FAULTS)):
                FAULTS[kind](world)
                world.done += 1
                world.proxy.restore()
                world.wait_for_more()
    schemas.forget()  # numbers are no device's payloads
    return [int(line) for line in said.result() if line.isdigit()], world


@contextlib.contextmanager
def _running(
    run: Callable[[Path], list[str]], folder: Path, world: World
) -> Iterator[Future[list[str]]]:
    (folder / "port").write_text(str(world.proxy.port))
    with ThreadPoolExecutor(1) as pool:
        said = pool.submit(run, folder)
        try:
            yield said
        finally:
            world.proxy.restore()
            (folder / "stop").touch()
            said.exception(_HANGS_S)


def asked_s() -> float:
    """Seconds of a long run, by CLIENTS=600 in the environment; 0 without."""
    return float(os.environ.get("CLIENTS") or 0)
