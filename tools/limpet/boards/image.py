"""`limpet image`: everything that goes onto a Board, in one folder that is the owner's alone.

    vfs.bin             the node's file system, as long as the flash has room for
    micropython.bin     MicroPython's image; not there when none could be had
    flash.bin           both, the whole flash from address 0; not there either without MicroPython
    flasher_args.json   what goes where: for `limpet flash`, esptool, ESP-IDF's tools and Wokwi
    manifest.json       the same for ESP Web Tools, which flash from a browser

The folder ignores itself, so nothing of it gets into git.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from esptool.cmds import merge_bin
from esptool.logger import log
from esptool.targets import CHIP_DEFS
from rich.console import Console

from limpet.boards import file_system, heap
from limpet.boards.board_facts import BLOCK, BoardFacts, facts
from limpet.boards.micropython_download import downloaded
from limpet.boards.micropython_image import MicroPythonImage, opened
from limpet.boards.node_files import code_files, flash_files, own_files
from limpet.identity.device_folder import DeviceFolder, checked, for_wifi
from limpet.identity.fleet_folder import FleetOption, own_boards, required, tell
from limpet.identity.layout import Layout
from limpet.node_host import interpreter
from limpet.shared import private
from limpet.shared.firmware import rules, version
from limpet.shared.paths import DATA
from limpet.shared.plain import plural
from limpet.shared.problem import Problem

IMAGES = DATA / "images"
FILES, MICROPYTHON, WHOLE = "vfs.bin", "micropython.bin", "flash.bin"
WITHOUT_MICROPYTHON = 3  # the exit code; 1 is a Problem, 2 wrong usage
LISTING, MANIFEST = "flasher_args.json", "manifest.json"


@dataclass(frozen=True)
class Image:
    """What was made in `folder`: `taken` is how many bytes of the file system's are not free."""

    facts: BoardFacts
    folder: Path
    micropython: MicroPythonImage | None
    taken: int


def build(
    board: BoardFacts, device: Path | None, micropython: MicroPythonImage | None, folder: Path
) -> Image:
    """Make an image in `folder`, in place of the one that is there, and return what it is.

    device: its folder; without one the node waits for being provisioned. Raises Problem.
    """
    files, taken = file_system.image(flash_files(board, device), board.files_blocks)
    parts = {board.files_offset: FILES}
    made = {FILES: files}
    if micropython:
        parts = {board.image_offset: MICROPYTHON} | parts
        made |= {MICROPYTHON: micropython.data, WHOLE: _merged(board, micropython.data, files)}
        made[MANIFEST] = _json(_web_manifest(board, parts))
    made[LISTING] = _json(_flasher_args(board, micropython, parts))
    private.folder(folder)
    private.write(folder / ".gitignore", b"*\n")
    # First the listing, which makes an image of them: half of an old one is none.
    for name in (LISTING, MANIFEST, WHOLE, MICROPYTHON, FILES):
        (folder / name).unlink(missing_ok=True)
    for name, data in made.items():
        private.write(folder / name, data)
    return Image(board, folder, micropython, taken)


def _merged(board: BoardFacts, micropython: bytes, files: bytes) -> bytes:
    log.set_verbosity("silent")
    whole = merge_bin(
        [(board.image_offset, micropython), (board.files_offset, files)], chip=board.chip
    )
    assert whole is not None
    return whole


def _flasher_args(
    board: BoardFacts, micropython: MicroPythonImage | None, parts: dict[int, str]
) -> dict[str, Any]:
    """The parts in the form that ESP-IDF's build gives them."""
    settings = {"flash_size": f"{board.flash_mb}MB"}
    if micropython:
        settings |= {
            "flash_mode": micropython.flash_mode,
            "flash_freq": micropython.flash_freq,
        }
    return {
        "flash_settings": settings,
        "flash_files": {f"{offset:#x}": name for offset, name in parts.items()},
        "extra_esptool_args": {"chip": board.chip},
    }


def _web_manifest(board: BoardFacts, parts: dict[int, str]) -> dict[str, Any]:
    return {
        "name": f"Limpet on {board.name}",
        "version": version.VERSION,
        "new_install_prompt_erase": True,
        "builds": [
            {
                "chipFamily": CHIP_DEFS[board.chip].CHIP_NAME,
                "parts": [{"path": name, "offset": offset} for offset, name in parts.items()],
            }
        ],
    }


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def device_folder(wanted: str, given: Path | None = None) -> DeviceFolder:
    """Return the device that the user asks for: an id of a device of the fleet (`given` by --fleet,
    or found), or a folder.

    Raises Problem, also for one that names no Wi-Fi.
    """
    if "/" in wanted or Path(wanted).is_dir():
        # Not every shell expands ~ behind --device=.
        return for_wifi(checked(Path(wanted).expanduser()))
    where = required(given)
    tell(where)
    return for_wifi(checked(Layout(where.root).device(wanted), asked_id=wanted))


