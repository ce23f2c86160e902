"""The flash of a virtual board, seen from outside: what is on it, and how often it was written to.

The board has to be without power for `put` and `remove`, and idle for `files`.
"""

from __future__ import annotations

import struct
from pathlib import Path

from littlefs import LittleFS

BLOCK = 4096


class Flash:
    """So many blocks in the file at `path`, and behind them three counters. Blank at first."""

    def __init__(self, path: Path, blocks: int) -> None:
        self.path = path
        self._blocks = blocks
        self.fill(b"\xff" * (blocks * BLOCK))

    def fill(self, data: bytes) -> None:
        """Make `data` all that is on the flash, whose counters begin at 0."""
        self.path.write_bytes(data + bytes(12))

    def counters(self) -> tuple[int, int]:
        """How many programs and erases the flash has seen."""
        return self._counts()[:2]

    def reads(self) -> int:
        """How many reads."""
        return self._counts()[2]

    def _counts(self) -> tuple[int, int, int]:
        with open(self.path, "rb") as file:
            file.seek(self._blocks * BLOCK)
            programs, erases, reads = struct.unpack("<III", file.read(12))
        return programs, erases, reads

    def files(self) -> dict[str, bytes]:
        """What is on the flash, by absolute path."""
        found = {}
        fs = self._mounted()
        for folder, _, names in fs.walk("/"):
            for name in names:
                path = f"{folder.rstrip('/')}/{name}"
                with fs.open(path, "rb") as file:
                    found[path] = file.read()
        return found

    def folders(self) -> set[str]:
        """Which folders are on the flash, by absolute path."""
        return {folder for folder, _, _ in self._mounted().walk("/")}

    def put(self, files: dict[str, bytes]) -> None:
        """Put files on the flash, by absolute path."""
        fs = self._mounted()
        for path, data in files.items():
            fs.makedirs(path.rsplit("/", 1)[0] or "/", exist_ok=True)
            with fs.open(path, "wb") as file:
                file.write(data)
        with open(self.path, "r+b") as image:
            image.write(fs.context.buffer)

    def remove(self, *paths: str) -> None:
        """Remove files from the flash."""
        fs = self._mounted()
        for path in paths:
            fs.remove(path)
        with open(self.path, "r+b") as image:
            image.write(fs.context.buffer)

    def _mounted(self) -> LittleFS:
        fs = LittleFS(block_size=BLOCK, block_count=self._blocks, mount=False)
        data = self.path.read_bytes()[: self._blocks * BLOCK]
        fs.context.buffer[:] = data
        # The first block alone is blank for a moment whenever it is written anew.
        if data[: 2 * BLOCK] == b"\xff" * (2 * BLOCK):
            fs.format()
        fs.mount()
        return fs
