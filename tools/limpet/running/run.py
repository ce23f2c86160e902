"""`limpet run`: broker, node and subscriber in one terminal, and a page of them in a browser.

The only tool that knows all three. Nothing is left running: however it ends, the node says goodbye
first and the broker goes last.
"""

import contextlib
import errno
import os
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from limpet.boards import laptop_sensors
from limpet.brokers.embedded.broker import LOOPBACK, TLS_PORT, EmbeddedBroker
from limpet.brokers.setup import open_setup
from limpet.identity import device_config, fleet_folder, fleet_settings
from limpet.identity.fleet_settings import Settings
from limpet.identity.layout import Layout, running_port
from limpet.identity.provisioning import FIRST_DEVICE
from limpet.node_host import debian
from limpet.node_host.process import NodeProcess
from limpet.operating import opening
from limpet.operating.inbox import Inbox
from limpet.operating.levers.bench import Bench
from limpet.operating.operator_client import OperatorClient
from limpet.operating.where import Where, found_without
from limpet.running import beside
from limpet.running.live import LogLine, Run, Stop
from limpet.running.scene import Scene, span_text
from limpet.running.view import LiveView, PlainView, view_for
from limpet.shared import locks, payloads, private, windows
from limpet.shared.firmware import errors, rules
from limpet.shared.numbers import Seconds, Speed
from limpet.shared.paths import RUN
from limpet.shared.plain import plural
from limpet.shared.problem import Problem

# Seconds between Readings in a new set-up: soon enough to see life, and more than the DHT22's 2 s.
INTERVAL_S = 3
# In a set-up of its own, where somebody at the levers waits for what comes of it: the broker takes
# a silent node for lost after 30 s instead of 90, and the node gives a handshake up after 20 s.
_SOON = {"keepalive_s": 20, "handshake_s": 20}
LAST_LINES = 12


def _alone(directory: Path) -> AbstractContextManager[None]:
    """Hold the set-up: two nodes on one flash would spoil it."""
    # The folder itself: it is there anyway, and a node runs on no Windows.
    cause = f"`limpet run` runs already in {directory}."
    return locks.held(private.folder(directory), cause, "End it, or name a fleet: --fleet FOLDER.")


def _provisioned(directory: Path, device: str, begins: dict[str, Any]) -> Layout:
    """Make what is missing in the set-up; a new device's config begins with the fields `begins`."""
    here = {"device_id": device, "broker": LOOPBACK, "port": TLS_PORT}
    setup = open_setup(directory)
    setup.device({"interval_s": INTERVAL_S} | begins | here)
    try:
        found = setup.config(device)
    except errors.ConfigError as error:
        path = device_config.where(setup.layout.device(device), error)
        raise Problem(f"{path}: {error.field} {error.text}.", "Put that right.") from None
    if not rules.is_loopback(found.broker):
        # A board that is this device would be thrown out by its own name.
        raise Problem(
            f"{device} is for a board: it looks for its broker at {found.broker}.",
            f"Run another: limpet run --device {device}-here.",
        )
    return setup.layout


@contextlib.contextmanager
def _broker(directory: Path) -> Iterator[tuple[int, str, EmbeddedBroker | None]]:
    """Yield the port of the broker that runs in this set-up, else of our own; a remark; and the
    broker, where it is our own.
    """
    port = running_port(directory)
    if port is not None:
        yield port, "running already", None
        return
    broker, remark = EmbeddedBroker(directory, LOOPBACK, TLS_PORT), ""
    try:
        broker.start()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise Problem(
                f"No broker can listen on {LOOPBACK}: {error.strerror}.", "See to it."
            ) from None
        broker, remark = EmbeddedBroker(directory, LOOPBACK), f"{TLS_PORT} is taken"
        broker.start()
    try:
        yield broker.port, remark, broker
    finally:
        broker.stop()


def _point_to(root: Path, port: int) -> None:
    """Tell the node where its broker listens this time."""
    device_config.renewed(root)
    fields = device_config.read(root)
    if fields.get("port") != port:
        device_config.write(root, fields | {"port": port})


def _command_line(directory: Path, device: str, speed: float) -> str:
    """Return what to type in another terminal."""
    words = [os.path.relpath(sys.argv[0]), "send", device, "read_now"]
    if not found_without(directory, device):
        words += ["--fleet", os.path.relpath(directory)]
    if speed != 1:
        # The node's clock runs away from ours: its ttl would be over before the Command is there.
        words += ["--ttl", "0"]
    return shlex.join(words)


def _played(sensors: str | None) -> str:
    """What the node measures, in words."""
    if not sensors:
        return "its DHT22 plays real captures"
    return f"its sensors play captures: {payloads.safe(sensors)}"


def _introduce(
    view: PlainView | LiveView,
    scene: Scene,
    where: str,
    remark: str,
    hint: str,
    played: str,
    url: str,
    said: str,
) -> None:
    view.say(f"The firmware in MicroPython's unix port; {played}.")
    view.say(f"  broker   {where}, TLS, client certificates required{remark and f' ({remark})'}")
    view.say(f"  node     {scene.base}")
    if url or said:
        view.say(f"  page     {url}{f' ({said})' if url and said else said}")
    view.say(f"  try      {hint}   in another terminal")
    view.say("")