def image(
    board: str,
    /,
    *,
    device: str | None = None,
    firmware: Path | None = None,
    flash: int | None = None,
    fleet: FleetOption = None,
    out: Annotated[Path, Parameter(show_default=False)] = IMAGES,
) -> int:
    """Make what goes onto a board: MicroPython, the node's code, a device's config and keys.

    Exit code: 0 made; 3 made, but without MicroPython, which could not be had.

    Parameters
    ----------
    board
        A folder below the fleet's boards/, or below ours.
    device
        The device's id, or its folder, from `limpet provision`. Without it the node is made for
        nobody, and waits on its console for being provisioned.
    firmware
        MicroPython's image for the board, a .bin. Without it, it is downloaded.
    flash
        Size of the board's flash in MB, where it is not the usual one: 4, 8 or 16.
    out
        The image is made in the folder BOARD in there [default: build/images of a clone, else a
        folder in the user's data].
    """
    wanted = facts(board, flash, own_boards(fleet))
    return image_of(wanted, device=device, firmware=firmware, fleet=fleet, out=out)


def image_of(
    board: BoardFacts,
    *,
    device: str | None,
    firmware: Path | None,
    fleet: FleetOption,
    out: Path,
) -> int:
    """What `limpet image` does, for a Board whose facts are known. Raises Problem."""
    owner = device_folder(device, fleet) if device else None
    micropython, why_not = _micropython(board, firmware)
    made = build(board, owner.folder if owner else None, micropython, out / board.name)
    _report(made, owner)
    if why_not is None:
        return 0
    print(
        f"limpet: There is no MicroPython in it, and no {WHOLE}. {why_not.cause}",
        why_not.remedy,
        f"A board that has MicroPython already can be given {FILES} alone.",
        sep="\n",
        file=sys.stderr,
    )
    return WITHOUT_MICROPYTHON


def _micropython(
    board: BoardFacts, firmware: Path | None
) -> tuple[MicroPythonImage | None, Problem | None]:
    """The image that was named or downloaded; or else why there is none, which is no mistake."""
    if firmware:
        return opened(firmware.expanduser(), board), None
    try:
        return opened(downloaded(board), board), None
    except Problem as problem:
        return None, problem


def _report(made: Image, owner: DeviceFolder | None) -> None:
    board = made.facts
    print(f"{board.name}: {board.chip}, {board.flash_mb} MB of flash, in {made.folder}")
    if made.micropython:
        size = _kb(len(made.micropython.data))
        named = f"MicroPython {made.micropython.version}".rstrip()
        print(f"  {board.image_offset:#9x} {size}  {MICROPYTHON}: {named}")
    room = board.files_blocks * BLOCK
    print(f"  {board.files_offset:#9x} {_kb(room)}  {FILES}: {_kb(made.taken).strip()} taken")
    code = code_files(board)
    print(f"            {_kb(sum(map(len, code.values())))}  code, {plural(len(code), 'file')}")
    if owner:
        files = own_files(owner)
        size, tls = _kb(sum(map(len, files.values()))), sum(name.endswith(".der") for name in files)
        print(f"            {size}  {owner.device_id}: identity and settings, {tls} for TLS")
        _notes(owner)
    else:
        print("                      no device: it waits on its console for being provisioned")
    try:
        interpreter.micropython("i386")  # where it has to be fetched, it shows that itself
        with Console(stderr=True).status("Measuring the heap"):
            _, used = heap.joined()
    except Problem as problem:
        print(f"  heap: not measured. {problem.cause}")
    else:
        print(f"  heap {_kb(used)}  once it has started (32 bits, without the chip's drivers)")


def _notes(owner: DeviceFolder) -> None:
    """Say what the node takes and a chip can do nothing with."""
    if rules.is_loopback(owner.config.broker):
        remedy = f"limpet provision {owner.device_id} --broker ADDRESS"
        print(f"  On a chip its broker, {owner.config.broker}, is the chip itself: {remedy}")


def _kb(size: int) -> str:
    return f"{size / 1024:>9,.1f} KB"
