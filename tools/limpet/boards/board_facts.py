"""What a PC has to know of a Board before it touches one: read from board.py, never imported.

A user's own Boards, a folder each in the `boards/` of his fleet, go before ours of the same name.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limpet.boards import board_sensors
from limpet.boards.board_sensors import WiredSensor
from limpet.shared.paths import BOARDS
from limpet.shared.problem import Problem

BLOCK = 4096  # of flash, erased as a whole

# Where the ROM of each chip looks for the bootloader, with which MicroPython's image begins.
_IMAGE_OFFSETS = {"esp32": 0x1000, "esp32s3": 0x0, "esp32c3": 0x0}
# Where MicroPython's file system begins: behind the app, or behind both when there are two (OTA).
_FILES_OFFSET = 0x200000
_FILES_OFFSETS_OTA = {4: 0x310000, 8: 0x4F0000}
# What is read from a board.py, and of what type.
_FACTS: dict[str, tuple[type, str]] = {
    "CHIP": (str, "a text"),
    "FLASH_MB": (int, "a whole number"),
    "OTA": (bool, "True or False"),
    "LED_GPIO": (int, "a whole number"),
}


@dataclass(frozen=True)
class BoardFacts:
    """A Board with a chip: its folder and that one's `name`, `chip` as esptool writes it, its
    flash, and what is wired to it.
    """

    name: str
    chip: str
    flash_mb: int
    ota: bool
    folder: Path
    led_gpio: int
    sensors: tuple[WiredSensor, ...]

    @property
    def image_offset(self) -> int:
        """Where MicroPython's image goes."""
        return _IMAGE_OFFSETS[self.chip]

    @property
    def files_offset(self) -> int:
        """Where the file system begins. It ends where the flash does."""
        return _FILES_OFFSETS_OTA[self.flash_mb] if self.ota else _FILES_OFFSET

    @property
    def files_blocks(self) -> int:
        """How many blocks the file system has: 512, 1536 or 3584 on 4, 8 or 16 MB.

        An image with another number is not mounted (EINVAL).
        """
        return (self.flash_mb * 0x100000 - self.files_offset) // BLOCK


def names(own: Path | None = None) -> list[str]:
    """The Boards that have a chip: those in the folder `own`, and ours."""
    return sorted(_folders(own))


def _folders(own: Path | None) -> dict[str, Path]:
    paths = [*BOARDS.glob("esp32*/board.py"), *(own.glob("*/board.py") if own else ())]
    return {path.parent.name: path.parent for path in paths}


def constants(folder: Path) -> dict[str, Any]:
    """Return the constants in the board.py of a Board's `folder`, its wiring included; what is a
    name of it without being a constant, as None. Raises Problem where that is no Python.
    """
    path = folder / "board.py"
    try:
        body = ast.parse(path.read_bytes()).body
    except SyntaxError as error:
        line = f", line {error.lineno}" if error.lineno else ""
        raise Problem(f"{path}{line}: {error.msg}.", "Correct it.") from None
    except ValueError:  # a zero byte, from Python 3.12 on a SyntaxError
        raise Problem(f"{path} is no Python.", "Correct it.") from None
    return {name: value for statement in body for name, value in _said(statement)}


def _said(statement: ast.stmt) -> Iterator[tuple[str, Any]]:
    """The names that a statement makes, with their values where those stand in the text."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=made):
            try:
                yield name, ast.literal_eval(made)
            except (ValueError, TypeError, MemoryError, RecursionError):
                yield name, None
        case ast.Assign(targets=[ast.Tuple(elts=targets)]):
            yield from ((each.id, None) for each in targets if isinstance(each, ast.Name))
        case ast.FunctionDef(name=name):
            yield name, None


def facts(name: str, flash_mb: int | None = None, own: Path | None = None) -> BoardFacts:
    """Return the facts of the Board `name`, with its own size of flash or another one. own: the
    folder of the user's own Boards.

    Raises Problem when there is no such Board, its board.py lacks a fact, or the size is none that
    MicroPython knows.
    """
    folder = _folders(own).get(name)
    if folder is None:
        raise Problem(f"There is no board {name}.", "Say one of: " + ", ".join(names(own)) + ".")
    said = constants(folder)
    if said.get("NAME") != name:
        raise Problem(
            f"{folder / 'board.py'} says of itself NAME = {said.get('NAME')!r}.",
            f"Say there what its folder is called: NAME = {name!r}.",
        )
    for fact, (kind, words) in _FACTS.items():
        if type(said.get(fact)) is not kind:
            raise Problem(
                f"{folder / 'board.py'} does not say {fact}, {words}.",
                f"Say it as {BOARDS / names()[0] / 'board.py'} does.",
            )
    if said["CHIP"] not in _IMAGE_OFFSETS:
        raise Problem(
            f"{folder / 'board.py'}: no chip of Limpet's is called {said['CHIP']}.",
            f"Say one of: {', '.join(_IMAGE_OFFSETS)}.",
        )
    size = said["FLASH_MB"] if flash_mb is None else flash_mb
    if size not in (4, 8, 16):
        raise Problem(f"MicroPython has no image for a flash of {size} MB.", "Say 4, 8 or 16.")
    if said["OTA"] and size not in _FILES_OFFSETS_OTA:
        raise Problem(f"MicroPython has no OTA image for {size} MB.", "Say 4 or 8.")
    sensors = board_sensors.read(folder / "board.py", said)
    return BoardFacts(name, said["CHIP"], size, said["OTA"], folder, said["LED_GPIO"], sensors)
