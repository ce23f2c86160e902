"""From power on to the first Reading that a broker has acknowledged."""

from __future__ import annotations

import time

from limpet_bench.figure import Figure, Row, Rows, Verdict, at_most
from limpet_bench.tree import Tree
from limpet_bench.world import World

ALL = "from start to the first PUBACK"
HANDSHAKE = "of that the handshake"
BEYOND = "beyond handshake and first conversions"
# A DHT22 has nothing to say in its first second (data sheet, section 7.1), and the first values of
# a boot wait 2 s for the second ones, to be borne out.
CONVERSION_S = 3.0
_RUNS = 5


def _ours(world: World, tree: Tree) -> list[Row]:
    all_s, handshakes_s = [], []
    for _ in range(_RUNS):
        flash = world.flash()
        began = time.time()
        said = tree.run("bench_node", flash, {"do": "boot"})
        all_s.append(said["at"] - began)
        handshakes_s.append(said["handshake_s"])
    both = zip(all_s, handshakes_s, strict=True)
    return [
        Row(ALL, "s", tuple(all_s)),
        Row(HANDSHAKE, "s", tuple(handshakes_s)),
        Row(BEYOND, "s", tuple(max(0.0, each - shake - CONVERSION_S) for each, shake in both)),
    ]


def _judge(rows: Rows) -> list[Verdict]:
    return [at_most(rows[BEYOND], 1.5, "at most 1.5 s beyond handshake and first conversions")]


FIGURE = Figure(
    "boot",
    "Boot to the first acknowledged Reading",
    "From the start of the interpreter's process, TLS over loopback. The sensor's first conversion "
    "takes 1 s, the second, which bears it out, 2 s; the handshake goes on meanwhile. A chip adds "
    "Wi-Fi, SNTP and its own slowness.",
    _ours,
    judge=_judge,
)
