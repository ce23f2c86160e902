"""Image folders as `limpet image` leaves them, made in no time.

The MicroPython in them is bootloader, partition table and app in the right format and places, with
nothing that could run.
"""

from __future__ import annotations

import json
import struct
from functools import cache, reduce
from hashlib import md5, sha256
from operator import xor
from pathlib import Path

from esptool.targets import CHIP_DEFS
from limpet.boards.board_facts import BLOCK, BoardFacts
from limpet.boards.file_system import image
from littlefs import LittleFS, UserContext

TABLE, NVS, APP = 0x8000, 0x9000, 0x10000
FILES = {
    "/boot.py": b"import slots\n",
    "/main.py": b"import guard\n",
    "/slot": b"a\n",
    "/a/app.mpy": bytes(range(256)) * 40,
    "/a/node/link.mpy": b"link" * 3000,
    "/config.json": json.dumps({"device_id": "node-1", "broker": "192.0.2.1"}).encode(),
    "/key-01234567.der": sha256(b"key").digest() * 38,
}


def folder(
    path: Path, board: BoardFacts, files: dict[str, bytes] = FILES, micropython: bool = True
) -> Path:
    """Make an image folder for `board` in `path`, and return it."""
    path.mkdir(parents=True, exist_ok=True)
    parts = {board.files_offset: "vfs.bin"}
    (path / "vfs.bin").write_bytes(file_system(tuple(files.items()), board.files_blocks))
    if micropython:
        parts[board.image_offset] = "micropython.bin"
        (path / "micropython.bin").write_bytes(micropython_bin(board))
    said = {
        "flash_settings": {"flash_size": f"{board.flash_mb}MB"},
        "flash_files": {hex(offset): name for offset, name in parts.items()},
        "extra_esptool_args": {"chip": board.chip},
    }
    (path / "flasher_args.json").write_text(json.dumps(said))
    return path


@cache
def file_system(files: tuple[tuple[str, bytes], ...], blocks: int) -> bytes:
    """A littlefs image of `files`."""
    made, _ = image(dict(files), blocks)
    return made


@cache
def micropython_bin(board: BoardFacts) -> bytes:
    """What MicroPython's download page has for `board`, as far as a flasher looks at it."""
    end = board.files_offset
    table = _partition("nvs", 1, 2, NVS, 0x6000) + _partition("phy_init", 1, 1, 0xF000, 0x1000)
    if board.ota:
        half = (end - APP) // 2
        table += _partition("ota_0", 0, 0x10, APP, half)
        table += _partition("ota_1", 0, 0x11, APP + half, half)
    else:
        table += _partition("factory", 0, 0, APP, end - APP)
    table += b"\xeb\xeb" + b"\xff" * 14 + md5(table, usedforsecurity=False).digest()
    start = board.image_offset
    boot = _esp_image(board, b"bootloader" * 900).ljust(TABLE - start, b"\xff")
    banner = b"MicroPython v1.29.0 on 2026-11-01; "
    app = _esp_image(board, banner + b"".join(sha256(bytes([i])).digest() for i in range(200)) * 3)
    return boot + table.ljust(APP - TABLE, b"\xff") + app


def _partition(name: str, kind: int, subtype: int, offset: int, size: int) -> bytes:
    return struct.pack("<2sBBII16sI", b"\xaa\x50", kind, subtype, offset, size, name.encode(), 0)


def _esp_image(board: BoardFacts, data: bytes) -> bytes:
    """An image of one segment, with checksum and SHA-256. The header's fields: ESP-IDF's manual."""
    rom = CHIP_DEFS[board.chip]
    data = data.ljust(-len(data) % 4 + len(data), b"\0")
    size = rom.FLASH_SIZES[f"{board.flash_mb}MB"]
    header = struct.pack("<BBBBI", 0xE9, 1, 2, size, 0x40080000)
    header += struct.pack("<B3xHBHH4xB", 0xEE, rom.IMAGE_CHIP_ID, 0, 0, 0xFFFF, 1)
    made = header + struct.pack("<II", 0x3FFB0000, len(data)) + data
    made = made.ljust((len(made) // 16 + 1) * 16 - 1, b"\0") + bytes([reduce(xor, data, 0xEF)])
    return made + sha256(made).digest()


def files_in(data: bytes) -> dict[str, bytes]:
    """All files of a littlefs image by absolute path; raises LittleFSError if it does not mount."""
    system = LittleFS(
        UserContext(buffer=bytearray(data)),
        mount=False,
        block_size=BLOCK,
        block_count=len(data) // BLOCK,
        cache_size=BLOCK,
    )
    system.mount()
    found = {}
    for top, _, names in system.walk("/"):
        for name in names:
            full = f"{top.rstrip('/')}/{name}"
            with system.open(full, "rb") as file:
                found[full] = file.read()
    return found
