"""QoS 1 Messages per second: the client alone, the whole node, and what stands in their place."""

from __future__ import annotations

from limpet.trial.wire import Wire

from limpet_bench.figure import Figure, Row, Rows, Verdict, at_least, text
from limpet_bench.tree import Tree
from limpet_bench.world import World

WINDOW = 16
CLIENT = "Limpet's client alone"
NODE = "Limpet, the whole node"
UMQTT = "umqtt.robust"
BARE = "bare TLS loop"
_RUNS = 5
_PER_S = "messages/s"
ROUND_TRIPS_MS = (50, 100, 300)
_FAR_MS = 3000


def rate(
    world: World, tree: Tree, script: str, count: int, runs: int = _RUNS, port: int | None = None
) -> tuple[float, ...]:
    """Messages per second, in `runs` runs of `count` Messages each."""
    settings = {"count": count, "window": WINDOW}
    return tuple(count / tree.run(script, world.flash(port), settings)["s"] for _ in range(runs))


def _client(world: World, tree: Tree) -> list[Row]:
    return [Row(CLIENT, _PER_S, rate(world, tree, "bench_client", 10_000), "rate")]


def _client_peers(world: World) -> list[Row]:
    return [
        Row(UMQTT, _PER_S, rate(world, Tree(), "bench_umqtt", 30), "rate"),
        Row(BARE, _PER_S, rate(world, Tree(), "bench_bare", 10_000), "rate"),
    ]


def _judge_client(rows: Rows) -> list[Verdict]:
    found = []
    for peer, least, target in (
        (UMQTT, 200.0, "at least 200 x umqtt.robust"),
        (BARE, 0.25, "at least 25 % of the bare TLS loop"),
    ):
        if peer in rows:
            ratio = rows[CLIENT].median / rows[peer].median
            said = f"{text(ratio)} x" if least > 1 else f"{100 * ratio:.0f} %"
            found.append(Verdict(target, said, ratio >= least))
    return found


CLIENT_RATE = Figure(
    "client-rate",
    "QoS 1 messages per second, TLS, no delay",
    f"One connection over loopback; {WINDOW} in flight where the client has a window; topic and "
    "payload of a Reading. From the first write to the last PUBACK. The bare loop writes "
    "ready-made packets, one write each, and counts the bytes that come back.",
    _client,
    _client_peers,
    _judge_client,
)


def _node(world: World, tree: Tree) -> list[Row]:
    settings = {"do": "flood", "count": 4000, "ahead": 48}
    node: tuple[float, ...] = ()
    client: tuple[float, ...] = ()
    for _ in range(_RUNS):  # in turns: what slows one down slows the other down
        node += (4000 / tree.run("bench_node", world.flash(), settings)["s"],)
        client += rate(world, tree, "bench_client", 10_000, 1)
    return [Row(NODE, _PER_S, node, "rate"), Row(CLIENT, _PER_S, client, "rate")]


def _judge_node(rows: Rows) -> list[Verdict]:
    ratio = rows[NODE].median / rows[CLIENT].median
    return [Verdict("at least 1/4 of the client alone", f"{100 * ratio:.0f} %", ratio >= 0.25)]


NODE_RATE = Figure(
    "node-rate",
    "The same through the whole node",
    "From the sampler's Reading through Outbox and Link to its PUBACK, the log line of each "
    "Reading included; up to 48 Readings wait in RAM.",
    _node,
    judge=_judge_node,
)


def _far(what: str, ms: int) -> str:
    return f"{what}, {ms} ms"


def _client_far(world: World, tree: Tree) -> list[Row]:
    rows = []
    for ms in ROUND_TRIPS_MS:
        with Wire(world.port, ms / 2000) as wire:
            count = WINDOW * _FAR_MS // ms
            found = rate(world, tree, "bench_client", count, 3, wire.port)
            rows.append(Row(_far(CLIENT, ms), _PER_S, found, f"{ms} ms"))
    return rows


def _peers_far(world: World) -> list[Row]:
    rows = []
    for ms in ROUND_TRIPS_MS:
        with Wire(world.port, ms / 2000) as wire:
            found = rate(world, Tree(), "bench_umqtt", 6, 1, wire.port)
            rows.append(Row(_far(UMQTT, ms), _PER_S, found, f"{ms} ms"))
            # As fast as the wire allows: a machine that is busy shows here first.
            found = rate(world, Tree(), "bench_bare", WINDOW * _FAR_MS // ms, 1, wire.port)
            rows.append(Row(_far(BARE, ms), _PER_S, found, f"{ms} ms"))
    return rows


def _judge_far(rows: Rows) -> list[Verdict]:
    found = []
    for ms in ROUND_TRIPS_MS:
        limit = WINDOW * 1000 / ms
        target = f"{ms} ms: at least 90 % of {limit:.0f}, window / round trip"
        found.append(at_least(rows[_far(CLIENT, ms)], 0.9 * limit, target))
    return found


FAR = Figure(
    "round-trips",
    "The same at a distance",
    f"As client-rate, over a wire that carries everything half a round trip late; as many "
    f"Messages as take {_FAR_MS // 1000} s.",
    _client_far,
    _peers_far,
    _judge_far,
)
