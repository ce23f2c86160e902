"""A MicroPython image for an ESP32, as it is distributed: bootloader, partition table and app in
one .bin. It is taken apart, and compared with the Board it is for, before anybody flashes it.

Nothing in it is changed. The chip itself is looked at by whoever flashes.
"""

import re
import struct
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from typing import Any, NamedTuple

from esptool.bin_image import LoadFirmwareImage
from esptool.cmds import FLASH_MODES
from esptool.targets import CHIP_DEFS, ROM_LIST
from esptool.util import FatalError

from limpet.boards.board_facts import BLOCK, BoardFacts
from limpet.shared.problem import Problem

OLDEST = (1, 23)
_TABLE = 0x8000  # of the flash; the same on all three chips
_TABLE_SIZE = 0xC00
_APP, _OTA_0 = 0, 0x10
_MAGIC = 0xE9
_ANOTHER = "Take the .bin of the MicroPython download page for this chip and flash size."


class Partition(NamedTuple):
    """A line of the partition table: `offset` and `size` in bytes of the flash."""

    name: str
    type: int
    subtype: int
    offset: int
    size: int

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.offset + self.size


@dataclass(frozen=True)
class MicroPythonImage:
    """An image that fits its Board.

    `version` is "" when the image does not say it. `flash_mode` and `flash_freq` are what its
    header says, as esptool writes them.
    """

    data: bytes
    version: str
    flash_mode: str
    flash_freq: str
    partitions: tuple[Partition, ...]


def opened(path: Path, facts: BoardFacts) -> MicroPythonImage:
    """Return the image in the file `path`, which is for the Board of `facts`.

    Raises Problem, each with words of its own, for: no image; one for another chip; a truncated or
    damaged one; an app alone; one for another size of flash, or whose file system would begin
    elsewhere; a MicroPython that is too old.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Problem(f"{path} cannot be read: {error.strerror}.", "Name the .bin.") from None
    try:
        return _checked(data, facts)
    except ValueError as fault:
        raise Problem(f"{path}: {fault}.", _ANOTHER) from None


def _checked(data: bytes, facts: BoardFacts) -> MicroPythonImage:
    """The image in `data`. Raises ValueError that says what is wrong with it."""
    rom = CHIP_DEFS[facts.chip]
    header = _esp_image(data, "it", rom)
    table = _TABLE - facts.image_offset
    partitions = _partitions(data[table : table + _TABLE_SIZE])
    _app(data, partitions, facts, rom)
    _flash_size(header, partitions, facts, rom)
    return MicroPythonImage(
        data,
        _version(data),
        _word(FLASH_MODES, header.flash_mode),
        _word(rom.FLASH_FREQUENCY, header.flash_size_freq & 0x0F),
        partitions,
    )


def _esp_image(data: bytes, name: str, rom: Any) -> Any:
    """What esptool makes of the image at the start of `data`: the bootloader, or the app."""
    if not data:
        raise ValueError(f"{name} is empty")
    if data[0] != _MAGIC:
        raise ValueError(
            f"{name} is no image for an ESP32: it begins with {data[0]:#04x}, not {_MAGIC:#04x}"
        )
    try:
        image = LoadFirmwareImage(rom.CHIP_NAME, data)
    except (FatalError, RuntimeError, struct.error, TypeError, IndexError):
        raise ValueError(f"{name} is truncated or damaged") from None
    if image.chip_id != rom.IMAGE_CHIP_ID:
        known = [each.CHIP_NAME for each in ROM_LIST if image.chip_id == each.IMAGE_CHIP_ID]
        other = known[0] if known else f"unknown chip (id {image.chip_id})"
        raise ValueError(f"{name} is for the {other}, and the board has an {rom.CHIP_NAME}")
    good = image.checksum == image.calculate_checksum()
    if not good or (image.append_digest and image.stored_digest != image.calc_digest):
        raise ValueError(f"{name} is truncated or damaged")
    return image


def _partitions(table: bytes) -> tuple[Partition, ...]:
    if 0 < len(table) < _TABLE_SIZE:
        raise ValueError("its partition table is truncated")
    found = []
    for start in range(0, len(table), 32):
        entry = table[start : start + 32]
        if entry[:2] == b"\xeb\xeb":
            if entry[16:] != md5(table[:start], usedforsecurity=False).digest():
                raise ValueError("its partition table is damaged")
            break
        if entry[:2] != b"\xaa\x50":
            break
        _, kind, subtype, offset, size, name, _ = struct.unpack("<2sBBII16sI", entry)
        label = name.rstrip(b"\0").decode("ascii", "replace")
        found.append(Partition(label, kind, subtype, offset, size))
    if not found:
        raise ValueError(f"it has no partition table at {_TABLE:#x}: it is truncated, or an app")
    return tuple(found)


def _app(data: bytes, partitions: tuple[Partition, ...], facts: BoardFacts, rom: Any) -> None:
    """Look at the app, which is in the first partition for one, and is the last in the file."""
    apps = [each for each in partitions if each.type == _APP]
    if not apps:
        raise ValueError("its partition table has no app")
    start = apps[0].offset - facts.image_offset
    _esp_image(data[start:], "its app", rom)
    if len(data) - start > apps[0].size:
        raise ValueError(f"its app does not fit into the {apps[0].size:#x} bytes of its partition")


def _flash_size(
    header: Any, partitions: tuple[Partition, ...], facts: BoardFacts, rom: Any
) -> None:
    """Compare where the file system will be with where the Board's is.

    Up to 1.25 the table says it. Later images have MicroPython put it behind the last partition,
    up to the end of the chip, whatever size the header says; but a header that says more than there
    is does not boot.
    """
    said = _word(rom.FLASH_SIZES, header.flash_size_freq & 0xF0)
    if not said.endswith("MB") or int(said[:-2]) > facts.flash_mb:
        raise ValueError(f"it is for a flash of {said}, and the board has {facts.flash_mb}MB")
    if any(each.name == "ffat" for each in partitions):
        raise ValueError("its file system is FAT, not littlefs")
    vfs = [each for each in partitions if each.name == "vfs"]
    start = vfs[0].offset if vfs else max(each.end for each in partitions)
    if start != facts.files_offset:
        ota = any((each.type, each.subtype) == (_APP, _OTA_0) for each in partitions)
        kind = "an OTA image" if ota else "an image without OTA"
        raise ValueError(
            f"it is {kind}, with the file system at {start:#x}, "
            f"and the board has it at {facts.files_offset:#x}"
        )
    if vfs and vfs[0].size != facts.files_blocks * BLOCK:
        raise ValueError(
            f"it is for another size of flash: its file system has {vfs[0].size:#x} bytes, "
            f"and the board with {facts.flash_mb}MB {facts.files_blocks * BLOCK:#x}"
        )


def _version(data: bytes) -> str:
    """The version in the banner, such as "1.29.0"; "" without one, in a build of somebody's own."""
    said = re.search(rb"MicroPython v((\d+)\.(\d+)[\w.-]*) on ", data)
    if not said:
        return ""
    if (int(said[2]), int(said[3])) < OLDEST:
        raise ValueError(f"it is MicroPython {said[1].decode()}, older than 1.23")
    return said[1].decode()


def _word(names: dict[str, int], value: int) -> str:
    """The name of `value`, or its number when esptool knows none."""
    return next((name for name, known in names.items() if known == value), f"{value:#x}")
