"""A flash that refuses operations now and then, and what then has to hold. Runs under MicroPython
alone; see flashes.py.

A chip refuses by an exception, which leaves littlefs in the middle of what it does: a file that was
being closed is open, and is closed once more by the garbage collector, which must not allocate.
"""

import errno
import gc

import vfs  # type: ignore[import-not-found]
from support.flash.flashes import Flash, mount, unmount

# MicroPython has no typing; it never looks at an annotation.
if False:
    from collections.abc import Callable, Iterator
    from typing import Any

    Way = tuple[bool, str]

# By an exception or by what it returns; and how much of what it refuses is done nevertheless.
WAYS = [(raises, done) for raises in (True, False) for done in ("none", "half", "all")]
COPY = "/copy"


class Refusing(Flash):
    """A flash of 16 blocks that refuses programs and erases in one of WAYS, once told to."""

    def __init__(self, way: "Way"):
        super().__init__()
        self.raises, self.done = way

    def readblocks(self, block: int, buffer: bytearray, offset: int = 0) -> int:
        """Called by littlefs."""
        start = block * self.block_size + offset
        try:
            buffer[:] = self.data[start : start + len(buffer)]
        except MemoryError:
            for at in range(len(buffer)):
                buffer[at] = self.data[start + at]
        return 0

    def writeblocks(self, block: int, buffer: bytearray, offset: int = 0) -> int:
        """Called by littlefs: program."""
        start, size = block * self.block_size + offset, len(buffer)
        failed = self._fails_now()
        if failed:
            size = self._some(size)
        try:
            erased = self.data[start : start + size] == self._erased[:size]
            if erased:
                self.data[start : start + size] = buffer[:size]
        except MemoryError:
            erased = False
        if not erased:
            for at in range(size):
                self.data[start + at] &= buffer[at]  # all that flash can do to a bit is to clear it
        return self._failed() if failed else 0

    def ioctl(self, what: int, block: int) -> int:
        """Called by littlefs: 6 is erase."""
        if what != 6:
            return super().ioctl(what, block)
        start, size = block * self.block_size, self.block_size
        failed = self._fails_now()
        if failed:
            size = self._some(size)
        try:
            self.data[start : start + size] = self._erased[:size]
        except MemoryError:
            for at in range(size):
                self.data[start + at] = 0xFF
        return self._failed() if failed else 0

    def _some(self, size: int) -> int:
        return size if self.done == "all" else size // 2 if self.done == "half" else 0

    def _failed(self) -> int:
        if self.raises:
            raise OSError(errno.EIO)
        return -errno.EIO


def refusing(way: "Way") -> Refusing:
    """A new flash with an empty littlefs, mounted."""
    flash = Refusing(way)
    vfs.VfsLfs2.mkfs(flash)
    mount(flash)
    return flash


def copied(flash: Flash, check: "Callable[[str], None]") -> None:
    """Call `check` with the folder at which a copy of `flash` is, as a boot would find it."""
    vfs.mount(vfs.VfsLfs2(Flash(data=bytearray(flash.data))), COPY)
    try:
        check(COPY)
    finally:
        vfs.umount(COPY)


def insist(what: "Callable[..., Any]", *arguments: object) -> "Any":
    """Call `what` as often as flash refuses it."""
    for _ in range(3):
        try:
            return what(*arguments)
        except OSError:
            pass
    return what(*arguments)


def refuse_everywhere(
    scenario: "Callable[[], Iterator[Any]]",
    check: "Callable[[Any, Any], None]",
    prepare: "Callable[[], None]",
    times: int,
    way: "Way",
) -> int:
    """Let flash refuse `times` operations from each one of a scenario on, in that way; how many
    operations there were.

    scenario() is run once for each, on a new flash on which `prepare` has been called, and insists.
    Up to three promises later a boot finds what the last one says: check(promised, promised).
    """
    point, left = 0, -1
    while left < 0:
        flash = refusing(way)
        prepare()
        flash.fails(point, times)
        agreed = False
        try:
            more = 1 + point % 3
            for promised in scenario():  # noqa: B007 (the last one counts)
                more -= flash.left() < 0
                if not more:
                    break
            left = flash.left()
            flash.fails(-1)
            gc.collect()  # closes what could not be closed
            mount(flash)
            check(promised, promised)
            agreed = True
        finally:
            if not agreed:
                print("refused", times, "from operation", point + 1, "on:", way)
        point += 1
    unmount()
    return point
