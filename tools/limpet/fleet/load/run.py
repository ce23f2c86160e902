"""`limpet fleet run`: many nodes at once against one broker, and what came of it."""

import asyncio
import contextlib
import random
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter, validators

from limpet.fleet.load import machine, set_up
from limpet.fleet.load.connection import Address
from limpet.fleet.load.consumer import Consumer
from limpet.fleet.load.figures import Device, Figures
from limpet.fleet.load.identity import Identity
from limpet.fleet.load.light_node import LightNode, Surroundings
from limpet.fleet.load.own_broker import HOST, OwnBroker
from limpet.fleet.load.play import Play, Wanted
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
Rate = Annotated[float, Parameter(validator=validators.Number(gt=0, lte=100_000))]
Flag = Annotated[bool, Parameter(negative=())]


def run(
    broker: str | None = None,
    /,
    *,
    nodes: Nodes,
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

    The nodes are light ones: they say what a node says, over TLS with a certificate each. Without
    BROKER it starts a mosquitto of its own on loopback and needs no fleet. Ctrl-C ends it in order:
    what was taken is waited for, and reported. Exit code 1 when a Reading is lost.

    Parameters
    ----------
    broker
        Host name or address of a broker that is to bear it [default: a mosquitto of its own]. Of
        its fleet only devices called load-... are played, so that no board is thrown out.
    nodes
        How many.
    seconds
        How long they publish once all are connected.
    interval
        Seconds from one Reading of a node to the next.
    ramp
        Nodes that are switched on each second.
    churn
        Connections that are cut each minute, one by one at random.
    storm
        Cut all connections at once, in the middle; each comes back by the node's own back-off.
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

    if broker is None and (port or server_name or fleet):
        cause = "--port, --server-name and --fleet belong to a broker, and none is named."
        raise Problem(cause, "Name it: limpet fleet run HOST -n 100.")
    if broker is not None and restart_broker:
        raise Problem(
            "--restart-broker restarts a broker that this command has started.",
            f"Leave {broker} out, or restart it yourself meanwhile: the storm is counted as well.",
        )
    _refuse_folder(report)
    wanted = Wanted(nodes, interval, seconds, ramp, churn or 0.0, storm, restart_broker)
    with contextlib.ExitStack() as stack:
        layout, own, address = _prepared(stack, broker, port, server_name, fleet, nodes)
        found = set_up.identities(layout, nodes)
        if server_name is None and broker is not None:
            address = address._replace(server_name=found[0].server_name)
        operator = operator_identity(layout.root)
        stack.callback(operator.release)
        if own:
            stack.callback(own.stop)
            own.start()
        org = found[0].base.partition("/")[0]
        made: list[Play] = []

        async def play() -> None:
            figures = Figures()
            consumer = Consumer(address, operator, org, figures)
            one = Play(wanted, _nodes(found, address, figures, wanted), consumer, figures, own)
            made.append(one)
            with _asked(one.stop), view(one, sys.stderr) as shown:
                await one.run(shown)

        uvloop.run(play())
        said = Report(made[0], _where(own, broker, address))
        print(said.text(), flush=True)
        if report:
            said.write(report, sys.argv[1:])
            print(f"\n{report / 'report.md'}")
    return 1 if said.faults else 0


def _prepared(
    stack: contextlib.ExitStack,
    broker: str | None,
    port: int | None,
    server_name: str | None,
    fleet: Path | None,
    nodes: int,
) -> tuple[Layout, OwnBroker | None, Address]:
    """Return the set-up, its broker where that is ours, and where a broker listens."""
    if broker is None:
        machine.allow(nodes, 0, own_broker=True)
        stack.enter_context(set_up.alone(set_up.OWN))
        layout = set_up.own(set_up.OWN, nodes)
        own = OwnBroker(layout)
        machine.allow(nodes, own.open_files, own_broker=True)
        return layout, own, _address(HOST, own.port, HOST)
    machine.allow(nodes, 0, own_broker=False)
    layout = set_up.named(fleet, nodes, broker)
    stack.enter_context(set_up.alone(layout.root))
    found = port or SetupInfo(layout.root).port
    return layout, None, _address(broker, found, server_name or broker)


def _address(host: str, port: int, name: str) -> Address:
    try:
        family, _, _, _, at = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise Problem(
            f"No host is called {host}: {error.strerror}.", "Name another broker."
        ) from None
    return Address(family, at, name)


def _nodes(
    found: Sequence[Identity], address: Address, figures: Figures, wanted: Wanted
) -> list[LightNode]:
    figures.devices = {each.base: Device() for each in found}
    # Unix seconds: more than a device's counter of boots ever says, and another in each run.
    boot, gate = int(time.time()), asyncio.Semaphore(HANDSHAKES)
    around = Surroundings(address, figures, boot, wanted.interval_s, random.random, gate)
    return [LightNode(around, each, figures.devices[each.base]) for each in found]


def _where(own: OwnBroker | None, broker: str | None, address: Address) -> str:
    return f"{own.version()}, of its own" if own else f"{broker}:{address.at[1]}"


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
