"""device/flash.py on a real littlefs in RAM, with the power cut at every block operation."""

from __future__ import annotations

import pytest
from support.micropython.upy import run

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
    used = [next_boot(1_800_000_000, "/f/boot") for _ in range(3)]
    ram.left = cut
    try:
        used.append(next_boot(None, "/f/boot"))
        done = True
    except OSError:
        done = False
    power_back(ram)
    used.append(next_boot(None, "/f/boot"))
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
print(next_boot(1_577_836_800 + 60 * 3_000_000 + 59, "/f/a"), next_boot(1_900_000_000, "/f/a"))
print(next_boot(None, "/f/b"), next_boot(None, "/f/b"))
"""
    assert flashed(script) == "3000000 3000001\n3156480 3156481\n"


@pytest.mark.parametrize("spoiled", ['b""', 'b"\\x00" * 8', 'b"\\xff" * 8', 'b"12\\n"', "flipped"])
def test_spoiled_copy_of_the_counter_is_not_believed(spoiled: str) -> None:
    """One bad copy, whichever it is, costs nothing; with both bad, counting starts anew."""
    script = f"""
for names in (["/f/boot"], ["/f/boot.2"], ["/f/boot", "/f/boot.2"]):
    fresh()
    for _ in range(3):
        boot = next_boot(1_800_000_000, "/f/boot")
    flipped = bytearray(read("/f/boot"))
    flipped[1] ^= 0x10
    for name in names:
        replace(name, {spoiled})
    print(next_boot(1_900_000_000, "/f/boot") - boot)
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
    """No file is None, an empty one is empty, so is a folder; what flash refuses is an error."""
    script = """
fresh()
os.mkdir("/f/folder")
replace("/f/empty", b"")
print(read("/f/none"), read("/f/empty"))
print(read("/f/folder"))

def refused(file):
    raise OSError(5)

try:
    print(read("/f/empty", refused))
except OSError as error:
    print("error")
"""
    assert flashed(script) == "None b''\nb''\nerror\n"


def test_identity_is_three_der_files_or_a_refusal() -> None:
    """Certificate, key and CA come as bytes; a missing one and a PEM are refused by field."""
    script = """
from device.identity import load
from node.shared.errors import ConfigError
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


# A littlefs at /f that a chip would have at /, on a flash that refuses when told so.
REFUSING = """
import os, sys, vfs
import device.mounting
from support.flash import flashes
from device import flash
from support.flash.flashes import Chip, mount
from support.flash.refusals import Refusing

device.mounting.ROOT = flashes.ROOT = "/f"
ram = Refusing((%r, "none"))
vfs.VfsLfs2.mkfs(ram)
mount(ram)
mounted = []
make = vfs.VfsLfs2

class Counted:
    def VfsLfs2(self, bdev):
        mounted.append(bdev)
        return make(bdev)

    def __getattr__(self, name):
        return getattr(vfs, name)

device.mounting.vfs = Counted()

def refused(what, *arguments):
    try:
        what(*arguments)
        return "done"
    except OSError:
        return "refused"

"""


def refusing(script: str, raises: bool) -> str:
    """What `script` prints with a flash that refuses operations, in this way."""
    return run(REFUSING % raises + script, heap="8m")


@pytest.mark.parametrize("raises", [True, False])
def test_refused_write_spoils_nothing_written_later(raises: bool) -> None:
    """littlefs of MicroPython 1.26 and later writes the refused commit in front of the next one,
    over bytes that this one needs; and a file that an exception left open is written once more by
    the garbage collector (docs/notes/flash.md).
    """
    script = """
import gc

def append(data):
    with open("/f/log", "ab") as file:
        file.write(data)
        file.flush()

flash.replace("/f/other", b"1")
flash.access(append, bytes(300))
ram.fails(1, 3)
print(refused(flash.replace, "/f/other", b"2"), end=" ")
ram.fails(-1)
flash.access(append, b"acknowledged")
flash.replace("/f/other", b"3")
gc.collect()
mount(ram)
print(flash.read("/f/log")[300:], flash.read("/f/other"))
"""
    said = refusing(script, raises).splitlines()
    assert said[-1] == "refused b'acknowledged' b'3'"


def test_flash_is_mounted_anew_before_it_is_used_again() -> None:
    """Once for each refusal, at once for whoever comes first; no such file is no refusal. Who has a
    file open reads on, and the working directory stays.
    """
    script = """
os.mkdir("/f/folder")
os.chdir("/f/folder")
flash.replace("a", b"1" * 600)
reader = open("a", "rb")
reader.read(10)
print(flash.read("none"), len(mounted), end=" ")
ram.fails(0, 1)
print(refused(flash.replace, "a", b"2"), len(mounted), os.getcwd(), end=" ")
flash.replace("a", b"3")
print(len(mounted), os.getcwd(), len(reader.read()), flash.read("a"))
"""
    expected = "None 0 refused 1 /f/folder 1 /f/folder 590 b'3'\n"
    assert refusing(script, True) == expected


def test_flash_that_cannot_be_mounted_is_tried_again() -> None:
    """Until then everything is refused, nothing is written, and the old mount stays."""
    script = """
class Unreadable(Refusing):
    def readblocks(self, block, buffer, offset=0):
        raise OSError(5)

def refuse():
    raise OSError(5)

flash.replace("/f/a", b"1")
print(refused(flash.access, refuse), end=" ")
Chip.bdev = Unreadable((True, "none"))
before = bytes(ram.data)
print(refused(flash.replace, "/f/a", b"3"), refused(flash.read, "/f/a"), end=" ")
print(before == ram.data, os.listdir("/f"), end=" ")
Chip.bdev = ram
print(refused(flash.replace, "/f/a", b"4"), flash.read("/f/a"))
"""
    assert refusing(script, True) == "refused refused refused True ['a'] done b'4'\n"


def test_mount_without_heap_is_made_up_for() -> None:
    """The old mount is gone by then: the next who comes finds no mount, and makes one."""
    script = """
class Starved(Counted):
    def mount(self, *_):
        raise MemoryError

def refuse():
    raise OSError(5)

flash.replace("/f/a", b"1")
refused(flash.access, refuse)
enough, device.mounting.vfs = device.mounting.vfs, Starved()
print(refused(flash.read, "/f/a"), refused(flash.read, "/f/a"), end=" ")
device.mounting.vfs = enough
print(refused(flash.replace, "/f/b", b"2"), flash.read("/f/a"), flash.read("/f/b"))
"""
    assert refusing(script, True) == "refused refused done b'1' b'2'\n"


def test_laptop_mounts_nothing() -> None:
    """Its files are the operating system's: a refusal is one, and what comes after it is tried."""
    script = """
import os
from device import flash

def refuse():
    raise OSError(5)

for _ in range(2):
    try:
        flash.access(refuse)
    except OSError:
        print("refused", end=" ")
flash.replace("a", b"1")
print(flash.read("a"))
"""
    assert run(script) == "refused refused b'1'\n"
