"""What the node does where the chip's own heap is scarce: the firmware's side of a chip's memory.

No laptop has that heap. The one here is a list of its free pieces, and stricter than the chip's: a
thread that is started by another name than a lock's, or before Wi-Fi has its memory, fails.
"""

from __future__ import annotations

import ast
import json
from typing import Any

import pytest
from support.micropython.upy import REPO, run

CHIP = """
import json
import sys

KB = 1024
PIECES, HEAP, TAKEN, THREADS = CASE

class Lock:
    held = False
    def __enter__(self):
        self.held = True
    def __exit__(self, *_):
        self.held = False

class Thread:
    size, stacks, locks, sizes = 0, [], [], []
    def allocate_lock(self):
        self.locks.append(Lock())
        return self.locks[-1]
    def stack_size(self, size):
        self.size = size
    def start_new_thread(self, function, arguments):
        lock, = arguments
        if not lock.held or not wlan.made or self.size < 4 * KB or len(self.stacks) == THREADS:
            raise OSError("can't create thread")
        self.stacks.append((lock, max(range(len(PIECES)), key=lambda at: pieces()[at]), self.size))

class Network:
    STA_IF, made = 0, 0
    @staticmethod
    def WLAN(interface):
        wlan.made += 1

class Esp32:
    HEAP_DATA = 4
    def idf_heap_info(self, which):
        return [(0, piece, piece // KB * KB, 512) for piece in pieces()]

class Gc:
    def collect(self):
        pass
    def mem_alloc(self):
        return TAKEN
    def mem_free(self):
        return HEAP - TAKEN + longest()

class Time:
    def sleep_ms(self, ms):
        slept.append((longest(), sum(pieces())))

def pieces():
    # What is given back lies between what is still held, so that it is a piece by itself.
    if not any(lock.held for lock, _, _ in thread.stacks):
        return PIECES
    left = list(PIECES)
    for lock, at, size in thread.stacks:
        left[at] -= size + 400
        if not lock.held:
            left.append(size)
    return left

def longest():
    return max(pieces()) // KB * KB

thread, wlan, slept = Thread(), Network(), []
sys.modules["_thread"], sys.modules["network"] = thread, wlan
sys.modules["esp32"], sys.modules["gc"], sys.modules["time"] = Esp32(), Gc(), Time()
from device import heap_size
anchor = heap_size.grow()
print(json.dumps([anchor, slept, thread.size, any(lock.held for lock in thread.locks), wlan.made]))
"""
KB = 1024
HEAP, TAKEN = 56_000, 10_000
FREE = 95 * KB - HEAP  # what the interpreter's heap is still to get


def grown(pieces: list[int], heap: int = HEAP, threads: int = 9) -> Any:
    """What grow() returns and leaves where these pieces are free once Wi-Fi has its memory."""
    case = (pieces, heap, TAKEN, threads)
    return json.loads(run(f"CASE = {case!r}\n" + CHIP))


