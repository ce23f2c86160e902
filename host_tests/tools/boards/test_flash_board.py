"""`limpet flash`, with esptool's own code, against a stand-in for a chip in download mode."""

from __future__ import annotations

import re
import struct
import threading
from pathlib import Path

import pytest
from esp_pylib.logger import EspLog
from limpet.boards import image
from limpet.boards.board_facts import BLOCK, facts, names
from limpet.boards.flash import flash
from limpet.boards.image_folder import ImageFolder
from limpet.boards.micropython_image import opened
from limpet.shared.problem import Problem
from serial import SerialException
from support.flashing import image_folders
from support.flashing.flashed import DEVKIT, OLD_NODE, files_of, folder, holds, put, refusal, words
from support.flashing.image_folders import FILES, files_in
from support.flashing.rom_loader import RomLoader
from support.flashing.serial_cable import Cable
from support.micropython import upy
from support.tool import Tool

__all__ = ["folder"]


@pytest.mark.parametrize("name", names())
def test_fresh_board(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On each Board's chip MicroPython and the files are where they belong, to the last byte."""
    board = facts(name)
    image_folders.folder(tmp_path, board)
    before = EspLog.instance
    with RomLoader(board.chip, board.flash_mb) as chip:
        flash(name, port=chip.url, image=tmp_path)
        holds(chip, tmp_path, board)
        assert files_of(chip, board) == (tmp_path / "vfs.bin").read_bytes()
    assert EspLog.instance is before, "esptool's logger was left replaced"
    said = capsys.readouterr().out
    assert f"{chip.rom.CHIP_NAME}, {board.flash_mb} MB of flash" in said
    assert re.search(r"^MicroPython 1\.29\.0: \d+ KB written and verified", said, re.MULTILINE)
    assert said.endswith("It starts as node-1.\n")


def test_image_of_limpet_image(tmp_path: Path) -> None:
    """What `limpet image` makes is what `limpet flash` takes."""
    (tmp_path / "given.bin").write_bytes(image_folders.micropython_bin(DEVKIT))
    made = tmp_path / "image"
    image.build(DEVKIT, None, opened(tmp_path / "given.bin", DEVKIT), made)
    with RomLoader() as chip:
        flash("esp32_devkit", port=chip.url, image=made)
        holds(chip, made)


@pytest.mark.parametrize("baud", [115200, 921600])
def test_serial_port(folder: Path, baud: int) -> None:
    """A device is what a URL is; the chip is told of another speed before the port takes it."""
    with RomLoader() as chip, Cable(chip) as cable:
        flash("esp32_devkit", port=cable.port, image=folder, baud=baud)
        assert (chip.baud, cable.baud) == (baud, baud)
        holds(chip, folder)


def test_runs() -> None:
    """Every block that holds anything is written, the first and the last one too."""
    size = DEVKIT.files_blocks
    files = bytearray(b"\xff" * size * BLOCK)
    for block in (0, 1, 2, 3, 7, size - 1):
        files[block * BLOCK + 99] = block & 0x7F
    made = ImageFolder(DEVKIT, None, "", bytes(files), None)
    runs = [(at - DEVKIT.files_offset, len(data)) for at, data in made.runs()]
    assert [(at // BLOCK, size // BLOCK) for at, size in runs] == [(2, 2), (7, 1), (size - 1, 1)]
    for at, data in [*made.runs(), made.superblock(0), made.superblock(1)]:
        start = at - DEVKIT.files_offset
        assert files[start : start + len(data)] == data
        files[start : start + len(data)] = b"\xff" * len(data)
    assert set(files) == {0xFF}


# What a board holds already.


def test_node_keeps_its_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second flash brings another MicroPython, and touches nothing of the node's."""
    with RomLoader() as chip:
        before = put(chip, OLD_NODE)
        flash("esp32_devkit", port=chip.url, image=folder)
        assert files_of(chip) == before
        assert chip.baud == 115200, "the other end of a socket was not told"
        assert max(address for address, _ in chip.journal) < DEVKIT.files_offset
        assert chip.flash[0x1000:0x1004] == (folder / "micropython.bin").read_bytes()[:4]
    said = capsys.readouterr().out
    assert "It is node-1; its files are kept." in said
    assert f"limpet deploy esp32_devkit --port {chip.url}" in said


def test_another_node(folder: Path) -> None:
    """One node is not turned into another, nor left as it is, without a word."""
    with RomLoader() as chip:
        put(chip, OLD_NODE | {"/config.json": b'{"device_id": "node-7"}'})
        problem = refusal(chip, image=folder)
        assert "is node-7, and the image is for node-1" in problem.cause
        assert "--erase" in problem.remedy


def test_node_without_a_name(folder: Path) -> None:
    """A node that was not provisioned, or whose config is damaged, is kept as any other."""
    with RomLoader() as chip:
        for config in ({}, {"/config.json": b"{"}, {"/config.json": b"[]"}):
            files = {"/slot": b"a\n", "/main.py": b""} | config
            before = put(chip, files)
            flash("esp32_devkit", port=chip.url, image=folder)
            assert files_of(chip) == before


def test_erase_takes_all(folder: Path) -> None:
    """With --erase nothing is left of the node before, its key neither."""
    with RomLoader() as chip:
        put(chip, OLD_NODE)
        assert b"OLDKEYOLDKEY" in chip.flash
        flash("esp32_devkit", port=chip.url, image=folder, erase=True)
        holds(chip, folder)
        assert b"OLDKEYOLDKEY" not in chip.flash
        assert files_of(chip) == (folder / "vfs.bin").read_bytes()


def test_files_of_somebody(folder: Path) -> None:
    """Files that are not a node's are somebody's: they go when the user says so."""
    with RomLoader() as chip:
        put(chip, {"/boot.py": b"", "/main.py": b"print(1)", "/lib/x.py": b""})
        problem = refusal(chip, image=folder)
        assert "holds files that are not a node's: boot.py, lib, main.py." in problem.cause
        assert "--erase" in problem.remedy
        flash("esp32_devkit", port=chip.url, image=folder, erase=True)
        holds(chip, folder)


@pytest.mark.parametrize("before", ["MicroPython's own", "a damaged one", "something else"])
def test_nothing_to_keep(folder: Path, before: str) -> None:
    """What MicroPython makes by itself, and what nothing could mount, is written over."""
    with RomLoader() as chip:
        if before == "MicroPython's own":
            put(chip, {"/boot.py": b"# This file is executed on every boot\n"})
        elif before == "a damaged one":
            put(chip, OLD_NODE)
            for block in (0, 1):
                at = DEVKIT.files_offset + block * BLOCK
                chip.flash[at + 40 : at + 60] = bytes(20)
        else:
            chip.flash[DEVKIT.files_offset :] = bytes(range(256)) * 2 * 4096
        flash("esp32_devkit", port=chip.url, image=folder)
        holds(chip, folder)


def test_files_of_another_size(folder: Path) -> None:
    """A file system that the new MicroPython would not mount is not kept in silence."""
    with RomLoader() as chip:
        made = image_folders.file_system(tuple(OLD_NODE.items()), 256)
        chip.flash[DEVKIT.files_offset : DEVKIT.files_offset + len(made)] = made
        problem = refusal(chip, image=folder)
    assert "in 256 blocks of flash" in problem.cause
    assert "look for 512" in problem.cause


def test_files_without_micropython(tmp_path: Path) -> None:
    """An image of files alone goes onto an empty board, and to a node by `make deploy`."""
    image_folders.folder(tmp_path, DEVKIT, micropython=False)
    with RomLoader() as chip:
        flash("esp32_devkit", port=chip.url, image=tmp_path)
        assert files_in(files_of(chip)) == FILES
        chip.journal.clear()
        assert "limpet deploy" in refusal(chip, image=tmp_path).remedy


# What happens while writing.


# As MicroPython's _boot.py and inisetup.py for the ESP32 do it, on a flash in RAM to which the
# records of a journal are applied. It begins anew where the first block is blank; where that is
# not, and nothing mounts, it complains for ever.
BOOT = """
import struct, vfs

with open("flash", "rb") as file:
    flash = bytearray(file.read())


class Partition:
    def readblocks(self, block, buf, offset=0):
        buf[:] = memoryview(flash)[block * 4096 + offset :][: len(buf)]

    def writeblocks(self, *_):
        raise OSError("mounting writes")

    def ioctl(self, what, _):
        return {4: len(flash) // 4096, 5: 4096}.get(what)


def boots():
    try:
        vfs.mount(Partition(), "/")
    except OSError:
        return flash[:4096] == b"\\xff" * 4096
    vfs.umount("/")
    return True


tried = 0
with open("journal", "rb") as journal:
    while head := journal.read(8):
        at, size = struct.unpack("<II", head)
        data = journal.read(size)
        # Its first bytes, half of it, all of it.
        for length in (8, size // 2, size):
            flash[at : at + length] = data[:length]
            tried += 1
            if not boots():
                print("loops after", length, "of", size, "at", hex(at))
vfs.mount(Partition(), "/")
import os
print(tried, sorted(os.listdir("/")))
"""


@pytest.mark.parametrize("erase", [False, True])
def test_pulled_cable_leaves_what_boots(folder: Path, tmp_path: Path, erase: bool) -> None:
    """After each erased block and each page, and amid each, MicroPython itself can go on."""
    with RomLoader() as chip:
        before = put(chip, OLD_NODE if erase else {"/boot.py": b""})
        flash("esp32_devkit", port=chip.url, image=folder, erase=erase)
    (tmp_path / "flash").write_bytes(before)
    start = DEVKIT.files_offset
    records = [(at - start, data) for at, data in chip.journal if at >= start]
    (tmp_path / "journal").write_bytes(
        b"".join(struct.pack("<II", at, len(data)) + data for at, data in records)
    )
    said = upy.run(BOOT, cwd=tmp_path, heap="8m")
    names = sorted({name.split("/")[1] for name in FILES})
    assert said == f"{3 * len(records)} {names}\n"


@pytest.mark.parametrize("part", ["MicroPython", "the files"])
def test_unplugged(folder: Path, part: str) -> None:
    """A cable pulled while writing is said to be that; the same command again puts it right."""
    with RomLoader() as chip:
        put(chip, {"/boot.py": b""})
        chip.unplug_at = 60 if part == "MicroPython" else 400
        with pytest.raises(Problem, match="went away while the chip was writing") as problem:
            flash("esp32_devkit", port=chip.url, image=folder)
        assert "start again" in problem.value.remedy
        assert chip.connections == 1, "nobody waits for a cable to come back"
        assert files_of(chip)[: 2 * BLOCK] == b"\xff" * 2 * BLOCK
        chip.plug_in()
        flash("esp32_devkit", port=chip.url, image=folder)
        holds(chip, folder)


@pytest.mark.parametrize("part", ["MicroPython", "the files"])
def test_flash_that_does_not_hold(folder: Path, part: str) -> None:
    """A byte that reads back otherwise is found, and the superblocks are not written after it."""
    files = (folder / "vfs.bin").read_bytes()
    with RomLoader() as chip:
        chip.spoil = DEVKIT.files_offset + files.index(b"linklink")
        if part == "MicroPython":
            chip.spoil = 0x11000
        with pytest.raises(Problem, match="does not hold what was written") as problem:
            flash("esp32_devkit", port=chip.url, image=folder)
        assert "--baud 115200" in problem.value.remedy
        assert files_of(chip)[: 2 * BLOCK] == b"\xff" * 2 * BLOCK


def test_chip_that_fails(folder: Path) -> None:
    """A chip that answers by an error is quoted."""
    with RomLoader() as chip:
        chip.failing = {"FLASH_DEFL_DATA"}
        with pytest.raises(Problem, match=r"failed while writing its flash .*compressed data"):
            flash("esp32_devkit", port=chip.url, image=folder)


def test_chip_that_cannot_be_read(folder: Path) -> None:
    """Where the files that are there cannot be read, nothing is written over them."""
    with RomLoader() as chip:
        put(chip, OLD_NODE)
        chip.failing = {"READ_FLASH"}
        assert "failed while reading its flash" in refusal(chip, image=folder).cause


def test_pulled_out_of_this_computer(folder: Path) -> None:
    """A device that is gone is an error of the system's, and the same words."""
    with RomLoader() as chip, Cable(chip) as cable:
        chip.on_write = lambda: cable.pull() if len(chip.journal) == 60 else None
        with pytest.raises(Problem, match=f"{cable.port} went away"):
            flash("esp32_devkit", port=cable.port, image=folder)


def test_port_that_another_program_reads(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A monitor that takes no lock steals what the chip says; pyserial only guesses at that."""

    def stolen(*_: object, **__: object) -> None:
        raise SerialException("read returned no data (disconnected or multiple access on port?)")

    monkeypatch.setattr("limpet.boards.chip.cmds.detect_chip", stolen)
    with RomLoader() as chip, Cable(chip) as cable:
        with pytest.raises(Problem, match="Another program reads from"):
            flash("esp32_devkit", port=cable.port, image=folder)
        cable.pull()


# As a user has it.


def test_command_into_a_pipe(folder: Path) -> None:
    """Into a pipe go a few plain lines; esptool says nothing."""
    with RomLoader() as chip, Tool(*words(chip, folder)) as tool:
        assert tool.end() == 0
        assert len(tool.text.splitlines()) == 5
        assert "\x1b" not in tool.text
        assert "Stub" not in tool.text


def test_command_on_a_terminal(folder: Path) -> None:
    """On a terminal there is a bar for each part, with how much is done."""
    with RomLoader() as chip, Tool(*words(chip, folder), terminal=True) as tool:
        assert tool.end() == 0
        assert re.search(r"MicroPython 1\.29\.0 .*━.* 100%", tool.text)
        assert re.search(r"The node's files .*━", tool.text)


def test_problem_is_two_lines(folder: Path) -> None:
    """What is wrong is said in two sentences, by exit code 1, and without a traceback."""
    with RomLoader("esp32c3") as chip, Tool(*words(chip, folder)) as tool:
        assert tool.end() == 1
        assert len(tool.text.splitlines()) == 2
        assert "esp32c3_devkitm" in tool.text


def test_interrupted(folder: Path) -> None:
    """Ctrl-C ends it with a word on what the board is now; the same command puts it right."""
    reached, go_on = threading.Event(), threading.Event()
    with RomLoader() as chip:

        def hold() -> None:
            if len(chip.journal) == 100:
                reached.set()
                assert go_on.wait(30)

        chip.on_write = hold
        with Tool(*words(chip, folder)) as tool:
            assert reached.wait(30)
            tool.interrupt()
            assert tool.end() == 1
            assert "Stopped while writing" in tool.text
            assert "Traceback" not in tool.text
        go_on.set()
        chip.on_write = lambda: None
        # Nobody has reset the chip: the stub that was loaded is found, and used.
        assert chip.stub
        flash("esp32_devkit", port=chip.url, image=folder)
        holds(chip, folder)
