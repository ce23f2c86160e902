"""What a PC has to know of a Board before it touches one: read from board.py, never imported."""

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limpet.shared.paths import BOARDS
from limpet.shared.problem import Problem

BLOCK = 4096  # of flash, erased as a whole

# Where the ROM of each chip looks for the bootloader, with which MicroPython's image begins.
_IMAGE_OFFSETS = {"esp32": 0x1000, "esp32s3": 0x0, "esp32c3": 0x0}
# Where MicroPython's file system begins: behind the app, or behind both when there are two (OTA).
_FILES_OFFSET = 0x200000
_FILES_OFFSETS_OTA = {4: 0x310000, 8: 0x4F0000}


@dataclass(frozen=True)
class BoardFacts:
    """A Board with a chip: its folder's `name`, `chip` as esptool writes it, and its flash."""

    name: str
    chip: str
    flash_mb: int
    ota: bool

    @property
    def folder(self) -> Path:
        """Its folder in the repository."""
        return BOARDS / self.name

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


def names() -> list[str]:
    """The Boards that have a chip."""
    return sorted(path.parent.name for path in BOARDS.glob("esp32*/board.py"))


def constants(name: str) -> dict[str, Any]:
    """Return the constants in the board.py of the Board `name`, its GPIOs included."""
    return {
        statement.targets[0].id: statement.value.value
        for statement in ast.parse((BOARDS / name / "board.py").read_bytes()).body
        if isinstance(statement, ast.Assign)
        and isinstance(statement.targets[0], ast.Name)
        and isinstance(statement.value, ast.Constant)
    }


def facts(name: str, flash_mb: int | None = None) -> BoardFacts:
    """Return the facts of the Board `name`, with its own size of flash or another one.

    Raises Problem when there is no such Board, or the size is none that MicroPython knows.
    """
    if name not in names():
        raise Problem(f"There is no board {name}.", "Say one of: " + ", ".join(names()) + ".")
    said = constants(name)
    size = said["FLASH_MB"] if flash_mb is None else flash_mb
    if size not in (4, 8, 16):
        raise Problem(f"A flash of {size} MB is none of these boards'.", "Say 4, 8 or 16.")
    if said["OTA"] and size not in _FILES_OFFSETS_OTA:
        raise Problem(f"MicroPython has no OTA image for {size} MB.", "Say 4 or 8.")
    return BoardFacts(name, said["CHIP"], size, said["OTA"])