@pytest.mark.parametrize("pieces", [[102_400, 3_800], [98_304], [70_000, 70_000, 9_000]])
def test_heap_grows_by_the_nodes_share(pieces: list[int]) -> None:
    """While it grows it finds its share and no more, and the chip has some to itself; then all is
    given back but what keeps the new area.
    """
    anchor, slept, size, held, wlan = grown(pieces)
    (longest, free), (after, all_free) = slept
    assert (anchor, size, held, wlan) == ([], 0, False, 1)
    assert FREE - 2 * KB <= longest <= FREE + 4 * KB
    assert free >= longest + 12 * KB
    assert (after, all_free) == (max(pieces) // KB * KB, sum(pieces))


@pytest.mark.parametrize(
    ("pieces", "heap"), [([4_000_000, 90_000], 64_000), ([200_000], 64_000), ([98_304], 112_000)]
)
def test_heap_of_a_chip_with_room_is_left_alone(pieces: list[int], heap: int) -> None:
    """With PSRAM, where doubling leaves enough, or after it has grown: nothing is held."""
    assert grown(pieces, heap) == [None, [], 0, False, 1]


@pytest.mark.parametrize("threads", [0, 1])
def test_chip_that_cannot_hold_its_memory_starts_all_the_same(threads: int) -> None:
    """A thread that cannot be started leaves no lock, no stack size, and no exception."""
    anchor, slept, size, held, _ = grown([98_304], threads=threads)
    assert (anchor, size, held) == (None, 0, False)
    assert not slept


def test_laptop_has_nothing_to_grow() -> None:
    """Without the chip's modules nothing happens."""
    assert run("from device import heap_size\nprint(heap_size.grow())") == "None\n"


MOUNT = """
import gc
import sys
import vfs

class Flash:
    blocks = [bytearray(4096) for _ in range(8)]
    def readblocks(self, block, data, at=0):
        data[:] = self.blocks[block][at : at + len(data)]
    def writeblocks(self, block, data, at=0):
        self.blocks[block][at : at + len(data)] = data
    def ioctl(self, what, _):
        return {4: len(self.blocks), 5: 4096}.get(what, 0)

class flashbdev:
    bdev = Flash()

sys.modules["flashbdev"] = flashbdev
vfs.VfsLfs2.mkfs(flashbdev.bdev)
vfs.umount("/")
vfs.mount(vfs.VfsLfs2(flashbdev.bdev), "/")
with open("/modules", "wb") as file:
    file.write(bytes(4000))
gc.collect()
before = gc.mem_alloc()
mounted(_READ)
with open("/modules", "rb") as file:
    file.read(1)
    gc.collect()
    print(gc.mem_alloc() - before)
"""


def test_mount_for_loading_leaves_the_heap_to_the_node() -> None:
    """It and the module that is being read take at most 4 KB. With 12 KB a boot did not fit: the
    heap took all that the chip had left, and Wi-Fi aborted the chip.
    """
    main = (REPO / "firmware/main.py").read_text("utf-8")
    wanted = [
        ast.get_source_segment(main, each)
        for each in ast.parse(main).body
        if getattr(each, "name", None) == "mounted" or "_READ" in ast.unparse(each)[:5]
    ]
    assert int(run("\n".join(map(str, wanted)) + MOUNT)) <= 4 * KB


LINK = """
import json
from node.session.link import Link

class Client:
    clean_session, window, state, handshake_took_ms, pid = False, 8, "down", 1, 0
    wait = None

class Anything:
    network = topic = cause = None
    session = 1
    def __getattr__(self, name):
        return lambda *_: 0

class Board:
    network = None
    clock = Anything()
    def idf_heap(self):
        return free and (free, free, free)

class Told:
    backoff, downs = Anything(), {}
    def up(self, now):
        return None
    def down(self, now, cause, kind):
        self.downs[cause] = self.downs.get(cause, 0) + 1
        return 0

Anything.connection = Anything()
client, any, windows = Client(), Anything(), []
link = Link(client, Board(), (any,), Told(), lambda *_: None)
for free in FREE:
    link.on_up(True)
    windows.append(client.window)
    link.connection.up_at = None
    for cause in CAUSES:
        link.on_down(cause)
print(json.dumps([windows, Told.downs]))
"""


def linked(free: list[int | None], *causes: str) -> Any:
    """The windows, and the counted failures, of a Link where so many bytes are free."""
    return json.loads(run(f"FREE, CAUSES = {free!r}, {causes!r}\n" + LINK))


def test_window_is_what_wifi_can_bear() -> None:
    """Each Message in flight takes 2 KB beyond the first 6 KB, and one may always be on its way."""
    windows, _ = linked([None, 60_000, 22 * KB, 14 * KB, 10 * KB, 1000, 60_000])
    assert windows == [8, 8, 8, 4, 2, 1, 8]


def test_tls_without_room_is_memory() -> None:
    """Mbed TLS calls any certificate untrusted when it cannot allocate: what it says is believed
    only where a handshake would have had room.
    """
    causes = ("certificate-untrusted", "tls-broken", "tcp-refused", "closed", "tls-timeout")
    believed = dict.fromkeys(causes, 1)
    assert linked([None], *causes)[1] == believed
    assert linked([35 * KB], *causes)[1] == believed
    assert linked([31 * KB], *causes)[1] == {"memory": 3, "tcp-refused": 1, "closed": 1}


BOARD = """
import sys

class Esp32:
    HEAP_DATA = 4
    def idf_heap_info(self, which):
        assert which == 4
        return [(7000, 500, 300, 20), (90000, 41000, 38912, 13000), (15000, 2000, 1024, 100)]

class machine:
    PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = range(1, 6)

sys.modules["machine"], sys.modules["esp32"] = machine, Esp32()
from device import esp32_board
print(esp32_board.idf_heap())
"""


def test_chip_tells_of_its_heap() -> None:
    """Free and least ever free are sums over the chip's parts, the longest piece is of one."""
    assert run(BOARD) == "(43500, 38912, 13120)\n"
    assert run("import board\nprint(board.idf_heap())", path=[REPO / "boards/host"]) == "None\n"
