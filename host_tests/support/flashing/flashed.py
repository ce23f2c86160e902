"""A board that is flashed, and what it holds before and after."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from limpet.boards.board_facts import BoardFacts, facts
from limpet.boards.flash import flash
from limpet.shared.problem import Problem
from support.flashing import image_folders
from support.flashing.image_folders import files_in
from support.flashing.rom_loader import RomLoader

DEVKIT = facts("esp32_devkit")
OLD_NODE = {
    "/boot.py": b"import slots\n",
    "/slot": b"b\n",
    "/config.json": json.dumps({"device_id": "node-1"}).encode(),
    "/b/app.mpy": b"old" * 4000,
    "/key-76543210.der": b"OLDKEY" * 300,
    **{f"/readings/{number:08}": b"Reading" * 900 for number in range(9)},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image for the DevKit with a node called node-1."""
    return image_folders.folder(tmp_path_factory.mktemp("image"), DEVKIT)


def files_of(chip: RomLoader, board: BoardFacts = DEVKIT) -> bytes:
    """The part of the flash that is the file system."""
    return bytes(chip.flash[board.files_offset :])


def put(chip: RomLoader, files: dict[str, bytes], board: BoardFacts = DEVKIT) -> bytes:
    """Have `files` on the chip already, and return the file system that they are in."""
    made = image_folders.file_system(tuple(files.items()), board.files_blocks)
    chip.flash[board.files_offset :] = made
    return made


def refusal(chip: RomLoader, **options: object) -> Problem:
    """What `limpet flash esp32_devkit` says is wrong; nothing has been erased or written."""
    before = bytes(chip.flash)
    with pytest.raises(Problem) as problem:
        flash("esp32_devkit", port=chip.url, **options)  # type: ignore[arg-type]
    assert chip.journal == []
    assert chip.flash == before
    return problem.value


def holds(chip: RomLoader, folder: Path, board: BoardFacts = DEVKIT) -> None:
    """Assert that the chip has the image in `folder`: MicroPython, and the very files."""
    wanted = (folder / "micropython.bin").read_bytes()
    start = board.image_offset
    assert chip.flash[start : start + len(wanted)] == wanted
    assert files_in(files_of(chip, board)) == files_in((folder / "vfs.bin").read_bytes())


def words(chip: RomLoader, folder: Path) -> tuple[str | Path, ...]:
    """The command line."""
    return ("flash", "esp32_devkit", "--port", chip.url, "--image", folder)
