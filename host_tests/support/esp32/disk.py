"""The flash of the virtual board: a block device for VfsLfs2 over a file of the laptop's.

Behind its blocks the file counts programs, erases and reads. At the program or erase that it is
told, the power goes: what was being programmed is half there.
"""

import struct

import ffi

_BLOCK = 4096
_POWER_CUT = 67
_end = ffi.open(None).func("v", "_exit", "i")


class Disk:
    """The flash: a file of so many blocks, behind which operations are counted."""

    def __init__(self, path, cut_at):
        self._file = open(path, "r+b")  # noqa: SIM115 (as long as there is power)
        self._count_at = self._file.seek(0, 2) - 12
        self._blocks = self._count_at // _BLOCK
        self._cut_at = cut_at
        self._file.seek(self._count_at)
        self._counts = list(struct.unpack("<III", self._file.read(12)))

    def readblocks(self, block, buffer, offset=0):
        """Called by littlefs."""
        self._add(2)
        self._file.seek(block * _BLOCK + offset)
        self._file.readinto(buffer)

    def writeblocks(self, block, buffer, offset=0):
        """Called by littlefs: program."""
        torn = self._count(0)
        self._file.seek(block * _BLOCK + offset)
        if torn:
            self._file.write(buffer[: len(buffer) // 2])
            _end(_POWER_CUT)
        self._file.write(buffer)

    def ioctl(self, what, block):
        """Called by littlefs: 4 number of blocks, 5 their size, 6 erase."""
        if what == 4:
            return self._blocks
        if what == 5:
            return _BLOCK
        if what == 6:
            if self._count(1):
                _end(_POWER_CUT)
            self._file.seek(block * _BLOCK)
            self._file.write(b"\xff" * _BLOCK)
        return 0

    def _count(self, which):
        """Count an operation; whether it is the one at which the power goes."""
        self._add(which)
        return sum(self._counts[:2]) == self._cut_at

    def _add(self, which):
        self._counts[which] += 1
        self._file.seek(self._count_at)
        self._file.write(struct.pack("<III", *self._counts))

    def blank(self):
        """Whether nothing has ever been written to the first block."""
        self._file.seek(0)
        return self._file.read(_BLOCK) == b"\xff" * _BLOCK
