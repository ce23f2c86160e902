"""lib/recordlog.py against a model that is too simple to be wrong, on a real littlefs."""

from __future__ import annotations

from pathlib import Path

import pytest
from limpet.node_host.debian import HOST, available
from support.flash.ways import FULL, WAYS
from support.micropython.upy import run

# One Reading per 10 s for a day.
DAY = 8640
BLOCKS = 512


def printed(call: str, arch: str = HOST, heap: str = "8m") -> list[int]:
    """The numbers that a function of cases_recordlog.py prints, last of all."""
    script = f"from unix.flash import cases_recordlog as cases\n{call}"
    said = run(script, arch=arch, heap=heap).splitlines()
    return [int(word) for word in said[-1].split()]


@pytest.mark.parametrize("block_size", [4096, 512])
@pytest.mark.parametrize("seed", range(4))
def test_log_does_what_the_model_does(seed: int, block_size: int) -> None:
    """3,000 random steps in 30 lives: records, positions and counts equal the model's."""
    # Half of them with a chip's word size.
    arch = "i386" if seed % 2 and available("i386") else HOST
    appended, dropped = printed(f"cases.random_without_faults({seed}, {block_size})", arch=arch)
    assert appended > 3000
    assert dropped > 100


# Of the newest records, 5, 2 or none fit into a small file.
@pytest.mark.parametrize("size", [20, 60, 200])
@pytest.mark.parametrize("seed", range(2))
def test_log_survives_random_power_cuts(seed: int, size: int) -> None:
    """400 short lives, most ended by the power, some while opening: the model agrees each time."""
    [cut] = printed(f"cases.SIZE = {size}; cases.random_with_cuts({seed}, 4096, 400)")
    print(cut, "random cuts")
    assert cut > 200


@pytest.mark.parametrize("size", [20, 60, 200])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_log_goes_on_when_any_operations_fail(times: int, size: int) -> None:
    """Whichever operations flash refuses, append or sync says so, or nobody has to know; and what
    was said to be there is, for who boots then.
    """
    steps = "1 1 1 1 1 1 f1 14 f3 14 f20 9 s f10 9 14 1 f9 2 1 1 6 f20 6 s 7 f20 9 8 8 1"
    for way in WAYS if FULL else WAYS[:1]:
        call = f"cases.SEGMENT = 20; cases.SIZE = {size}; cases.failures({steps!r}, {times}, {way})"
        points, refused = printed(call)
        print(points, "operations tried,", refused, "times refused:", way)
        assert points > 80
        assert refused > points // 2


@pytest.mark.parametrize("size", [20, 60, 200])
def test_log_goes_on_when_flash_fails_for_a_while(size: int) -> None:
    """An append that flash refuses changes nothing, and the next one may succeed."""
    [refused] = printed(f"cases.SIZE = {size}; cases.random_with_failures(1, 40)")
    assert refused > 200


# Some forgotten in the first segment, and in the last.
@pytest.mark.parametrize("steps", ["1 1 1 1 1 1 8 4 f3 s 1 1 1", "9 9 f10 s"])
def test_spoiled_files_never_fail_or_lie(steps: str, tmp_path: Path) -> None:
    """Each bit flipped, each truncation: no error, no wrong record, and no more lost than that."""
    [tried] = printed(f"cases.spoiled({str(tmp_path / 'log')!r}, {steps!r})")
    assert tried > 2000


@pytest.mark.parametrize("count", [1, 5, 6, 20, 60])
def test_files_are_few(count: int, tmp_path: Path) -> None:
    """However many are appended at once, segments fill up: 600 records, at most 100 in each."""
    [files] = printed(f"cases.files({str(tmp_path / 'log')!r}, {count})")
    assert files <= 10


def test_torn_tail_is_skipped(tmp_path: Path) -> None:
    """Part of a record at the end of the last file costs nothing, neither before nor after it."""
    [tried] = printed(f"cases.torn_tails({str(tmp_path)!r})")
    assert tried == 5 * 23


def test_damaged_record_is_stepped_over_and_counted_once(tmp_path: Path) -> None:
    """A read ends before a damaged record, the next begins after it, and says where."""
    call = f"cases.damage_is_counted({str(tmp_path / 'log')!r})"
    said = run(f"from unix.flash import cases_recordlog as cases\n{call}")
    again = "(0, 2) (4, 4) (16, 8) 10 24\n"
    assert said == again + again + "(24, 0) 10 0\n"


