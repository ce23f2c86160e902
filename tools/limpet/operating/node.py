"""`limpet node`: one node in the foreground, until it ends or Ctrl-C ends it."""

import signal
from pathlib import Path
from typing import Annotated

from cyclopts import CycloptsError, Parameter

from limpet.boards import laptop_sensors
from limpet.identity import device_config
from limpet.identity.fleet_folder import FleetOption, required
from limpet.identity.layout import Layout
from limpet.node_host import debian
from limpet.node_host.environment import REPLAY
from limpet.node_host.process import NodeProcess
from limpet.shared import ending, windows
from limpet.shared.numbers import Speed
from limpet.shared.problem import Problem, there_is

# How often it looks whether anybody still reads what the node says.
_LOOK_S = 0.5


def _flash(fleet: Path | None, device: str) -> Path:
    layout = Layout(required(fleet).root)
    if device not in (known := layout.bases()):
        raise Problem(
            f"No device is called {device!r} in the fleet {layout.root}.",
            there_is(known, device),
        )
    device_config.renewed(layout.device(device))
    return layout.device(device)


def node(
    device: str | None = None,
    /,
    *,
    root: Path | None = None,
    fleet: FleetOption = None,
    replay: Annotated[Path, Parameter(show_default=False)] = REPLAY,
    sensors: str | None = None,
    heap: str | None = None,
    arch: str = debian.HOST,
    speed: Speed = 1.0,
    umqtt: Path | None = None,
    bytecode: bool = False,
    frozen: bool = False,
) -> int:
    """Run one node, and print what it says, until it ends or Ctrl-C ends it.

    Parameters
    ----------
    device
        The fleet's device that it is: its folder there is the node's flash.
    root
        Another folder to be its flash, with identity.json, settings.json, certificates and key.
    replay
        The capture that a DHT22 plays which names none [default: one that comes with Limpet].
    sensors
        What stands on its table, instead of one DHT22: see `limpet run`.
    heap
        The interpreter's heap, such as 128k; with --arch i386 it means what it means on the chip.
    arch
        The interpreter's architecture: i386 for a 32-bit one, whose objects have the ESP32's sizes.
    speed
        How much faster than real time the node's clock runs: with 20 a day takes 72 minutes.
    umqtt
        A folder with another umqtt.
    bytecode
        Run what mpy-cross makes of the firmware, as a chip does: its heap is then the chip's.
    frozen
        The same with all byte code outside the heap, as in an image of our own.
    """
    windows.refuse("node", "MicroPython has no port of that kind there")
    if (device is None) == (root is None):
        raise CycloptsError(msg="node needs a DEVICE, or --root.", command_chain=("node",))
    flash = root or _flash(fleet, str(device))
    # A service manager says SIGTERM; for the node it is the same clean end.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    process = NodeProcess(
        flash,
        replay=replay,
        sensors=laptop_sensors.setting(sensors) if sensors else "",
        heap=heap,
        arch=arch,
        speed=speed,
        umqtt=umqtt,
        bytecode=bytecode,
        frozen=frozen,
        stdin=None,
        on_line=lambda line: print(line, flush=True),
    )
    try:
        try:
            process.start()
            # Where nobody reads what it says any more, that is its clean end.
            while process.wait(_LOOK_S) is None and not ending.lost():
                pass
            code = process.stop()
        except KeyboardInterrupt:
            code = process.stop()
    except KeyboardInterrupt:
        # Twice: whoever is asking does not want to wait for the goodbye.
        code = process.kill()
    # By a signal, while it waited for its config: as a shell counts that.
    return code if code >= 0 else 128 - code
