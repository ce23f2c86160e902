"""Where the instructions of a turn of the main loop, and of a Reading, go.

Each part is called many times over in a node that is up and idle; what the calls have added is
divided by their number. It does not add up exactly: a call costs more when the heap is full.
"""

from __future__ import annotations

from limpet_bench.figure import Figure, Row
from limpet_bench.instructions import collected
from limpet_bench.tree import Tree
from limpet_bench.world import World

_COUNT = 100
# Methods of the script's Profile, and what their rows are called.
PARTS = {
    "turn": "a turn with nothing to do",
    "others": "the parts beside the Link, each of them",
    "link_run": "the Link, all in all",
    "client_step": "of the Link: the client, stepped",
    "taken": "a Reading taken: Outbox, and who has asked for it",
    "logged": "a Reading logged",
    "made": "a Reading written into a packet",
    "sent": "a Message sent: packet, TLS, write",
}


def _ours(world: World, tree: Tree) -> list[Row]:
    def total(what: str) -> float:
        settings = {"do": "profile", "what": what, "count": _COUNT}
        return collected(world, tree, "bench_node", settings)

    nothing, rows = total("nothing"), []
    for what, title in PARTS.items():
        with tree.if_there():
            each = max(0.0, total(what) - nothing) / _COUNT
            rows.append(Row(title, "k instructions", (each,), "turn"))
    return rows


FIGURE = Figure(
    "profile",
    "Where the instructions go",
    f"As instructions; each part called {_COUNT} times in a node that is up and idle, to within "
    "some 3 k. A Reading that is sent at once takes two turns, besides being taken, made and sent.",
    _ours,
)
