"""`limpet image`: every byte of what it makes, who may read it, and that MicroPython mounts it."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path

import pytest
from limpet.boards import file_system, image, micropython_download
from limpet.boards.board_facts import BLOCK, BoardFacts, facts
from limpet.boards.micropython_image import opened
from limpet.boards.node_files import flash_files
from limpet.brokers.setup import open_setup
from limpet.shared.problem import Problem
from support.brokers.running import fields
from support.flashing import micropython_images as images
from support.fleets import fleet
from support.micropython.upy import run
from support.tool import LIMPET

MB = 0x100000
# One board of each chip, each with another size of flash.
BOARDS = [("esp32_devkit", 4), ("esp32s3_devkitc", 8), ("esp32c3_devkitm", 16)]
MOUNT = """
import os, sys, vfs
class Disk:
    def __init__(self, blocks):
        self.file, self.blocks = open("vfs.bin", "r+b"), blocks
    def readblocks(self, block, buffer, offset=0):
        self.file.seek(block * 4096 + offset)
        self.file.readinto(buffer)
    def writeblocks(self, block, buffer, offset=0):
        self.file.seek(block * 4096 + offset)
        self.file.write(buffer)
    def ioctl(self, what, block):
        if what == 6:
            self.file.seek(block * 4096)
            self.file.write(b"\\xff" * 4096)
        return {4: self.blocks, 5: 4096}.get(what, 0)
"""
LIST = """
vfs.mount(vfs.VfsLfs2(Disk(%d)), "/flash")
def show(folder):
    for name, kind, *_ in sorted(os.ilistdir(folder)):
        path = folder + "/" + name
        if kind == 0x4000:
            show(path)
        else:
            with open(path, "rb") as file:
                print(path[6:], file.read().hex())
show("/flash")
with open("/flash/a/new", "w") as file:
    file.write("x" * 9000)
os.remove("/flash/a/modules")
"""
REFUSED = """
try:
    vfs.VfsLfs2(Disk(%d))
except OSError as error:
    print(error.errno)
"""


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a device."""
    setup = open_setup(tmp_path_factory.mktemp("setup") / "dev")
    setup.device(fields("node-1") | {"wifi_ssid": "beach"})
    return setup.layout.device("node-1")


def fitting(board: BoardFacts, folder: Path) -> Path:
    """Make the file of a MicroPython for `board`."""
    path = folder / "downloaded.bin"
    path.write_bytes(images.image(board))
    return path


def built(board: BoardFacts, device: Path | None, folder: Path) -> image.Image:
    """Make an image with MicroPython below `folder`."""
    return image.build(board, device, opened(fitting(board, folder), board), folder / "image")


@pytest.mark.parametrize(("name", "flash_mb"), BOARDS)
def test_every_byte_has_its_place(tmp_path: Path, device: Path, name: str, flash_mb: int) -> None:
    """flash.bin is the chip's whole flash: MicroPython at the chip's offset, the file system where
    that looks for it, up to the last byte, and erased flash between. The listings say the same.
    """
    board = facts(name, flash_mb)
    made = built(board, device, tmp_path)
    whole = (made.folder / "flash.bin").read_bytes()
    firmware = (made.folder / "micropython.bin").read_bytes()
    files = (made.folder / "vfs.bin").read_bytes()
    start = {"esp32": 0x1000, "esp32s3": 0, "esp32c3": 0}[board.chip]
    assert firmware == (tmp_path / "downloaded.bin").read_bytes()
    assert len(files) == {4: 512, 8: 1536, 16: 3584}[flash_mb] * 4096
    assert len(whole) == flash_mb * MB
    assert whole[:start] == b"\xff" * start
    assert whole[start : start + len(firmware)] == firmware
    assert whole[start + len(firmware) : 2 * MB].strip(b"\xff") == b""
    assert whole[2 * MB :] == files
    listing = json.loads((made.folder / "flasher_args.json").read_text())
    assert listing == {
        "flash_settings": {
            "flash_size": f"{flash_mb}MB",
            "flash_mode": "dio",
            "flash_freq": "80m",
        },
        "flash_files": {hex(start): "micropython.bin", "0x200000": "vfs.bin"},
        "extra_esptool_args": {"chip": board.chip},
    }
    [build] = json.loads((made.folder / "manifest.json").read_text())["builds"]
    assert build["chipFamily"] in ("ESP32", "ESP32-S3", "ESP32-C3")
    assert build["chipFamily"].replace("-", "").lower() == board.chip
    assert {part["offset"]: part["path"] for part in build["parts"]} == {
        int(offset, 16): path for offset, path in listing["flash_files"].items()
    }


