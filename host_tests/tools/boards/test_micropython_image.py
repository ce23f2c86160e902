"""MicroPython's image before it is flashed: what does not fit the Board is found and named."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from limpet.boards.board_facts import BoardFacts, facts, names
from limpet.boards.micropython_image import opened
from limpet.shared.problem import Problem
from support.flashing import micropython_images as images

Spoil = Callable[[bytes], bytes]
MB = 0x100000


def board(chip: str = "esp32", flash_mb: int = 4, ota: bool = False) -> BoardFacts:
    """The facts of a Board that need not be there."""
    return BoardFacts("some_board", chip, flash_mb, ota, Path(), 26, ())


def write(folder: Path, data: bytes) -> Path:
    """Make a file of an image."""
    path = folder / "micropython.bin"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("flash_mb", [4, 8, 16])
@pytest.mark.parametrize("name", names())
def test_fitting(tmp_path: Path, name: str, flash_mb: int) -> None:
    """An image for the chip is taken for every size of flash, though its header says 4 MB: since
    1.26 MicroPython asks the chip. Up to 1.25 it has to be the one for that size.
    """
    wanted = facts(name, flash_mb)
    found = opened(write(tmp_path, images.image(wanted)), wanted)
    assert (found.version, found.flash_mode, found.flash_freq) == ("1.29.0", "dio", "80m")
    assert [each.name for each in found.partitions] == ["nvs", "phy_init", "factory"]
    older = images.image(
        wanted,
        header_mb=flash_mb,
        partitions=images.with_vfs((flash_mb - 2) * MB),
        version=b"1.25.0",
    )
    assert opened(write(tmp_path, older), wanted).version == "1.25.0"


@pytest.mark.parametrize(("flash_mb", "table"), [(4, images.OTA_4MB), (8, images.OTA_8MB)])
def test_ota(tmp_path: Path, flash_mb: int, table: images.Table) -> None:
    """An image with two places for the app is for a Board that says so, and no other."""
    path = write(tmp_path, images.image(board(), partitions=table))
    opened(path, board(flash_mb=flash_mb, ota=True))
    with pytest.raises(Problem, match="it is an OTA image, with the file system at 0x"):
        opened(path, board(flash_mb=flash_mb))
    plain = write(tmp_path, images.image(board()))
    with pytest.raises(Problem, match=r"it is an image without OTA, .* at 0x200000"):
        opened(plain, board(flash_mb=flash_mb, ota=True))


def at(offset: int, new: bytes) -> Spoil:
    """Replace bytes of the image."""
    return lambda data: data[:offset] + new + data[offset + len(new) :]


GOOD = images.image(board())
TABLE = 0x7000  # where the partition table is in an image for 0x1000
APP = 0xF000
CASES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "it is empty"),
    "a web page": (b"<!DOCTYPE html>", "it begins with 0x3c, not 0xe9"),
    "a whole flash": (b"\xff" * 0x1000 + GOOD, "it begins with 0xff, not 0xe9"),
    "header alone": (GOOD[:20], "it is truncated or damaged"),
    "half a bootloader": (GOOD[:2000], "it is truncated or damaged"),
    "bit in the bootloader": (at(1000, b"?")(GOOD), "it is truncated or damaged"),
    "bootloader alone": (GOOD[:5000], "no partition table at 0x8000"),
    "an app alone": (GOOD[APP:], "no partition table at 0x8000"),
    "half a table": (GOOD[: TABLE + 50], "its partition table is truncated"),
    "bit in the table": (at(TABLE + 12, b"?")(GOOD), "its partition table is damaged"),
    "table alone": (GOOD[:APP], "its app is empty"),
    "half an app": (GOOD[:-8000], "its app is truncated or damaged"),
    "without its last byte": (GOOD[:-1], "its app is truncated or damaged"),
    "bit in the app": (at(APP + 9000, b"?")(GOOD), "its app is truncated or damaged"),
    "no app": (at(APP, b"\xff" * 20_000)(GOOD), "its app is no image for an ESP32"),
    "app of another chip": (
        GOOD[:APP] + images.esp_image("esp32c3", 4, b"", 20_000),
        "its app is for the ESP32-C3",
    ),
    "no app partition": (
        at(TABLE, images.table(images.PLAIN[:2]))(GOOD),
        "its partition table has no app",
    ),
    "app too large": (
        images.image(board(), partitions=(("factory", 0, 0, 0x10000, 0x4000), images.PLAIN[0])),
        "its app does not fit into the 0x4000 bytes",
    ),
    "another chip": (images.image(board("esp32s3")), "it is for the ESP32-S3, .* an ESP32\\.$"),
    "chip of the future": (at(12, b"\x77")(GOOD), r"for the unknown chip \(id 119\)"),
    "larger flash": (images.image(board(), header_mb=8), "a flash of 8MB, and the board has 4MB"),
    "file system of another": (
        images.image(board(), partitions=images.with_vfs(6 * MB), version=b"1.25.0"),
        "its file system has 0x600000 bytes, and the board with 4MB 0x200000",
    ),
    "FAT": (
        images.image(board(), partitions=(*images.PLAIN, ("ffat", 1, 0x81, 0x200000, 2 * MB))),
        "its file system is FAT",
    ),
    "too old": (
        images.image(board(), partitions=images.with_vfs(2 * MB), version=b"1.22.2"),
        "it is MicroPython 1.22.2, older than 1.23",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_fault_is_named(tmp_path: Path, case: str) -> None:
    """What is no image, or not one for this Board, is a Problem that says which."""
    data, said = CASES[case]
    path = write(tmp_path, data)
    with pytest.raises(Problem) as caught:
        opened(path, board())
    assert re.search(said, caught.value.cause), caught.value.cause
    assert str(path) in caught.value.cause


def test_every_truncation_is_found(tmp_path: Path) -> None:
    """Wherever a download ends early, the image is refused."""
    for size in (*range(0, 200, 7), *range(200, len(GOOD), 1789), len(GOOD) - 1):
        with pytest.raises(Problem):
            opened(write(tmp_path, GOOD[:size]), board())


def test_no_file(tmp_path: Path) -> None:
    """A file that is not there is named."""
    with pytest.raises(Problem, match=r"nowhere\.bin cannot be read: No such file"):
        opened(tmp_path / "nowhere.bin", board())


def test_version_is_not_needed(tmp_path: Path) -> None:
    """A build of somebody's own may say nothing about itself."""
    blank = images.image(board(), version=b"?")
    assert opened(write(tmp_path, blank), board()).version == ""
