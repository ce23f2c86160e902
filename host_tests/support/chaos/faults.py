"""The faults of a chaos run: what there is, a list of them drawn by a seed, and how each is done.

A list is the same for the same seed, on any machine and any broker. What chance is left is the
scheduler's, the network's and the node's own.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from typing import NamedTuple, Protocol

from support.proxies.packet_proxy import PacketProxy, Word
from support.proxies.proxy import Proxy


class Fault(NamedTuple):
    """One fault. hold_s: how long it lasts, if it is LASTING, gap_s: the pause before it, in node
    seconds; number: whatever else it needs, 0 to 9999; joins: it comes on top of the one before.
    """

    kind: str
    hold_s: float
    gap_s: float
    number: int
    joins: bool


class World(Protocol):
    """What faults are done to."""

    bytes: Proxy
    packets: PacketProxy

    def kill(self, reset: str) -> None:
        """Kill the node (SIGKILL) and start it again; `reset` is what it takes for the cause."""

    def stop_broker(self) -> None:
        """Stop the broker; `restore` starts it."""

    def crash_broker(self) -> None:
        """Kill the broker (SIGKILL); `restore` starts it."""

    def fill_disk(self) -> None:
        """The broker's disk is full until `restore`."""

    def command(self, number: int, retain: bool, action: str, **params: int) -> None:
        """Send the node a Command; `restore` takes a retained one back."""

    def lie(self, seconds: float) -> None:
        """Have the time servers say so much too much, until `restore`."""

    def dns(self, told: str) -> None:
        """Tell the resolver (see esp32/socket.py)."""

    def step_time(self, seconds: float) -> None:
        """Set the time servers so much ahead of the right time."""


def draw(seed: int, count: int) -> list[Fault]:
    """Return `count` faults. Kinds come in shuffled packs of one of each, so that none is rare."""
    chance = random.Random(seed)
    faults: list[Fault] = []
    while len(faults) < count:
        for kind in chance.sample(sorted(KINDS), len(KINDS)):
            joins = bool(faults) and chance.random() < 0.5
            hold_s, gap_s = round(chance.uniform(1, 25), 2), round(chance.uniform(0, 8), 2)
            faults.append(Fault(kind, hold_s, gap_s, chance.randrange(10_000), joins))
    return faults[:count]


def digest(faults: list[Fault]) -> str:
    """Return the hash of a list."""
    return hashlib.sha256(repr([tuple(each) for each in faults]).encode()).hexdigest()[:16]


# Some are felt only by a node that connects: they throw it out.


def _refuse(world: World, fault: Fault) -> None:
    world.bytes.refuse()


def _reset(world: World, fault: Fault) -> None:
    world.bytes.reset()


def _cut(world: World, fault: Fault) -> None:
    world.bytes.cut()


def _close_after(world: World, fault: Fault) -> None:
    world.bytes.close_after(fault.number % 4000)


def _black_hole(world: World, fault: Fault) -> None:
    world.bytes.black_hole()


def _delay(world: World, fault: Fault) -> None:
    world.bytes.delay(fault.number % 50 / 10)


def _jitter(world: World, fault: Fault) -> None:
    world.bytes.delay(0, jitter=fault.number % 50 / 5)


def _drip(world: World, fault: Fault) -> None:
    world.bytes.drip(5 + fault.number % 100)
    if fault.number % 2:
        world.bytes.cut()


def _stall(world: World, fault: Fault) -> None:
    world.bytes.hold()
    world.bytes.cut()


def _connack(code: int) -> Do:
    def do(world: World, fault: Fault) -> Word:
        return _thrown_out(world, world.packets.refuse_connect(code))

    return do


def _thrown_out(world: World, word: Word) -> Word:
    world.bytes.cut()
    return word


def _garbage(world: World, fault: Fault) -> Word:
    # What follows a first byte that no broker may send; by chance it could be a PUBACK otherwise.
    first = (0x00, 0x10, 0x41, 0x82, 0xF0)[fault.number % 5]
    noise = random.Random(fault.number).randbytes(fault.number % 200)
    return world.packets.garbage(bytes((first, 0x7F)) + noise)