@pytest.mark.parametrize("flash_mb", [4, 8, 16])
def test_micropython_mounts_it(tmp_path: Path, device: Path, flash_mb: int) -> None:
    """MicroPython finds every file with its content and goes on writing, and it finds no file
    system at all when the flash is of another size.
    """
    board = facts("esp32s3_devkitc", flash_mb)
    image.build(board, device, None, tmp_path)
    other = 512 if flash_mb != 4 else 1536
    assert run(MOUNT + REFUSED % other, cwd=tmp_path).strip() == "22"
    listed = run(MOUNT + LIST % board.files_blocks, cwd=tmp_path).splitlines()
    found = dict(line.split(" ") for line in listed)
    assert found == {path: data.hex() for path, data in flash_files(board, device).items()}
    after = run(MOUNT + LIST.replace("a/modules", "a/quick.mpy") % board.files_blocks, cwd=tmp_path)
    assert f"/a/new {b'x'.hex() * 9000}\n" in after
    assert "/a/modules" not in after


def test_the_same_each_time(tmp_path: Path, device: Path) -> None:
    """The same input gives the same bytes."""
    board = facts("esp32_devkit")
    for name in ("one", "two"):
        image.build(board, device, None, tmp_path / name)
    one, two = ((tmp_path / name / "vfs.bin").read_bytes() for name in ("one", "two"))
    assert one == two


