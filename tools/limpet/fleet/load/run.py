"""`limpet fleet run`: many nodes at once against one broker, and what came of it."""

import asyncio
import contextlib
import random
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from cyclopts import Parameter, validators

from limpet.fleet.load import machine, real_node, set_up
from limpet.fleet.load.connection import Address
from limpet.fleet.load.consumer import Consumer
from limpet.fleet.load.figures import Device, Figures
from limpet.fleet.load.identity import Identity
from limpet.fleet.load.light_node import LightNode, Surroundings
from limpet.fleet.load.own_broker import HOST, OwnBroker
from limpet.fleet.load.own_loop import OwnLoop
from limpet.fleet.load.play import STARTING, Node, Play, Wanted
from limpet.fleet.load.real_node import RealNode
from limpet.fleet.load.report import Report
from limpet.fleet.load.view import view
from limpet.identity.fleet_folder import FleetOption
from limpet.identity.layout import Layout
from limpet.identity.operators import operator_identity
from limpet.operating.where import SetupInfo
from limpet.shared import windows
from limpet.shared.numbers import Port, Seconds, whole
from limpet.shared.problem import Problem

# What one process has been seen to carry is a fifth of it.
MOST = 50_000
# TLS handshakes of ours at once: as many as keep a broker busy. TCP has no such limit, so a storm
# reaches the broker whole, and waits there.
HANDSHAKES = 32
Nodes = Annotated[
    int,
    Parameter(
        name=("--nodes", "-n"),
        converter=whole,
        validator=validators.Number(gte=1, lte=MOST),
    ),
]
Real = Annotated[int, Parameter(converter=whole, validator=validators.Number(gte=0, lte=MOST))]
Rate = Annotated[float, Parameter(validator=validators.Number(gt=0, lte=100_000))]
Flag = Annotated[bool, Parameter(negative=())]