def _unasked(world: World, fault: Fault) -> Word:
    payload = b'{"id":"none","action":"reboot"}'
    return world.packets.publish_unasked("limpet/home/desk/climate/node-2/commands", payload)


def _dns(told: str) -> Do:
    def do(world: World, fault: Fault) -> None:
        world.dns(told.format(slow=f"{fault.number % 30 / 100:g}"))
        world.bytes.cut()

    return do


def _time(sign: int) -> Do:
    def do(world: World, fault: Fault) -> None:
        world.step_time(sign * (60 + fault.number))

    return do


def _limit(closes: bool) -> Do:
    def do(world: World, fault: Fault) -> None:
        # From what a birth just fits into up to what no batch reaches.
        world.packets.limit(600 + fault.number % 1800, closes)

    return do


def _lie(world: World, fault: Fault) -> None:
    year_s = 365 * 86400
    world.lie((60 * year_s, -20 * year_s, 400 * 86400, -400 * 86400)[fault.number % 4])
    world.bytes.cut()


def _retained(world: World, fault: Fault) -> None:
    world.command(fault.number, True, "reboot")
    world.bytes.cut()


def _new_interval(world: World, fault: Fault) -> None:
    world.command(fault.number, False, "set_interval", seconds=2 + fault.number % 2)


# Does it to the world; returns the Word that tells when it has happened, if it does not at once.
Do = Callable[[World, Fault], Word | None]

KINDS: dict[str, Do] = {
    "tcp refused": _refuse,
    "tcp reset": _reset,
    "tcp cut": _cut,
    "close after n bytes": _close_after,
    "black hole": _black_hole,
    "delay": _delay,
    "jitter": _jitter,
    "one byte at a time": _drip,
    "tls stalls": _stall,
    "puback dropped": lambda world, fault: world.packets.drop_puback(),
    "puback doubled": lambda world, fault: world.packets.double_puback(),
    "puback late": lambda world, fault: world.packets.delay_puback(fault.number % 30),
    "pubacks out of order": lambda world, fault: world.packets.reorder_pubacks(
        2 + fault.number % 4
    ),
    "puback for nothing": lambda world, fault: world.packets.stray_puback(),
    "connack truncated": lambda world, fault: _thrown_out(
        world, world.packets.truncate_connack(fault.number % 4)
    ),
    **{f"connack code {code}": _connack(code) for code in range(1, 6)},
    "suback 0x80": lambda world, fault: _thrown_out(world, world.packets.refuse_subscribe()),
    "closed on subscribe": lambda world, fault: _thrown_out(
        world, world.packets.close_on_subscribe()
    ),
    "garbage": _garbage,
    "lying length": lambda world, fault: world.packets.lie_about_length(),
    "publish unasked": _unasked,
    "packets lost": lambda world, fault: world.packets.black_hole(),
    "tls closed": lambda world, fault: world.packets.close(),
    "packet limit": _limit(closes=True),
    "long packets lost": _limit(closes=False),
    "broker restart": lambda world, fault: world.stop_broker(),
    "broker crash": lambda world, fault: world.crash_broker(),
    "broker's disk full": lambda world, fault: world.fill_disk(),
    "command retained": _retained,
    "config change": _new_interval,
    "reset": lambda world, fault: world.kill("soft"),
    "power cut": lambda world, fault: world.kill("power-on"),
    "dns fails": _dns("fail"),
    "dns slow": _dns("slow={slow}"),
    "dns ipv6 only": _dns("ipv6"),
    "time forward": _time(1),
    "time back": _time(-1),
    "time servers lie": _lie,
}

# What goes on until it is ended. The others are over at once, or when their packet has come.
LASTING = {
    *("tcp refused", "close after n bytes", "black hole", "delay", "jitter", "one byte at a time"),
    *("tls stalls", "packets lost", "broker restart", "dns fails", "dns slow", "dns ipv6 only"),
    *("packet limit", "long packets lost", "broker crash", "broker's disk full"),
    *("command retained", "time servers lie"),
}