@pytest.mark.parametrize("block_size", [4096, 512])
def test_full_file_system_refuses_an_append_and_nothing_else(block_size: int) -> None:
    """Forgetting, opening and dropping work without room; dropping makes some."""
    held, refused, given_up = printed(f"cases.full_flash({block_size})")
    assert held > 200
    assert refused > given_up > 0
    # 100 records of 200 bytes, in segments of 20.
    assert given_up <= 7


def test_wrong_arguments_are_refused() -> None:
    """Sizes below 1, too short a buffer, too many records and a position to come change nothing."""
    script = """
from recordlog import RecordLog
log = RecordLog("log", 4, 16)
log.append(b"abcdefgh", 2)
for error, call in (
    (ValueError, lambda: RecordLog("x", 0, 1)),
    (ValueError, lambda: RecordLog("x", 1, 0)),
    (ValueError, lambda: RecordLog("x", 1, 8, 9)),
    (ValueError, lambda: log.append(b"abc")),
    (ValueError, lambda: log.append(b"abcd", 0)),
    (ValueError, lambda: log.append(bytes(68), 17)),
    (ValueError, lambda: log.read(0, bytearray(7), 2)),
    (ValueError, lambda: log.read(0, bytearray(8), 0)),
    (IndexError, lambda: log.forget_until(3)),
):
    try:
        call()
        print("accepted")
    except error:
        pass
buffer = bytearray(8)
print(log.read(0, buffer, 2), buffer, log.first, log.next, log.dropped, log.damaged)
"""
    assert run(script) == "(0, 2) bytearray(b'abcdefgh') 0 2 0 0\n"


def test_append_without_heap_hides_no_later_one() -> None:
    """The file of a new segment is written, and there is no heap to remember it: what is appended
    next, with what could not be before, is there after a reset.
    """
    script = """
from recordlog import RecordLog

class Starved(list):
    def append(self, what):
        raise MemoryError

log = RecordLog("log", 20, 200, 20)
log.append(bytes(120), 6)
held, log._bases = log._bases, Starved(log._bases)
try:
    log.append(b"x" * 40, 2)
except MemoryError:
    log._bases = held
log.append(b"x" * 40 + b"y" * 80, 6)
again = RecordLog("log", 20, 200, 20)
buffer = bytearray(240)
print(log.next, again.next, again.read(6, buffer, 12), buffer[:120] == b"x" * 40 + b"y" * 80)
"""
    assert run(script) == "12 12 (6, 6) True\n"


def test_missing_parent_folder_is_an_error() -> None:
    """A log that cannot be where it should says so on opening."""
    script = """
from recordlog import RecordLog
try:
    RecordLog("none/log", 4, 16)
except OSError:
    print("refused")
"""
    assert run(script) == "refused\n"


def test_other_names_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    """A file that is not the log's neither stops it nor goes away."""
    (tmp_path / "log").mkdir()
    for name in (".DS_Store", "notes", "0000000G", "state.tmp"):
        (tmp_path / "log" / name).write_bytes(b"\xff" * 30)
    script = """
from recordlog import RecordLog
RecordLog("log", 4, 16).append(b"abcd")
print(len(RecordLog("log", 4, 16)))
"""
    assert run(script, cwd=tmp_path) == "1\n"
    assert (tmp_path / "log" / ".DS_Store").exists()


def test_day_of_readings_fits_into_a_small_heap() -> None:
    """8,640 records on a 32-bit interpreter with 96 KB of heap: the log itself takes under 1 KB."""
    call = f"cases.heap({DAY})"
    empty, full, reading, appending, position, left = printed(call, arch="i386", heap="96k")
    print(
        f"heap: {empty} B empty, {full} B full; garbage of read(60) {reading}, append {appending}"
    )
    assert empty <= full < 1000
    assert reading < 8000
    assert appending < 2000
    assert (position, left) == (DAY + 1, 0)


def test_wear_of_a_day_long_outage() -> None:
    """A Reading per 10 s, each committed alone, on 2 MB: erases, counted by the block device."""
    appended, worst, most, forgetting = printed(f"cases.wear({DAY}, 1)")
    print(f"{appended / DAY:.3f} erases per append, at most {worst}; {forgetting} to forget them;")
    print(f"per block: {appended / BLOCKS:.1f} a day on average, {most} at most")
    assert appended < 0.25 * DAY
    assert worst <= 3
    # littlefs moves a folder's log after 100 erases (block_cycles in MicroPython).
    assert most < 110
    assert forgetting < 20