def run(
    broker: str | None = None,
    /,
    *,
    nodes: Nodes,
    real: Real | None = None,
    seconds: Seconds = 60.0,
    interval: Seconds = 10.0,
    ramp: Rate = 100.0,
    churn: Rate | None = None,
    storm: Flag = False,
    restart_broker: Flag = False,
    report: Path | None = None,
    port: Port | None = None,
    server_name: str | None = None,
    fleet: FleetOption = None,
) -> int:
    """Run many nodes against a broker, count every Reading, and say what it took.

    Some are real, the firmware under MicroPython's unix port; beyond what the machine holds they
    are light ones, which say what a node says, over TLS with a certificate each. Without BROKER it
    starts a mosquitto of its own on loopback and needs no fleet. Ctrl-C ends it in order: what was
    taken is waited for, and reported. Exit code 1 when a Reading is lost.

    Parameters
    ----------
    broker
        Host name or address of a broker that is to bear it [default: a mosquitto of its own]. Of
        its fleet only devices called load-... are played, so that no board is thrown out.
    nodes
        How many.
    real
        How many of them are real [default: 50 for each core, as far as memory goes; with --storm
        or --churn half of all at most].
    seconds
        How long they publish once all are connected.
    interval
        Seconds from one Reading of a node to the next.
    ramp
        Nodes that are switched on each second.
    churn
        Connections of light nodes that are cut each minute, one by one at random.
    storm
        Cut all light nodes' connections at once, in the middle; they come back by the node's own
        back-off.
    restart_broker
        Restart the broker, in the middle. It has to be one of its own.
    report
        Folder for the report: report.md, with pictures.
    port
        Port of BROKER [default: the devices' own].
    server_name
        Name the broker's certificate has to carry [default: that of the devices' configs].
    """
    windows.refuse("fleet run", "nothing of it was tried there")
    import uvloop  # of an extra: shared/extras.py says which, where it is missing

    if broker is not None and not broker.strip():
        raise Problem("The broker's name is empty.", "Name it: limpet fleet run HOST -n 100.")
    if broker is None and (port or server_name or fleet):
        cause = "--port, --server-name and --fleet belong to a broker, and none is named."
        raise Problem(cause, "Name it: limpet fleet run HOST -n 100.")
    if broker is not None and restart_broker:
        raise Problem(
            "--restart-broker restarts a broker that this command has started.",
            f"Leave {broker} out, or restart it yourself meanwhile: the storm is counted as well.",
        )
    _refuse_folder(report)
    cuts = storm or churn is not None
    if real is None:
        real = real_node.reckoned(nodes)
        real = min(real, nodes // 2) if cuts else real
    real = min(real, nodes)
    if cuts and real == nodes:
        raise Problem(
            "--storm and --churn cut the connections of light nodes, and all nodes are real.",
            f"Say --real, a number below {nodes}.",
        )
    wanted = Wanted(nodes, real, interval, seconds, ramp, churn or 0.0, storm, restart_broker)
    with contextlib.ExitStack() as stack:
        place = _place(stack, Named(broker, port, server_name, fleet), wanted)
        played = uvloop.run(_played(stack, place, wanted))
        if played.record.phase == STARTING:  # Ctrl-C, while the broker did not answer
            raise KeyboardInterrupt
        said = Report(played, place.words)
        print(said.text(), flush=True)
        if report:
            said.write(report, sys.argv[1:])
            print(f"\n{report / 'report.md'}")
    return 1 if said.faults else 0


class Named(NamedTuple):
    """The broker that was named, if one was, and what was said of it."""

    broker: str | None
    port: int | None
    server_name: str | None
    fleet: Path | None


class Place(NamedTuple):
    """Where a run takes place. own: the broker, where it is ours, which is started. words: what to
    call it. port: what real nodes have to be told, if anything.
    """

    layout: Layout
    identities: Sequence[Identity]
    own: OwnBroker | None
    address: Address
    port: int | None
    words: str


def _place(stack: contextlib.ExitStack, named: Named, wanted: Wanted) -> Place:
    """Return where it takes place, held until `stack` is left. Raises Problem."""
    count, files = wanted.nodes, wanted.nodes + wanted.real * real_node.FILES
    machine.allow(count, files, own_broker=named.broker is None)
    if named.broker is not None:
        layout = set_up.named(named.fleet, count, named.broker)
        stack.enter_context(set_up.alone(layout.root))
        found = set_up.identities(layout, count)
        port = named.port or SetupInfo(layout.root).port
        address = _address(named.broker, port, named.server_name or found[0].server_name)
        return Place(layout, found, None, address, named.port, f"{named.broker}:{port}")
    stack.enter_context(set_up.alone(set_up.OWN))
    layout = set_up.own(set_up.OWN, count)
    own = OwnBroker(layout, count)
    machine.allow(count, max(files, own.open_files), own_broker=True)
    found = set_up.identities(layout, count)
    stack.callback(own.stop)
    own.start()
    words = f"{own.version()}, of its own"
    return Place(layout, found, own, _address(HOST, own.port, HOST), own.port, words)


async def _played(stack: contextlib.ExitStack, place: Place, wanted: Wanted) -> Play:
    """Play it, and return what it came to."""
    executor = ThreadPoolExecutor(max(wanted.real, 4), "limpet")  # real nodes end in parallel
    asyncio.get_running_loop().set_default_executor(executor)
    figures = Figures()
    figures.devices = {each.base: Device() for each in place.identities}
    operator = operator_identity(place.layout.root)
    stack.callback(operator.release)
    org = place.identities[0].base.partition("/")[0]
    make = partial(Consumer, place.address, operator, org, figures)
    consumer = stack.enter_context(OwnLoop(make))
    play = Play(wanted, _nodes(stack, place, figures, wanted), consumer, figures, place.own)
    with _asked(play.stop), view(play, sys.stderr) as shown:
        await play.run(shown)
    return play


def _nodes(
    stack: contextlib.ExitStack, place: Place, figures: Figures, wanted: Wanted
) -> list[Node]:
    # Unix seconds: more than a device's counter of boots ever says, and another in each run.
    boot, gate = int(time.time()), asyncio.Semaphore(HANDSHAKES)
    around = Surroundings(place.address, figures, boot, wanted.interval_s, random.random, gate)
    nodes: list[Node] = []
    for each in place.identities[: wanted.real]:
        folder = place.layout.device(each.device_id)
        real = RealNode(folder, each.base, figures, wanted.interval_s, place.port)
        stack.callback(real.kill)
        nodes.append(real)
    for each in place.identities[wanted.real :]:
        nodes.append(LightNode(around, each, figures.devices[each.base]))
    return nodes


def _address(host: str, port: int, name: str) -> Address:
    try:
        family, _, _, _, at = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise Problem(
            f"No host is called {host}: {error.strerror}.", "Name another broker."
        ) from None
    return Address(family, at, name)


@contextlib.contextmanager
def _asked(stop: Callable[[], None]) -> Any:
    """Have Ctrl-C and the like call `stop`."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for each in signals:
        loop.add_signal_handler(each, stop)
    try:
        yield
    finally:
        for each in signals:
            loop.remove_signal_handler(each)


def _refuse_folder(report: Path | None) -> None:
    """Raise the system's own error now, and not after the run, where no report can be written."""
    if report:
        report.mkdir(parents=True, exist_ok=True)
        (report / "report.md").touch()
