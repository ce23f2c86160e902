"""A flash for the node that forgets what was not synced, when its process is killed.

The node's folder then holds one file, a littlefs on a block device. What littlefs programs stays in
the process until littlefs says that it has to be there; only then does it go to the file, block by
block and in no order. A SIGKILL therefore loses what a power cut would lose at worst. Runs under
MicroPython alone, from a boot.py ahead of the node's own.

(flashes.py counts wear, and looks for bytes programmed twice.)
"""

import os

import vfs  # type: ignore[import-not-found]

ROOT = "/flash"
IMAGE = "flash.img"
_BLOCK = 4096
_BLOCKS = 256
_ERASED = b"\xff" * _BLOCK


class Disk:
    """A block device for VfsLfs2 over the file at `path`, which is created if `blank`."""

    def __init__(self, path: str, blank: bool = False):
        if blank:
            with open(path, "wb") as file:
                for _ in range(_BLOCKS):
                    file.write(_ERASED)
        self._file = open(path, "r+b")  # noqa: SIM115 (as long as the node lives)
        self._unsynced: dict[int, bytearray] = {}

    def readblocks(self, block: int, buffer: bytearray, offset: int = 0) -> None:
        """Called by littlefs."""
        if block in self._unsynced:
            buffer[:] = self._unsynced[block][offset : offset + len(buffer)]
        else:
            self._file.seek(block * _BLOCK + offset)
            self._file.readinto(buffer)

    def writeblocks(self, block: int, buffer: bytearray, offset: int = 0) -> None:
        """Called by littlefs: program."""
        if block not in self._unsynced:
            whole = bytearray(_BLOCK)
            self.readblocks(block, whole)
            self._unsynced[block] = whole
        self._unsynced[block][offset : offset + len(buffer)] = buffer

    def ioctl(self, what: int, block: int) -> int:
        """Called by littlefs: 3 sync, 4 number of blocks, 5 their size, 6 erase."""
        if what == 3:
            for number in list(self._unsynced):
                self._file.seek(number * _BLOCK)
                self._file.write(self._unsynced.pop(number))
        elif what == 4:
            return _BLOCKS
        elif what == 5:
            return _BLOCK
        elif what == 6:
            self._unsynced[block] = bytearray(_ERASED)
        return 0


def mount() -> None:
    """Go to the flash; the first time, it is made of the files in the node's folder."""
    if IMAGE not in os.listdir():
        disk = Disk(IMAGE + ".new", blank=True)
        vfs.VfsLfs2.mkfs(disk)
        vfs.mount(vfs.VfsLfs2(disk), ROOT)
        for name in os.listdir():
            if not name.startswith(IMAGE):
                with open(name, "rb") as source, open(f"{ROOT}/{name}", "wb") as copy:
                    copy.write(source.read())
        # Whole from here on: a node that is killed before begins anew.
        os.rename(IMAGE + ".new", IMAGE)
    else:
        vfs.mount(vfs.VfsLfs2(Disk(IMAGE)), ROOT)
    os.chdir(ROOT)
