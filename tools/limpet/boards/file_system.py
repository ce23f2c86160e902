"""A littlefs image as MicroPython mounts it, made on a PC.

It puts no times into it: the same files give the same bytes.
"""

from typing import Any

from littlefs import LittleFS, LittleFSError, UserContext

from limpet.boards.board_facts import BLOCK
from limpet.shared.plain import plural
from limpet.shared.problem import Problem

# As MicroPython mounts (extmod/vfs_lfsx.c): then a file is laid out as it would have done it. The
# version on disk is 2.1, which 1.22 and later make themselves.
_PARAMETERS: dict[str, Any] = {
    "block_size": BLOCK,
    "read_size": 32,
    "prog_size": 32,
    "cache_size": 128,
    "lookahead_size": 32,
    "block_cycles": 100,
}


# More writes than the list of files of a folder has room for.
_WRITES = 256


class _Flash(UserContext):
    """Blocks that count how often one of them is erased."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.erased = 0

    def erase(self, cfg: Any, block: int) -> int:
        """Erase a block."""
        self.erased += 1
        return super().erase(cfg, block)


def image(files: dict[str, bytes], blocks: int) -> tuple[bytes, int]:
    """Return the image of a file system of `blocks` with `files` by absolute path, and how many of
    its bytes are taken.

    Raises Problem when they do not fit.
    """
    flash = _Flash(blocks * BLOCK)
    system = LittleFS(flash, mount=False, block_count=blocks, **_PARAMETERS)
    system.format()
    system.mount()
    try:
        for path, data in files.items():
            folder = path.rpartition("/")[0]
            if folder:
                system.makedirs(folder, exist_ok=True)
            with system.open(path, "wb") as file:
                file.write(data)
        for folder in sorted({path.rpartition("/")[0] for path in files}):
            _tidy(system, flash, f"{folder}/list.part")
    except LittleFSError as error:
        if error.code != LittleFSError.Error.LFS_ERR_NOSPC:
            raise
        total = sum(map(len, files.values()))
        raise Problem(
            f"{plural(len(files), 'file')}, {total} bytes: no room in {blocks} blocks of {BLOCK}.",
            "Choose a board with more flash, or an image without OTA.",
        ) from None
    taken = system.used_block_count * BLOCK
    system.unmount()
    return bytes(flash.buffer), taken


def _tidy(system: LittleFS, flash: _Flash, path: str) -> None:
    """Have the list of files of the folder of `path`, which is none of them, written anew, as short
    as it can be: else it has each write until it is full, and each look for a file reads it.
    """
    before = flash.erased
    for _ in range(_WRITES):
        with system.open(path, "wb"):
            pass
        if flash.erased > before:
            break
    system.remove(path)
