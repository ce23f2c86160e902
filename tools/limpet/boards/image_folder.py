"""What `limpet image` left in a folder, checked once more before any of it is written to a chip.

It makes nothing that is missing, and asks no chip.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from limpet.boards import files_on_chip, micropython_image
from limpet.boards.board_facts import BLOCK, BoardFacts, facts
from limpet.boards.image import LISTING
from limpet.shared.problem import Problem


@dataclass(frozen=True)
class ImageFolder:
    """The parts of an image: `micropython` is None when there is none, `device_id` when nobody's
    config is in the file system.
    """

    facts: BoardFacts
    micropython: bytes | None = field(repr=False)
    version: str
    files: bytes = field(repr=False)
    device_id: str | None

    def runs(self) -> Iterator[tuple[int, bytes]]:
        """Yield the parts of the file system that hold anything, but for its two superblocks, each
        with its address. littlefs erases a block before it writes to it, so the others may hold
        whatever they do.
        """
        size = len(self.files)
        blank = b"\xff" * BLOCK
        start = None
        for at in range(2 * BLOCK, size + BLOCK, BLOCK):
            full = at < size and self.files[at : at + BLOCK] != blank
            if full and start is None:
                start = at
            elif not full and start is not None:
                yield self.facts.files_offset + start, self.files[start:at]
                start = None

    def superblock(self, number: int) -> tuple[int, bytes]:
        """Return one of the two blocks that make it a file system, with its address."""
        at = number * BLOCK
        return self.facts.files_offset + at, self.files[at : at + BLOCK]


def opened(folder: Path, board: str, own: Path | None = None) -> ImageFolder:
    """Return the image in `folder`, which is for `board`. own: the user's own Boards.

    Raises Problem, each with words of its own, for: no such board; no image; one for another
    board's chip; a part that is missing, truncated, too long or for another size of flash.
    """
    facts(board, own=own)  # a mistyped name first, or what is asked for would be its image
    again = f"Make it: limpet image {board}."
    try:
        said = json.loads((folder / LISTING).read_bytes())
        chip = said["extra_esptool_args"]["chip"]
        flash_size = re.fullmatch(r"(\d+)MB", said["flash_settings"]["flash_size"])
        paths = {int(offset, 0): folder / name for offset, name in said["flash_files"].items()}
        size_mb = int(flash_size[1]) if flash_size else 0
    except FileNotFoundError:
        raise Problem(f"There is no image for {board} in {folder}.", again) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise Problem(f"{folder / LISTING} cannot be understood.", again) from None
    board_facts = facts(board, size_mb, own)
    if chip != board_facts.chip:
        raise Problem(
            f"The image in {folder} is for the {chip}, and {board} has an {board_facts.chip}.",
            again,
        )
    if unknown := paths.keys() - {board_facts.image_offset, board_facts.files_offset}:
        raise Problem(f"{folder} has parts at {', '.join(map(hex, sorted(unknown)))}.", again)
    if board_facts.files_offset not in paths:
        raise Problem(f"{folder} has no file system.", again)
    files, device_id = _files(paths[board_facts.files_offset], board_facts, again)
    path = paths.get(board_facts.image_offset)
    image: Any = micropython_image.opened(path, board_facts) if path else None
    return ImageFolder(
        board_facts, image and image.data, image.version if image else "", files, device_id
    )


def _files(path: Path, board_facts: BoardFacts, again: str) -> tuple[bytes, str | None]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Problem(f"{path} cannot be read: {error.strerror}.", again) from None
    wanted = board_facts.files_blocks * BLOCK
    if len(data) != wanted:
        raise Problem(
            f"{path} has {len(data)} bytes, and the file system of {board_facts.name} with "
            f"{board_facts.flash_mb} MB has {wanted}: it is truncated, or for another flash.",
            again,
        )
    found = files_on_chip.look(lambda block: data[block * BLOCK : (block + 1) * BLOCK])
    if found is None or found.blocks != board_facts.files_blocks:
        raise Problem(f"{path} is no file system of {board_facts.files_blocks} blocks.", again)
    return data, found.device_id
