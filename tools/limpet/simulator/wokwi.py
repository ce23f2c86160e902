"""`limpet wokwi`: makes a device for the simulator Wokwi, and the image that a Board's wokwi.toml
looks for.

A device that was made for another network is never given to Wokwi: an image holds the device's key,
and what is simulated is soon shared.
"""

import contextlib
import dataclasses
import ipaddress
import json
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from limpet.boards import board_sensors
from limpet.boards.board_facts import BoardFacts, facts
from limpet.boards.board_sensors import WiredSensor
from limpet.boards.image import LISTING, MICROPYTHON, image_of
from limpet.brokers.setup import open_setup
from limpet.identity import device_config, fleet_settings
from limpet.identity.device_config import check
from limpet.identity.fleet_folder import FleetOption, required
from limpet.shared.firmware import errors, rules
from limpet.shared.numbers import Port
from limpet.shared.paths import BOARDS, DATA, REPO
from limpet.shared.problem import Problem
from limpet.simulator.diagram import faults
from limpet.simulator.diagram_sensors import simulated
from limpet.simulator.wokwi_files import toml_faults

# Apart from those that `limpet flash` takes: a simulated device is not to land on a real board.
IMAGES = DATA / "wokwi"
# Where a Board's wokwi.toml looks for its image, as seen from the Board's folder: a clone has it
# there.
_NAMED = "../../build/wokwi"
# Wokwi's access point: open, with a gateway to the internet.
SSID = "Wokwi-GUEST"
# The machine that runs Wokwi's private gateway, as seen from the simulator.
THIS_MACHINE = "host.wokwi.internal"
SCENARIO = "reading.test.yaml"
# Of simulated time. MicroPython boots in some seconds of it, and a Reading comes every ten.
TIMEOUT_MS = 180_000


def wokwi(
    board: str,
    /,
    *,
    broker: str = THIS_MACHINE,
    port: Port = 8883,
    device: str | None = None,
    fleet: FleetOption = None,
    allow_public_broker: Annotated[bool, Parameter(negative=())] = False,
    firmware: Path | None = None,
) -> None:
    """Make a device for the simulator Wokwi, and the image that the board's wokwi.toml looks for.

    Parameters
    ----------
    board
        A folder below the fleet's boards/, or below ours.
    broker
        Host name or address at which the simulated device finds the broker. Wokwi's free gateway
        reaches the internet; host.wokwi.internal is this machine, for who has the private one.
    port
        The broker's port.
    device
        The device's id; made if there is none. By default wokwi- and the chip.
    allow_public_broker
        Let the device publish to a broker that anybody can read.
    firmware
        MicroPython's image for the board, a .bin. Without it, it is downloaded.
    """
    root = required(fleet).root
    wanted = facts(board, own=root / "boards")
    serial, sensors = _wokwi_files(wanted)
    if rules.is_loopback(broker):
        raise Problem(
            f"In the simulator {broker} is the simulated board itself.",
            f"Name a broker on the internet, or {THIS_MACHINE} with Wokwi's private gateway.",
        )
    name = device or f"wokwi-{wanted.chip}"
    fields = {"broker": broker, "port": port} | (
        {"allow_public_broker": True} if allow_public_broker else {}
    )
    folder = _device(root, name, fields)
    with _as_wired(wanted, sensors) as wired:
        image_of(wired, device=str(folder), firmware=firmware, fleet=root, out=IMAGES)
    if not (IMAGES / board / MICROPYTHON).exists():
        raise Problem(
            "Wokwi has no MicroPython of its own, and the image has none.",
            f"Give one: limpet wokwi {board} --firmware FILE.bin",
        )
    print(f"\n{name}: Wi-Fi {SSID}, broker {broker}:{port}")
    _next(wanted, serial, broker)