def _verdict(scene: Scene, node: NodeProcess, died: bool, needed: bool) -> str:
    """Return why this run failed, or nothing."""
    if died:
        return f"the node ended by itself, exit code {node.returncode}"
    return scene.shortfall() if needed and not (scene.arrived or scene.earlier) else ""


def _conclude(run: Run, node: NodeProcess, failure: str) -> int:
    scene, view = run.scene, run.view
    if failure:
        # A traceback stands right above already.
        if not (node.returncode and scene.told_last):
            view.say("The node's last lines:")
            for line in node.lines[-LAST_LINES:]:
                view.say(f"    {payloads.safe(line)}")
        print(f"limpet: {failure}", file=sys.stderr)
        return 1
    first = f", first after {span_text(scene.first_at - run.started)}" if scene.first_at else ""
    last = f"{scene.status} {scene.reason}".strip() or "none"
    before = f", and {scene.earlier} from before" if scene.earlier else ""
    said = f"{scene.arrived} of {plural(scene.taken, 'Reading')} arrived{first}{before}"
    view.say(f"{said}; last status: {last}.")
    return 0


RunFleet = Annotated[
    Path | None,
    Parameter(name="--fleet", help="Fleet whose device is run [default: a set-up of its own]."),
]


def run(
    *,
    fleet: RunFleet = None,
    device: str = FIRST_DEVICE,
    seconds: Seconds | None = None,
    arch: str = debian.HOST,
    heap: str | None = None,
    speed: Speed = 1.0,
    sensors: str | None = None,
    verbose: Annotated[bool, Parameter(negative=())] = False,
    page: bool = True,
    open: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Run broker, node and a subscriber, and show live what the node does, until Ctrl-C.

    It has a set-up of its own, to be thrown away; with --fleet it runs a device of that fleet.

    Parameters
    ----------
    device
        The device to run.
    seconds
        End after this time; exit code 0 only if Readings arrived.
    arch
        The interpreter's architecture: i386 for a 32-bit one.
    heap
        The interpreter's heap, such as 128k.
    speed
        How much faster than real time the node's clock runs.
    sensors
        What stands on the table, instead of one DHT22: dht22,ds18b20:outdoor is a DS18B20 beside
        it, with the name that its fields begin with. Others are dht11, sht3x, sht4x and supply;
        DRIVER:NAME=FILE plays a capture of yours.
    verbose
        Show every line of the node's log.
    page
        Serve the page as well, with levers for what may go wrong: a sensor, the network, the power.
    open
        Open it in the browser.
    """
    windows.refuse("run", "MicroPython has no port of that kind there")
    table = laptop_sensors.setting(sensors) if sensors else ""
    directory, begins = RUN, Settings().fields() | _SOON
    if fleet is not None:
        directory = fleet_folder.required(fleet).root
        begins = fleet_settings.read(directory).fields()
    with _alone(directory), contextlib.ExitStack() as stack:
        layout = _provisioned(directory, device, begins)
        root = layout.device(device)
        inbox: Inbox[Any] = Inbox()
        bench = stack.enter_context(Bench(table)) if page and not beside.lacking() else None

        def heard(line: str) -> None:
            inbox.put(LogLine(line, time.monotonic()))
            if bench:
                bench.node_said(line)

        node = NodeProcess(
            root,
            arch=arch,
            heap=heap,
            speed=speed,
            sensors=table,
            levers=bench.file if bench else None,
            on_line=heard,
        )
        # Before anything in there is changed: `limpet node` may run on it.
        node.hold()
        stack.callback(node.release)
        # Up to here Ctrl-C just ends it: nothing was started yet. From here on it is orderly.
        stop = stack.enter_context(Stop())
        port, remark, broker = stack.enter_context(_broker(directory))
        _point_to(root, port)
        url, said = "", beside.lacking() if page else ""
        if bench:
            bench.wired(node, port, broker)
            # Who runs this device later goes to the broker itself.
            stack.callback(_point_to, root, port)
            _point_to(root, bench.port)
        client = stack.enter_context(
            OperatorClient(Where(directory, LOOPBACK, port), inbox.put, inbox.put)
        )
        client.connect()
        scene = Scene(client.info.bases[device], verbose)
        client.subscribe([scene.base.split("/")[0] + "/#"])
        if bench:
            served = beside.page(directory, port, scene, bench.levers, speed)
            url, said = stack.enter_context(served)
        hint = _command_line(directory, device, speed)
        view = view_for(device, hint)
        _introduce(view, scene, f"{LOOPBACK}:{port}", remark, hint, _played(sensors), url, said)
        if open and url:
            opening.opened(url)
        view.open()
        return _follow(Run(scene, view, inbox, stop), node, seconds)


def _follow(run: Run, node: NodeProcess, seconds: float | None) -> int:
    """Run the node to its end and return the exit code."""
    limit = run.started + seconds if seconds is not None else float("inf")
    node.start()
    try:
        run.pump(lambda: run.stop.asked or node.returncode is not None or time.monotonic() > limit)
        died = node.returncode is not None
        if run.stop.asked:
            run.view.say("Ending: the node says goodbye.")
    finally:
        run.end(node)
        run.view.close()
    needed = seconds is not None and not run.stop.asked
    return _conclude(run, node, _verdict(run.scene, node, died, needed))
