"""What lies on a node's file system: its code as byte code in a slot, its settings and its
identity.

The same input gives the same bytes, so that a deploy can compare by hash. Umqtt is not in it: every
ESP32 firmware carries that.
"""

import json
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from limpet.boards import archive, drivers
from limpet.boards.board_facts import BoardFacts
from limpet.boards.board_sensors import WiredSensor
from limpet.identity import device_config
from limpet.identity.device_config import SETTINGS
from limpet.identity.device_folder import DeviceFolder, checked
from limpet.node_host.bytecode import compiled
from limpet.shared.firmware import version
from limpet.shared.paths import FIRMWARE, LIB
from limpet.shared.problem import Problem

# Run by the chip itself, as source and outside the slots: the same for years.
STARTERS = ("boot.py", "main.py")
FIRST_SLOT = "a"
LISTING = "files.json"


def code_files(facts: BoardFacts) -> dict[str, bytes]:
    """Return the content of a slot by path: firmware/, the Board's board.py, and what these and the
    drivers that its SENSORS names import of lib/ and of the Board's folder, merged flat.

    files.json is the list of it: {"version", "board", "files": {path: SHA-256 in hex}}. Byte code
    is the same for every chip, as long as none of it is native. Raises Problem when a file does not
    compile, or has the name of one of the node's own.
    """
    (firmware, lib, board), _ = compiled(FIRMWARE, LIB, facts.folder)
    files = {"board.mpy": (board / "board.mpy").read_bytes()}
    for path in firmware.rglob("*.mpy"):
        files[path.relative_to(firmware).as_posix()] = path.read_bytes()
    for path in modules(facts.folder, facts.sensors):
        name = f"{path.stem}.mpy"
        if name in files:
            raise Problem(
                f"{path.name} of {facts.name} has the name of a module of the node.",
                "Give it another name.",
            )
        files[name] = ((lib if path.parent == LIB else board) / name).read_bytes()
    files = dict(sorted(files.items()))
    hashes = {name: sha256(data).hexdigest() for name, data in files.items()}
    listing = {"version": version.VERSION, "board": facts.name, "files": hashes}
    return files | {LISTING: (json.dumps(listing, indent=0) + "\n").encode()}


def modules(folder: Path, sensors: Iterable[WiredSensor]) -> list[Path]:
    """Return the files of lib/ and of the Board's `folder` that a node needs beside board.py: what
    its firmware, its board.py and its sensors' drivers import, and what that imports.
    """
    wanted = [sensor.driver for sensor in sensors]
    for path in (*FIRMWARE.rglob("*.py"), folder / "board.py"):
        wanted += drivers.imports(path)
    found: dict[str, Path] = {}
    while wanted:
        name = wanted.pop()
        file = drivers.module(folder, name)
        if file is not None and name not in found and name != "board":
            found[name] = file
            wanted += drivers.imports(file)
    return [found[name] for name in sorted(found)]


def own_files(device: DeviceFolder) -> dict[str, bytes]:
    """Return what a device has for itself, by path: both copies of its identity, the files that it
    names, and the settings that go with the code in the first slot.
    """
    path = f"{FIRST_SLOT}/{SETTINGS}"
    return device.files | {path: device_config.settings_file(device.fields, device.version)}


def flash_files(facts: BoardFacts, folder: Path | None) -> dict[str, bytes]:
    """Return the whole file system of a node by absolute path, its code in the first slot.

    Without a `folder` of a device it is a node that has yet to be provisioned. `folder` is checked
    first: see `limpet.identity.device_folder.checked`, and what it raises.
    """
    files = {name: (FIRMWARE / name).read_bytes() for name in STARTERS}
    files["slot"] = f"{FIRST_SLOT}\n".encode()
    code = archive.packed(code_files(facts))
    files |= {f"{FIRST_SLOT}/{name}": data for name, data in code.items()}
    files |= own_files(checked(folder)) if folder else {}
    return {f"/{name}": data for name, data in files.items()}