def _wokwi_files(board: BoardFacts) -> tuple[int, tuple[WiredSensor, ...]]:
    """Where Wokwi offers the console, and the sensors of the diagram. Raises Problem when the
    Board's Wokwi files have a fault.
    """
    try:
        diagram = json.loads((board.folder / "diagram.json").read_text("utf-8"))
        settings = tomllib.loads((board.folder / "wokwi.toml").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Problem(
            f"{board.name} cannot be simulated: {error}.",
            "It needs a diagram.json and a wokwi.toml: boards/README.md says how.",
        ) from None
    found = faults(diagram, board)
    named = (board.folder / _NAMED / board.name / LISTING).resolve()
    found += toml_faults(settings, board.folder, named)
    if found:
        raise Problem(found[0], f"Put it right in {board.folder}.")
    return settings["wokwi"]["rfc2217ServerPort"], simulated(diagram, board)


@contextlib.contextmanager
def _as_wired(board: BoardFacts, sensors: tuple[WiredSensor, ...]) -> Iterator[BoardFacts]:
    """Yield the Board with these sensors: its folder is a copy, gone afterwards."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in board.folder.glob("*.py"):
            text = path.read_text("utf-8")
            if path.name == "board.py":
                text = board_sensors.rewritten(text, sensors)
            (folder / path.name).write_text(text, "utf-8")
        yield dataclasses.replace(board, folder=folder, sensors=sensors)


def _device(root: Path, name: str, fields: dict[str, Any]) -> Path:
    """Return the folder of the device `name`, made or changed so that its config has `fields`."""
    place = {"site": "wokwi", "zone": "simulator", "device_type": "climate"}
    place["org"] = fleet_settings.read(root).organisation
    everything = {"device_id": name} | place | fields | {"wifi_ssid": SSID}
    try:
        check(everything)
        setup = open_setup(root, [fields["broker"]])
        folder = setup.layout.device(name)
        if not setup.device(everything):
            _change(folder, fields)
        if setup.server_renewed:
            print(f"broker: new certificate for {fields['broker']}; one that runs: start it again")
    except errors.ConfigError as error:
        raise Problem(
            f"{error.field}: {error.text}.", "Nothing was changed; give another."
        ) from None
    return folder


def _change(folder: Path, fields: dict[str, Any]) -> None:
    old = device_config.read(folder)
    if old.get("wifi_ssid") != SSID or old.get("wifi_password") is not None:
        raise Problem(
            f"{folder.name} was made for another network than {SSID}.",
            "Name another device: --device NAME.",
        )
    new = {key: value for key, value in old.items() if key != "allow_public_broker"} | fields
    check(new)
    if new != old:
        device_config.write(folder, new)


def _project(board: BoardFacts) -> Path:
    """Return the folder that Wokwi is given: the Board's, where that leads to the image. In a fleet
    and in an installed limpet it does not: then it is the image's, with what Wokwi reads.
    """
    image_folder = IMAGES / board.name
    if (board.folder / _NAMED / board.name).resolve() == image_folder.resolve():
        return board.folder
    settings = (board.folder / "wokwi.toml").read_text("utf-8")
    named = f'"{_NAMED}/{board.name}/{LISTING}"'
    for path, text in (
        (image_folder / "wokwi.toml", settings.replace(named, f'"{LISTING}"')),
        (image_folder / "diagram.json", (board.folder / "diagram.json").read_text("utf-8")),
        (IMAGES / SCENARIO, (BOARDS / SCENARIO).read_text("utf-8")),
    ):
        path.write_text(text, "utf-8")
    return image_folder


def _next(board: BoardFacts, serial: int, broker: str) -> None:
    folder = _project(board)
    if folder.is_relative_to(REPO):
        folder = folder.relative_to(REPO)
    print(f"VS Code    open {folder}/diagram.json with the Wokwi extension, press play")
    print(f"wokwi-cli  wokwi-cli {folder} --scenario ../{SCENARIO} --timeout {TIMEOUT_MS}")
    print("           It sends the image to Wokwi, and with it this device's key.")
    print(f"console    --port rfc2217://localhost:{serial}, while the simulator runs")
    if broker == THIS_MACHINE or _is_private(broker):
        print(f"{broker} can be reached through Wokwi's private gateway alone (paying users).")


def _is_private(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return False