def test_only_the_owner_reads_it(tmp_path: Path, device: Path) -> None:
    """No file can be read by others, in a folder that they cannot enter, and git ignores it."""
    before = os.umask(0)
    try:
        made = built(facts("esp32_devkit"), device, tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(made.folder.stat().st_mode) == 0o700
    listed = list(made.folder.iterdir())
    assert len(listed) == 6
    assert {stat.S_IMODE(path.stat().st_mode) for path in listed} == {0o600}
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    line = ["git", "-C", str(tmp_path), "status", "--porcelain", "-uall", str(made.folder)]
    assert subprocess.check_output(line, text=True) == ""


def test_nothing_of_an_older_image_stays(tmp_path: Path, device: Path) -> None:
    """An image without MicroPython or without a device holds nothing of one that had them."""
    board = facts("esp32_devkit")
    key = (device / "key.der").read_bytes()
    made = built(board, device, tmp_path)
    assert key in (made.folder / "flash.bin").read_bytes()
    image.build(board, None, None, made.folder)
    listed = {path.name for path in made.folder.iterdir()}
    assert listed == {".gitignore", "vfs.bin", "flasher_args.json"}
    assert key not in (made.folder / "vfs.bin").read_bytes()
    listing = json.loads((made.folder / "flasher_args.json").read_text())
    assert listing["flash_files"] == {"0x200000": "vfs.bin"}


def test_interrupted_image_is_none(
    tmp_path: Path, device: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image that was not finished has no listing, not even that of the one before."""
    board = facts("esp32_devkit")
    made = built(board, device, tmp_path)
    write = image.private.write

    def interrupted(path: Path, data: bytes) -> None:
        if path.name == "micropython.bin":
            raise KeyboardInterrupt
        write(path, data)

    monkeypatch.setattr(image.private, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        built(board, device, tmp_path)
    assert not (made.folder / "flasher_args.json").exists()


def test_full_file_system_is_said() -> None:
    """Files that do not fit are a Problem, and those that just do are not."""
    file_system.image({"/a/x": bytes(40 * BLOCK)}, 64)
    with pytest.raises(Problem, match=r"1 file, 262144 bytes: no room in 64 blocks"):
        file_system.image({"/a/x": bytes(64 * BLOCK)}, 64)


def limpet(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `limpet image`."""
    line = [LIMPET, "image", *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=120)


def test_command(tmp_path: Path, device: Path) -> None:
    """The command says what goes where, how large each part is, and what heap the node takes."""
    firmware = fitting(facts("esp32s3_devkitc"), tmp_path)
    options: list[str | Path] = ["--firmware", firmware, "--flash", "16", "--out", tmp_path]
    done = limpet("esp32s3_devkitc", "--device", device, *options)
    assert done.returncode == 0, done.stderr
    for words in (
        f"esp32s3_devkitc: esp32s3, 16 MB of flash, in {tmp_path}/esp32s3_devkitc",
        "0x0      83.6 KB  micropython.bin: MicroPython 1.29.0",
        "0x200000  14,336.0 KB  vfs.bin: ",
        " KB  code, ",
        " KB  node-1: identity and settings, 3 for TLS",
        "On a chip its broker, 127.0.0.1, is the chip itself: limpet provision node-1 --broker",
        " KB  once it has started",
    ):
        assert words in done.stdout
    assert "There is no MicroPython" not in done.stderr


def test_command_without_micropython(
    tmp_path: Path,
    device: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Where none can be had the file system is made, and it is said what is missing, what to do; so
    it is where there is no 32-bit interpreter to measure the heap with.
    """

    def no_interpreter() -> None:
        raise Problem("There is none.", "Do without.")

    monkeypatch.setattr(image.heap, "joined", no_interpreter)
    monkeypatch.setattr(micropython_download, "SITE", "nowhere:/")
    monkeypatch.setattr(micropython_download, "CACHE", tmp_path / "build")
    assert image.image("esp32_devkit", device=str(device), out=tmp_path) == 3
    printed, wrong = capsys.readouterr()
    assert (
        "no MicroPython in it, and no flash.bin. ESP32_GENERIC-20260824-v1.29.0.bin could not"
        in wrong
    )
    assert "--firmware ESP32_GENERIC-20260824-v1.29.0.bin" in wrong
    assert "heap: not measured. There is none.\n" in printed
    assert (tmp_path / "esp32_devkit" / "vfs.bin").stat().st_size == 2 * MB


def test_command_refuses(tmp_path: Path, device: Path) -> None:
    """What is wrong is said in two sentences, and nothing is made."""
    firmware = fitting(facts("esp32_devkit"), tmp_path)
    setup = open_setup(fleet(tmp_path / "dev"))
    setup.device(fields("node-2"))
    laptop = setup.layout.device("node-2")
    own = ("--fleet", tmp_path / "dev")
    cases: list[tuple[list[str | Path], str]] = [
        (["esp32_devkit", "--device", "node-404", *own], "There is no device node-404."),
        (["esp32_devkit", "--device", tmp_path / "no"], "no/identity.json cannot be read"),
        (["esp32_devkit", "--device", laptop], "names no Wi-Fi: wifi_ssid must be given"),
        (["esp99", "--device", device], "There is no board esp99."),
        (["esp32_devkit", "--flash", "5"], "no image for a flash of 5 MB"),
        (["esp32c3_devkitm", "--firmware", firmware], "it is for the ESP32, and the board has"),
    ]
    for arguments, said in cases:
        done = limpet(*arguments, "--out", tmp_path / "out")
        assert done.returncode == 1
        assert said in done.stderr
        assert "Traceback" not in done.stderr
        assert not (tmp_path / "out").exists()
