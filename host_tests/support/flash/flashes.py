"""A littlefs in RAM whose power can go at any operation. Runs under MicroPython alone.

`Flash` is stricter than a chip: a byte that is programmed twice between two erases is counted, and
an erase makes 0xFF. It takes no heap when it is without power: files that are still open then are
closed by the garbage collector, which must not allocate.
"""

import errno
import random
import sys

import vfs  # type: ignore[import-not-found]
from device import mounting

# MicroPython has no typing; it never looks at an annotation.
if False:
    from collections.abc import Callable, Iterator
    from typing import Any

    Promise = Any
    Entry = tuple[int, int, bytes | None]

ROOT = "/flash"
TEARS = ("none", "half", "garbage")
_FAILED = -errno.EIO


class Chip:
    """The module `flashbdev` of a chip: its flash, for who mounts that anew."""

    bdev: "Any" = None


sys.modules["flashbdev"] = Chip  # type: ignore[assignment]
mounting.ROOT = ROOT


class Flash:
    """A block device for VfsLfs2 that counts, can fail, and can keep a journal.

    `operations` programs and erases so far; `erases` per block; `misused` programs of bytes that
    were not erased; `journal` a list of (block, offset, bytes), with None for the bytes of an erase
    """

    def __init__(self, blocks: int = 16, block_size: int = 4096, data: bytearray | None = None):
        self.data = data or bytearray(b"\xff" * (blocks * block_size))
        self.block_size = block_size
        self.blocks = len(self.data) // block_size
        self.erases = [0] * self.blocks
        self.operations = self.misused = self.programmed = 0
        self.journal: list[Entry] | None = None
        self._erased = b"\xff" * block_size
        self._good = -1
        self._bad = 0
        self._torn = False

    def fails(self, after: int, times: int = -1) -> None:
        """Fail `times` operations when `after` more have succeeded.

        -1 takes the power: the first one is torn, and nothing can be read before the next boot.
        """
        self._good = after
        self._bad = times

    def left(self) -> int:
        """How many operations will succeed before the next failure; -1: all."""
        return self._good

    def readblocks(self, block: int, buffer: bytearray, offset: int = 0) -> int:
        """Called by littlefs."""
        if not self._good and self._bad < 0:
            return _FAILED
        start = block * self.block_size + offset
        buffer[:] = self.data[start : start + len(buffer)]
        return 0

    def writeblocks(self, block: int, buffer: bytearray, offset: int = 0) -> int:
        """Called by littlefs: program."""
        start = block * self.block_size + offset
        end = start + len(buffer)
        if self._fails_now():
            if not self._torn and self._bad < 0:
                self._torn = True
                end = start + len(buffer) // 2
                self.data[start:end] = buffer[: end - start]
            return _FAILED
        if self.data[start:end] != self._erased[: end - start]:
            self.misused += 1
        self.data[start:end] = buffer
        self.operations += 1
        self.programmed += len(buffer)
        if self.journal is not None:
            self.journal.append((block, offset, bytes(buffer)))
        return 0

    def ioctl(self, what: int, block: int) -> int:
        """Called by littlefs: 4 number of blocks, 5 their size, 6 erase."""
        if what == 4:
            return self.blocks
        if what == 5:
            return self.block_size
        if what == 6:
            if self._fails_now():
                return _FAILED
            start = block * self.block_size
            self.data[start : start + self.block_size] = self._erased
            self.operations += 1
            self.erases[block] += 1
            if self.journal is not None:
                self.journal.append((block, 0, None))
        return 0

    def _fails_now(self) -> bool:
        if self._good > 0:
            self._good -= 1
        elif not self._good:
            if self._bad > 0:
                self._bad -= 1
                if not self._bad:
                    self._good = -1
            return True
        return False


def mount(flash: Flash) -> Flash:
    """Mount it at ROOT in place of what was there: a boot. OSError when there is no littlefs."""
    unmount()
    vfs.mount(vfs.VfsLfs2(flash), ROOT)
    Chip.bdev = flash
    return flash


def unmount() -> None:
    """Leave nothing at ROOT."""
    try:  # noqa: SIM105 (MicroPython has no contextlib)
        vfs.umount(ROOT)
    except OSError:
        pass


def fresh(blocks: int = 16, block_size: int = 4096) -> Flash:
    """A new flash with an empty littlefs, mounted."""
    flash = Flash(blocks, block_size)
    vfs.VfsLfs2.mkfs(flash)
    return mount(flash)


def cut_everywhere(
    flash: Flash, scenario: Iterator[Promise], check: Callable[[Promise, Promise], None]
) -> int:
    """Cut the power at each operation of a scenario, torn in each way; the number of cuts tried.

    `scenario` is run once, on `flash`, which is mounted. It yields a promise, first at once and
    then whenever more has been done: what has to hold from now on. After each cut the flash is
    mounted as the cut has left it, and check(promised, next) asserts that the promise made last
    holds, or the next one, whose operations were under way.
    """
    data = bytearray(flash.data)
    journal = flash.journal = []
    promises = [(len(journal), promised) for promised in scenario]
    assert not flash.misused, "programmed twice"
    tried = at = 0
    for number, entry in enumerate(journal):
        while at + 1 < len(promises) and promises[at + 1][0] <= number:
            at += 1
        after = promises[min(at + 1, len(promises) - 1)][1]
        for tear in TEARS:
            left = bytearray(data)
            _tear(left, flash.block_size, entry, tear, number)
            agreed = False
            try:
                mount(Flash(block_size=flash.block_size, data=left))
                check(promises[at][1], after)
                agreed = True
            finally:
                if not agreed:
                    print("cut at operation", number + 1, "of", len(journal), "torn:", tear)
            tried += 1
        _tear(data, flash.block_size, entry, "whole", number)
    unmount()
    return tried


def _tear(data: bytearray, block_size: int, entry: Entry, tear: str, number: int) -> None:
    """Do to `data` as much of an operation as `tear` leaves of it."""
    block, offset, written = entry
    start = block * block_size + offset
    new = written if written is not None else b"\xff" * block_size
    if tear == "half":
        new = new[: len(new) // 2]
    elif tear == "garbage":
        random.seed(number)
        new = bytes(random.getrandbits(8) for _ in range(len(new)))
    if tear != "none":
        data[start : start + len(new)] = new
