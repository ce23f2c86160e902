"""What `limpet flash` refuses before it erases or writes anything, and in which words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from limpet.boards.board_facts import facts, names
from limpet.boards.flash import flash
from limpet.shared.problem import Problem
from support.flashing import image_folders
from support.flashing.flashed import DEVKIT, folder, refusal
from support.flashing.rom_loader import RomLoader

__all__ = ["folder"]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda it: (it / "flasher_args.json").unlink(), "There is no image for esp32_devkit"),
        (lambda it: (it / "flasher_args.json").write_text("{}"), "cannot be understood"),
        (lambda it: change(it, "flash_files", {}), "has no file system"),
        (lambda it: change(it, "flash_files", {"0x3000": "x"}), "has parts at 0x3000"),
        (lambda it: change(it, "extra_esptool_args", {"chip": "esp32s3"}), "is for the esp32s3"),
        (lambda it: change(it, "flash_settings", {"flash_size": "8MB"}), "for another flash"),
        (lambda it: cut(it / "vfs.bin", 1), "it is truncated, or for another flash"),
        (lambda it: blank(it / "vfs.bin"), "is no file system of 512 blocks"),
        (lambda it: cut(it / "micropython.bin", 1), "truncated"),
        (lambda it: cut(it / "micropython.bin", 0x1000), "truncated"),
        (lambda it: (it / "micropython.bin").unlink(), "cannot be read"),
        (lambda it: another(it, "esp32c3_devkitm"), "for the ESP32-C3"),
    ],
)
def test_bad_image(tmp_path: Path, spoil: Callable[[Path], object], words: str) -> None:
    """An image that is not whole, or not for this board, is named before a port is opened."""
    spoil(image_folders.folder(tmp_path, DEVKIT))
    with pytest.raises(Problem, match=words):
        flash("esp32_devkit", port="/dev/there/is/none", image=tmp_path)


def test_no_such_board(folder: Path) -> None:
    """A mistyped name is said to be one, with the names that there are."""
    with pytest.raises(Problem, match="There is no board esp32_devkid") as problem:
        flash("esp32_devkid", image=folder)
    assert "esp32_devkit" in problem.value.remedy


def change(folder: Path, key: str, value: object) -> None:
    """Say something else in the listing."""
    path = folder / "flasher_args.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))


def cut(path: Path, size: int) -> None:
    """Take the last `size` bytes off a file."""
    path.write_bytes(path.read_bytes()[:-size])


def blank(path: Path) -> None:
    """Make a file as long as it was, with nothing in it."""
    path.write_bytes(b"\xff" * path.stat().st_size)


def another(folder: Path, board: str) -> None:
    """Put another board's MicroPython into the image."""
    (folder / "micropython.bin").write_bytes(image_folders.micropython_bin(facts(board)))


def test_wrong_chip(folder: Path) -> None:
    """A chip that is not the board's is named, with the board to say instead."""
    with RomLoader("esp32s3", 8) as chip:
        problem = refusal(chip, image=folder)
    assert problem.cause == (
        f"The chip on {chip.url} is an ESP32-S3, and esp32_devkit has an esp32."
    )
    assert problem.remedy == "Say esp32s3_devkitc."


def test_chip_of_no_board(folder: Path) -> None:
    """A chip that Limpet has no board for is said to be one."""
    with RomLoader("esp32c6") as chip:
        assert refusal(chip, image=folder).remedy == "Limpet has no such board."


def test_wrong_flash_size(folder: Path) -> None:
    """The file system would not mount on another size of flash: the right image is asked for."""
    with RomLoader(flash_mb=8) as chip:
        problem = refusal(chip, image=folder)
    assert "has 8 MB of flash, and the image is for 4 MB" in problem.cause
    assert problem.remedy == "Make one: limpet image esp32_devkit --flash 8."


def test_flash_that_says_nothing(folder: Path) -> None:
    """A flash whose size cannot be read is not guessed at."""
    with RomLoader() as chip:
        chip.flash_id = 0x77
        assert "does not say how large it is" in refusal(chip, image=folder).cause


@pytest.mark.parametrize(
    ("name", "lock", "word"),
    [
        ("esp32", "secure-boot", "secure boot"),
        ("esp32", "encryption", "flash encryption"),
        ("esp32c3", "secure-boot", "secure boot"),
        ("esp32c3", "encryption", "flash encryption"),
        ("esp32c3", "secure-download", "secure download mode"),
    ],
)
def test_locked_chip(name: str, lock: str, word: str, tmp_path: Path) -> None:
    """A chip that its owner has locked is left alone."""
    board = next(facts(board) for board in names() if facts(board).chip == name)
    image_folders.folder(tmp_path, board)
    with RomLoader(name, 4, lock) as chip:
        with pytest.raises(Problem, match=f"has {word} enabled"):
            flash(board.name, port=chip.url, image=tmp_path)
        assert chip.journal == []


def test_no_answer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chip that runs its program does not answer: the buttons to press are named."""
    monkeypatch.setattr("limpet.boards.chip.CONNECT_ATTEMPTS", 1)
    with RomLoader() as chip:
        chip.deaf = True
        problem = refusal(chip, image=folder)
    assert "answers as an ESP32 in download mode" in problem.cause
    assert problem.remedy.startswith("Hold BOOT")
