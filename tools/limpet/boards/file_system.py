"""A littlefs image as MicroPython mounts it, made on a PC.

It puts no times into it: the same files give the same bytes.
"""

from typing import Any

from littlefs import LittleFS, LittleFSError

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


def image(files: dict[str, bytes], blocks: int) -> tuple[bytes, int]:
    """Return the image of a file system of `blocks` with `files` by absolute path, and how many of
    its bytes are taken.

    Raises Problem when they do not fit.
    """
    system = LittleFS(mount=False, block_count=blocks, **_PARAMETERS)
    system.format()
    system.mount()
    try:
        for path, data in files.items():
            folder = path.rpartition("/")[0]
            if folder:
                system.makedirs(folder, exist_ok=True)
            with system.open(path, "wb") as file:
                file.write(data)
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
    return bytes(system.context.buffer), taken
