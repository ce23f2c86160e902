"""The flash of a chip: erased by the block, written by the page, and cut off whenever a test likes.

It is stricter than a chip's: what that would garble is written down in `wrong`.
"""

from __future__ import annotations

from collections.abc import Callable

BLOCK = 4096
PAGE = 256


class Unplugged(Exception):
    """The cable was pulled."""


class ChipFlash:
    """`flash` is its content, blank at first; `journal` what was done to it, as (address, bytes): a
    block that was erased, or what was written to a page.

    `unplug_at` pulls the cable when that many of them are done. `on_write` is called before each.
    `spoil` is the address of a byte that cannot be written.
    """

    def __init__(self, size: int) -> None:
        self.flash = bytearray(b"\xff" * size)
        self.journal: list[tuple[int, bytes]] = []
        self.wrong: list[str] = []
        self.unplug_at: int | None = None
        self.spoil: int | None = None
        self.on_write: Callable[[], object] = lambda: None

    def expect(self, fine: bool, what: str) -> None:
        """Write down `what` unless it is `fine`."""
        if not fine:
            self.wrong.append(what)

    def erase(self, address: int) -> None:
        """Erase the block at `address`."""
        self._did(address, b"\xff" * BLOCK)
        self.flash[address : address + BLOCK] = b"\xff" * BLOCK

    def program(self, address: int, data: bytes) -> None:
        """Write `data`, which is all in one page."""
        old = self.flash[address : address + len(data)]
        fine = all(new == was & new for was, new in zip(old, data, strict=True))
        self.expect(fine, f"writes at {address:#x} to what is not erased")
        self.expect(
            address // PAGE == (address + len(data) - 1) // PAGE, "writes over a page's end"
        )
        self._did(address, data)
        self.flash[address : address + len(data)] = data
        if self.spoil is not None and address <= self.spoil < address + len(data):
            self.flash[self.spoil] ^= 1

    def _did(self, address: int, data: bytes) -> None:
        if self.unplug_at is not None and len(self.journal) >= self.unplug_at:
            raise Unplugged
        self.on_write()
        self.journal.append((address, data))
