"""Makes images that are built like MicroPython's own for an ESP32, by esptool's own writer.

It stands for the files of MicroPython's download page, which no test may fetch. There is no program
in them: bootloader and app are random bytes of a fixed seed, between headers, checksums and digests
that esptool makes.
"""

from __future__ import annotations

import random
import struct
from hashlib import md5

from esptool.bin_image import (
    ELFSection,
    ESP32C3FirmwareImage,
    ESP32FirmwareImage,
    ESP32S3FirmwareImage,
)
from esptool.targets import CHIP_DEFS
from limpet.boards.board_facts import BoardFacts

FORMATS = {
    "esp32": ESP32FirmwareImage,
    "esp32s3": ESP32S3FirmwareImage,
    "esp32c3": ESP32C3FirmwareImage,
}
Table = tuple[tuple[str, int, int, int, int], ...]
# The partition tables of MicroPython 1.26 and later, as partitions-4MiBplus.csv and its -ota
# sisters have them: name, type, subtype, offset, size.
PLAIN = (
    ("nvs", 1, 2, 0x9000, 0x6000),
    ("phy_init", 1, 1, 0xF000, 0x1000),
    ("factory", 0, 0, 0x10000, 0x1F0000),
)
OTA_4MB = (
    ("nvs", 1, 2, 0x9000, 0x4000),
    ("otadata", 1, 0, 0xD000, 0x2000),
    ("phy_init", 1, 1, 0xF000, 0x1000),
    ("ota_0", 0, 0x10, 0x10000, 0x180000),
    ("ota_1", 0, 0x11, 0x190000, 0x180000),
)
OTA_8MB = (
    *OTA_4MB[:3],
    ("ota_0", 0, 0x10, 0x10000, 0x270000),
    ("ota_1", 0, 0x11, 0x280000, 0x270000),
)
BANNER = b"MicroPython v%s on 2026-08-29; a synthetic module with nothing in it\0"


def with_vfs(size: int) -> Table:
    """The partition table of 1.25 and earlier: with a file system of `size` bytes."""
    return (*PLAIN, ("vfs", 1, 0x81, 0x200000, size))


def image(
    board: BoardFacts,
    *,
    header_mb: int = 4,
    partitions: Table = PLAIN,
    version: bytes = b"1.29.0",
    app_size: int = 20_000,
) -> bytes:
    """Return an image for a Board's chip, whose header says a flash of `header_mb`."""
    first_app = next(offset for _, kind, _, offset, _ in partitions if kind == 0)
    whole = bytearray()
    for offset, part in (
        (board.image_offset, esp_image(board.chip, header_mb, b"", 3_000)),
        (0x8000, table(partitions)),
        (first_app, esp_image(board.chip, header_mb, BANNER % version, app_size)),
    ):
        whole += b"\xff" * (offset - board.image_offset - len(whole))
        whole += part
    return bytes(whole)


def table(partitions: Table) -> bytes:
    """Return a partition table, as long as its place."""
    made = b"".join(
        struct.pack("<2sBBII16sI", b"\xaa\x50", kind, subtype, offset, size, name.encode(), 0)
        for name, kind, subtype, offset, size in partitions
    )
    made += b"\xeb\xeb" + b"\xff" * 14 + md5(made, usedforsecurity=False).digest()
    return made.ljust(0xC00, b"\xff")


def esp_image(chip: str, header_mb: int, begin: bytes, size: int) -> bytes:
    """Return one image of `chip`, bootloader or app: one segment of `size` bytes for its RAM."""
    made = FORMATS[chip]()
    rom = CHIP_DEFS[chip]
    made.flash_mode = 2
    made.flash_size_freq = rom.FLASH_SIZES[f"{header_mb}MB"] + rom.FLASH_FREQUENCY["80m"]
    content = begin + random.Random(size).randbytes(size - len(begin))
    made.segments = [ELFSection(b".data", 0x3FFF0000, content, 0)]
    saved: bytes = made.save(None)
    return saved
