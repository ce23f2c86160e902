"""device/flash.py on a real littlefs in RAM, with the power cut at every block operation."""

from __future__ import annotations

import pytest
from upy import run

# 16 blocks of RAM under VfsLfs2, as on the chip. Power goes after `left` operations; the write that
# meets it is torn in the middle. A device without power answers with a plain number, because it is
# also asked by open files that the garbage collector closes, where nothing may be allocated.
FLASH = """
import errno, os, vfs
from device.boots import next_boot
from device.flash import read, replace

class Ram:
    SIZE = 512

    def __init__(self, data):
        self.data = bytearray(data)
        self.left = -1

    def readblocks(self, block, buffer, offset=0):
        if not self.left:
            return -errno.EIO
        start = block * self.SIZE + offset
        buffer[:] = self.data[start : start + len(buffer)]

    def writeblocks(self, block, buffer, offset=None):
        if not self.left:
            return -errno.EIO
        start = block * self.SIZE + (offset or 0)
        self.left -= 1
        if not self.left:
            half = len(buffer) // 2
            self.data[start : start + half] = buffer[:half]
            return -errno.EIO
        self.data[start : start + len(buffer)] = buffer

    def ioctl(self, op, arg):
        if op == 4:
            return len(self.data) // self.SIZE
        if op == 5:
            return self.SIZE
        if op == 6:
            self.left -= self.left > 0
            return 0 if self.left else -errno.EIO

def mount(ram):
    try:
        vfs.umount("/f")
    except OSError:
        pass
    vfs.mount(vfs.VfsLfs2(ram), "/f")
    return ram

def fresh():
    ram = Ram(b"\\xff" * Ram.SIZE * 16)
    vfs.VfsLfs2.mkfs(ram)
    return mount(ram)

def power_back(ram):
    ram.left = 0
    return mount(Ram(ram.data))

"""


def flashed(script: str) -> str:
    """What `script` prints with such a flash at hand."""
    return run(FLASH + script)


@pytest.mark.parametrize("size", [8, 1500])
def test_power_cut_at_any_operation_leaves_old_or_new(size: int) -> None:
    """Whatever block operation the power goes at, the file is whole: the old one or the new one."""
    script = f"""
old, new = b"o" * {size}, b"n" * {size}
seen = []
for cut in range(1, 100):
    ram = fresh()
    replace("/f/file", old)
    ram.left = cut
    try:
        replace("/f/file", new)
        done = True
    except OSError:
        done = False
    power_back(ram)
    found = read("/f/file")
    if found not in (old, new) or done and found != new:
        print("cut", cut, "left", found)
    seen.append(found == new)
    replace("/f/file", b"after")
    if read("/f/file") != b"after" or os.listdir("/f") != ["file"]:
        print("cut", cut, "spoiled the next")
    if done:
        break
print(done, False in seen, seen[-1])
"""
    assert flashed(script) == "True True True\n"


def test_boot_counter_never_repeats_over_power_cuts() -> None:
    """Cut at every operation of a boot: the next number is above all that were used."""
    script = """
for cut in range(1, 100):
    ram = fresh()
    used = [next_boot("/f/boot", 1_800_000_000) for _ in range(3)]
    ram.left = cut
    try:
        used.append(next_boot("/f/boot", None))
        done = True
    except OSError:
        done = False
    power_back(ram)
    used.append(next_boot("/f/boot", None))
    if sorted(set(used)) != used:
        print("cut", cut, used)
    if done:
        break
print(done, cut > 4)
"""
    assert flashed(script) == "True True\n"


def test_boot_counter_counts_and_starts_at_minutes_since_2020() -> None:
    """A node with no counter starts at the minute; without a clock, at the firmware's date."""
    script = """
fresh()
print(next_boot("/f/a", 1_577_836_800 + 60 * 3_000_000 + 59), next_boot("/f/a", 1_900_000_000))
print(next_boot("/f/b", None), next_boot("/f/b", None))
"""
    assert flashed(script) == "3000000 3000001\n3156480 3156481\n"


@pytest.mark.parametrize("spoiled", ['b""', 'b"\\x00" * 8', 'b"\\xff" * 8', 'b"12\\n"', "flipped"])
def test_spoiled_copy_of_the_counter_is_not_believed(spoiled: str) -> None:
    """One bad copy, whichever it is, costs nothing; with both bad, counting starts anew."""
    script = f"""
for names in (["/f/boot"], ["/f/boot.2"], ["/f/boot", "/f/boot.2"]):
    fresh()
    for _ in range(3):
        boot = next_boot("/f/boot", 1_800_000_000)
    flipped = bytearray(read("/f/boot"))
    flipped[1] ^= 0x10
    for name in names:
        replace(name, {spoiled})
    print(next_boot("/f/boot", 1_900_000_000) - boot)
"""
    lost = (1_900_000_000 - 1_577_836_800) // 60 - (1_800_000_000 - 1_577_836_800) // 60 - 2
    assert flashed(script) == f"1\n1\n{lost}\n"


def test_full_flash_keeps_the_old_file() -> None:
    """Without room for the new file the old one stays, no scrap is left, and the caller is told."""
    script = """
fresh()
replace("/f/file", b"old")
try:
    replace("/f/file", b"x" * 9000)
    print("fits?")
except OSError:
    print(read("/f/file"), os.listdir("/f"))
"""
    assert flashed(script) == "b'old' ['file']\n"


def test_missing_file_reads_as_none_and_other_errors_come_through() -> None:
    """No file is None, an empty one is empty, and a folder is an error."""
    script = """
fresh()
os.mkdir("/f/folder")
replace("/f/empty", b"")
print(read("/f/none"), read("/f/empty"))
try:
    print(read("/f/folder"))
except OSError as error:
    print("error")
"""
    assert flashed(script) == "None b''\nerror\n"


def test_identity_is_three_der_files_or_a_refusal() -> None:
    """Certificate, key and CA come as bytes; a missing one and a PEM are refused by field."""
    script = """
from device.identity import load
from node.errors import ConfigError
fresh()
replace("/f/c", b"\\x30\\x82cert")
replace("/f/p", b"-----BEGIN")
replace("/f/e", b"")
print(load("/f/c", None, "/f/c"))
for files in (("/f/none", None, None), (None, "/f/p", None), (None, None, "/f/e")):
    try:
        load(*files)
    except ConfigError as error:
        print(error.field, error.text)
"""
    assert flashed(script).splitlines() == [
        r"Identity(ca=b'0\x82cert', cert=None, key=b'0\x82cert')",
        "ca there is no file /f/none",
        "cert /f/p is not DER",
        "key /f/e is not DER",
    ]
