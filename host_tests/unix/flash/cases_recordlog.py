"""lib/recordlog.py against a model that is too simple to be wrong. Runs under MicroPython alone."""

import gc
import os
import random

import vfs  # type: ignore[import-not-found]
from device import flash as device_flash
from recordlog import RecordLog
from support.flash.flashes import ROOT, Flash, cut_everywhere, fresh, mount
from support.flash.refusals import WAYS, Refusing, copied, refusing

# MicroPython has no typing; it never looks at an annotation.
if False:
    from collections.abc import Callable, Iterator

SIZE = 20
CAPACITY = 40
SEGMENT = 10
FOLDER = ROOT + "/log"
BATCH_MAX = 14  # more than a segment holds


def opened(folder: str = FOLDER) -> RecordLog:
    """The log as all cases here have it: the newest 5 records lie in a file of their own."""
    return RecordLog(folder, SIZE, CAPACITY, SEGMENT, device_flash.access)


def record(position: int, tag: int = 0) -> bytes:
    """A record that is like no other. SIZE may have been set to another one of at least 20."""
    return (b"%010d%010d" % (position, tag) * (SIZE // 20 + 1))[:SIZE]


class Model:
    """A list of all records that were ever given to the log, and which of them are to be there.

    `written` one list of candidates for each position: refused records may be found after a reset
    """

    def __init__(self) -> None:
        self.written: list[list[bytes]] = []
        self.first = self.next = self.dropped = self.synced = 0
        self.tag = 0

    def records(self, count: int) -> bytes:
        """New records, which the log may be found to hold from now on."""
        self.tag += 1
        new = [record(self.next + i, self.tag) for i in range(count)]
        for position, each in enumerate(new, self.next):
            if position == len(self.written):
                self.written.append([])
            self.written[position].append(each)
        return b"".join(new)

    def appended(self, log: RecordLog, count: int) -> None:
        """The log has taken them: they are the ones. What may go for the bound, and no more, went.

        Which segment that was is the log's affair.
        """
        for candidates in self.written[self.next : self.next + count]:
            del candidates[:-1]
        self.next += count
        gone = log.first - self.first
        if self.next - self.first <= CAPACITY:
            assert not gone, "dropped below the bound"
        else:
            assert CAPACITY - BATCH_MAX < self.next - log.first <= CAPACITY, "bound"
        self.first += gone
        self.dropped += gone

    def same(self, log: RecordLog) -> None:
        """The log holds exactly what is to be there."""
        assert (log.first, log.next, log.dropped) == (self.first, self.next, self.dropped)
        assert len(log) == self.next - self.first
        self.read(log)

    def read(self, log: RecordLog, count: int = 7) -> None:
        """Everything that the log says it holds is there in its order, byte for byte."""
        buffer = bytearray(SIZE * count)
        position = log.first
        while True:
            start, number = log.read(position, buffer, count)
            assert start == position, "a record is missing"
            if not number:
                break
            for i in range(number):
                found = bytes(buffer[i * SIZE : (i + 1) * SIZE])
                assert found in self.written[position + i], "a record that never was"
            position += number
        assert position == log.next
        assert not log.damaged

    def promise(self) -> tuple:
        """What has to hold over a reset."""
        return self.synced, self.first, self.next, self.dropped

    def booted(self, log: RecordLog, before: tuple, after: tuple, folder: str = FOLDER) -> None:
        """After a reset the log holds what `before` promised, or `after`, which was under way."""
        assert before[2] <= log.next <= after[2], "positions"
        assert before[0] <= log.first <= after[1], "first"
        # What the bound took is counted, or held again where flash did not hear of it any more.
        assert before[3] - max(before[1] - log.first, 0) <= log.dropped <= after[3], "dropped"
        self.read(log)
        # What a cut kept from being deleted does not stay for ever.
        bases = segments(folder)
        assert (not bases) if not len(log) else (bases[1:] or [log.next])[0] > log.first, "files"

    def adopt(self, log: RecordLog) -> None:
        """Go on from what a reset has left."""
        gc.collect()  # before what stays is strewn over all of the heap
        self.first = self.synced = log.first
        self.next = log.next
        self.dropped = log.dropped
        del self.written[self.next :]
        self.written[: self.first] = [[]] * self.first


def do(model: Model, log: RecordLog, word: str) -> RecordLog:
    """7 appends as many at once, f5 forgets 5, s syncs, o opens again, r reads all."""
    if word[0] == "f":
        model.first = min(model.first + int(word[1:]), model.next)
        log.forget_until(model.first)
    elif word == "s":
        log.sync()
        model.synced = model.first
    elif word == "o":
        log = opened()
        # What was not synced is held again.
        assert model.synced <= log.first <= model.first
        model.first = log.first
    elif word == "r":
        model.same(log)
    else:
        log.append(model.records(int(word)), int(word))
        model.appended(log, int(word))
    return log


def run(model: Model, log: RecordLog, steps: str) -> "Iterator[tuple]":
    """Do the words of `steps`, and yield after each what has to hold over a reset."""
    for word in steps.split():
        log = do(model, log, word)
        yield model.promise()
    model.same(log)


def segments(folder: str) -> "list[int]":
    """The positions of the first records of all files."""
    return sorted(int(name, 16) for name in os.listdir(folder) if len(name) == 8)


def cuts(steps: str, block_size: int) -> None:
    """Prints at how many points of `steps` the power was cut; the first opening is one of them."""
    flash = fresh(16 * 4096 // block_size, block_size)
    model = Model()

    def scenario() -> "Iterator[tuple]":
        yield model.promise()
        log = opened()
        yield model.promise()
        yield from run(model, log, steps)

    def check(before: tuple, after: tuple) -> None:
        log = opened()
        model.booted(log, before, after)
        # It goes on as if nothing had been, and so does the next boot.
        position = log.next
        log.append(record(position, 999) + record(position + 1, 999), 2)
        log = opened()
        buffer = bytearray(SIZE * 3)
        start, number = log.read(position, buffer, 3)
        assert (start, number, log.next) == (position, 2, position + 2)
        assert buffer[: 2 * SIZE] == record(position, 999) + record(position + 1, 999)
        log.forget_until(log.next)
        log.sync()
        assert (len(opened()), opened().next) == (0, position + 2)

    print(cut_everywhere(flash, scenario(), check))


def failures(steps: str, times: int, way: "tuple[bool, str]") -> None:
    """Let flash refuse `times` operations from each one on, in that way (see refusals.py), go
    on with the next step, and boot. Prints how many were tried, and how many steps were refused.

    Only append and sync may say so. What had succeeded is there for who boots right after it.
    """
    refused = point = 0
    left = -1
    while left < 0:
        flash = refusing(way)
        more, left = go_on(flash, steps, point, times)
        refused += more
        point += 1
    print(point, refused)


def go_on(flash: Refusing, steps: str, point: int, times: int) -> "tuple[int, int]":
    """Do `steps` on a flash that refuses `times` operations after `point`, and 8 more after that.
    Returns how many steps were refused, and how many operations were left before it would.
    """
    refused = since = 0
    model = Model()
    log = opened()
    flash.fails(point, times)

    def boots(folder: str) -> None:
        promised = (model.synced, model.first, model.next, 0)
        model.booted(opened(folder + "/log"), promised, could_be(model), folder + "/log")

    for word in steps.split():
        try:
            do(model, log, word)
        except OSError:
            assert word == "s" or word.isdigit()
            refused += 1
            model.same(log)
        if flash.left() < 0:
            since += 1
            if since < 4:
                copied(flash, boots)
            elif since == 4:
                gc.collect()  # closes what could not be closed
            elif since == 8:
                break
    model.same(log)
    left = flash.left()
    flash.fails(-1)
    mount(flash)
    model.booted(opened(), (model.synced, model.first, model.next, 0), could_be(model))
    return refused, left


def could_be(model: Model) -> tuple:
    """The most that a boot may find: what was refused may be there."""
    return 0, model.first, len(model.written), model.dropped


def step(model: Model, log: RecordLog) -> None:
    """Do to the log one of the things that an application may do at any time."""
    dice = random.random()
    if dice < 0.55:
        count = 1 if dice < 0.45 else random.randint(1, BATCH_MAX)
        log.append(model.records(count), count)
        model.appended(log, count)
    elif dice < 0.85:
        # Mostly from the front, sometimes all, sometimes what is forgotten already.
        upto = min(model.next, model.first + random.choice((-1, 1, 1, 2, 7, CAPACITY)))
        model.first = max(model.first, upto)
        log.forget_until(max(upto, 0))
    elif dice < 0.95:
        log.sync()
        model.synced = model.first
    else:
        model.same(log)


def random_without_faults(seed: int, block_size: int) -> None:
    """30 lives of 100 steps that each end with a clean reset."""
    random.seed(seed)
    flash = fresh(16 * 4096 // block_size, block_size)
    model = Model()
    for _ in range(30):
        log = opened()
        assert (log.next, log.dropped) == (model.next, model.dropped)
        model.booted(log, model.promise(), model.promise())
        model.adopt(log)
        for _ in range(100):
            step(model, log)
        model.same(log)
        mount(flash)
    assert not flash.misused
    print(model.next, model.dropped)


def random_with_cuts(seed: int, block_size: int, lives: int) -> None:
    """Short lives, most of them ended by the power, while opening or in a step. Prints how many."""
    random.seed(seed)
    flash = fresh(16 * 4096 // block_size, block_size)
    model = Model()
    before = after = model.promise()
    cut = 0
    for _ in range(lives):
        flash = mount(Flash(block_size=block_size, data=flash.data))
        flash.fails(random.randint(0, 80))
        try:
            log = opened()
            model.booted(log, before, after)
        except OSError:
            cut += 1
            continue
        model.adopt(log)
        try:
            for _ in range(30):
                step(model, log)
        except OSError:
            cut += 1
        before = model.promise()
        after = (0, max(model.first, log.first), len(model.written), log.dropped)
    print(cut)


def random_with_failures(seed: int, lives: int) -> None:
    """Now and then flash refuses a few operations, and the log goes on. Prints what was refused."""
    random.seed(seed)
    flash = refusing(WAYS[0])
    model = Model()
    before = after = model.promise()
    refused = 0
    for life in range(lives):
        flash.raises, flash.done = WAYS[life % len(WAYS)]
        mount(flash)
        log = opened()
        model.booted(log, before, after)
        model.adopt(log)
        for _ in range(100):
            if random.random() < 0.2:
                flash.fails(random.randint(0, 10), random.randint(1, 3))
            try:
                step(model, log)
            except OSError:
                refused += 1
                model.same(log)
            if random.random() < 0.2:
                gc.collect()  # closes what could not be closed
        flash.fails(-1)
        # What could not be put on flash may come again, and count less.
        before = (model.synced, model.first, model.next, 0)
        after = could_be(model)
    print(refused)


def spoiled(folder: str, steps: str) -> None:
    """A small log on whose files each bit is flipped, and each byte is the last.

    Opening and reading never fail, and no record comes out that never was. Prints how many.
    """
    os.mkdir(folder)
    model = Model()
    log = opened(folder)
    for _ in run(model, log, steps):
        pass
    tried = 0
    for name in sorted(os.listdir(folder)):
        path = folder + "/" + name
        with open(path, "rb") as file:
            whole = file.read()
        for spoilt, most in spoilings(whole):
            with open(path, "wb") as file:
                file.write(spoilt)
            assert read_spoiled(folder, model) <= (most if name != "state" else 0)
            tried += 1
        with open(path, "wb") as file:
            file.write(whole)
        assert not read_spoiled(folder, model)
    print(tried)


def spoilings(whole: bytes) -> "Iterator[tuple[bytes, int]]":
    """Each single-bit flip, each truncation, growth and noise, and the records that may be lost."""
    slot = SIZE + 4
    for bit in range(len(whole) * 8):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        yield bytes(flipped), 1
    for length in range(len(whole)):
        yield whole[:length], (len(whole) - 1 - length) // slot + 1
    for more in (b"\x00", b"\xff" * slot, b"\x00" * slot, whole):
        yield whole + more, 0
    for noise in (b"\x00", b"\xff"):
        yield noise * len(whole), len(whole) // slot


def read_spoiled(folder: str, model: Model) -> int:
    """Open and read a log on spoiled files; returns how many records are missing."""
    log = opened(folder)
    buffer = bytearray(SIZE * 4)
    found = set()
    position = 0
    while True:
        start, number = log.read(position, buffer, 4)
        assert start >= position
        if not number:
            break
        for i in range(number):
            each = bytes(buffer[i * SIZE : (i + 1) * SIZE])
            assert start + i < model.next
            assert each in model.written[start + i], "a record that never was"
            found.add(start + i)
        position = start + number
    assert start == log.next
    assert log.damaged == len(log) - len([p for p in found if p >= log.first])
    return len([p for p in range(model.first, model.next) if p not in found])


def torn_tails(folder: str) -> None:
    """Half a record at the end of the last file, small, big or empty: what follows it is kept."""
    tried = 0
    for steps in ("1 1", "8", "8 1 1", "10 10", "8 0"):
        for extra in range(1, SIZE + 4):
            name = f"{folder}/{tried}"
            os.mkdir(name)
            model = Model()
            log = opened(name)
            for _ in run(model, log, steps.replace(" 0", "")):
                pass
            last = log.next if steps.endswith("0") else segments(name)[-1]
            with open("%s/%08x" % (name, last), "ab") as file:  # noqa: UP031 (as the log has it)
                file.write(b"\xa5" * extra)
            log = opened(name)
            for count in (1, 1, 7, 1, 1, 1, 1, 1, 1):
                log.append(model.records(count), count)
                model.appended(log, count)
                model.same(log)
            model.same(opened(name))
            # Without a sync: nothing of it is there any more, but the position.
            log.forget_until(log.next)
            assert os.listdir(name) == ["state"]
            assert opened(name).next == model.next
            tried += 1
    print(tried)


def damage_is_counted(folder: str) -> None:
    """Two damaged records and a lost file are stepped over, and each record is counted once."""
    model = Model()
    log = opened(folder)
    for _ in run(model, log, "8 8 8"):
        pass
    with open(folder + "/00000000", "r+b") as file:
        for position in (2, 3):
            file.seek(position * (SIZE + 4) + 5)
            file.write(b"\xff")
    with open(folder + "/00000008", "wb"):
        pass
    log = opened(folder)
    buffer = bytearray(SIZE * 24)
    for _ in range(2):
        print(log.read(0, buffer, 24), log.read(2, buffer, 24), log.read(8, buffer, 24), end=" ")
        print(log.damaged, len(log))
    log.forget_until(24)
    print(log.read(0, buffer, 24), log.damaged, len(log))


def full_flash(block_size: int) -> None:
    """A full file system refuses an append and nothing else; the log goes on when there is room."""
    fresh(16 * 4096 // block_size, block_size)
    log = RecordLog(FOLDER, 200, 1000, 20)
    new = bytes(200)
    refused = 0
    while not refused:
        try:
            log.append(new)
        except OSError:
            refused += 1
    held = len(log)
    for path in (ROOT + "/filler", ROOT + "/filler.2"):
        try:
            with open(path, "wb") as file:
                while True:
                    file.write(new[:16])
        except OSError:
            pass
    log.forget_until(3)
    again = RecordLog(FOLDER, 200, 1000, 20)
    assert again.first in (0, 3)
    assert again.next == held
    given_up = 0
    for _ in range(100):
        while True:
            try:
                log.append(new)
                break
            except OSError:
                refused += 1
                assert log.drop_oldest()
                given_up += 1
    again = RecordLog(FOLDER, 200, 1000, 20)
    assert (again.first, again.next, again.dropped) == (log.first, log.next, log.dropped)
    print(held, refused, given_up)


def files(folder: str, count: int) -> None:
    """Prints how many files 600 records make that are appended `count` at a time."""
    log = RecordLog(folder, SIZE, 1000, 100)
    for _ in range(600 // count):
        log.append(bytes(SIZE * count), count)
    print(len(os.listdir(folder)))


def wear(appends: int, count: int) -> None:
    """Appends records on 2 MB, `count` at a time, then reads and forgets them 60 at a time.

    Prints erases: for all appends, the most for one, the most of one block, and for forgetting.
    """
    flash = fresh(512)
    log = RecordLog(FOLDER, SIZE, appends * count)
    flash.erases = [0] * flash.blocks
    new = bytes(SIZE * count)
    worst = 0
    for _ in range(appends):
        before = sum(flash.erases)
        log.append(new, count)
        worst = max(worst, sum(flash.erases) - before)
    appended = sum(flash.erases)
    buffer = bytearray(SIZE * 60)
    start, number = log.read(0, buffer, 60)
    while number:
        log.forget_until(start + number)
        start, number = log.read(start + number, buffer, 60)
    assert (len(log), log.dropped, log.damaged, flash.misused) == (0, 0, 0, 0)
    print(appended, worst, max(flash.erases), sum(flash.erases) - appended)


class FileFlash:
    """2 MB that take no heap: a block device in a file."""

    def __init__(self, path: str):
        block = b"\xff" * 4096
        with open(path, "wb") as file:
            for _ in range(512):
                file.write(block)
        self._file = open(path, "r+b")  # noqa: SIM115 (as long as the device lives)
        self._erased = block

    def readblocks(self, block: int, buffer: bytearray, offset: int = 0) -> None:
        """Called by littlefs."""
        self._file.seek(block * 4096 + offset)
        self._file.readinto(buffer)

    def writeblocks(self, block: int, buffer: bytes, offset: int = 0) -> None:
        """Called by littlefs."""
        self._file.seek(block * 4096 + offset)
        self._file.write(buffer)

    def ioctl(self, what: int, block: int) -> int:
        """Called by littlefs."""
        if what == 6:
            self.writeblocks(block, self._erased)
        return {4: 512, 5: 4096}.get(what, 0)


def allocated() -> int:
    """Bytes of the heap in use, after collecting."""
    gc.collect()
    return gc.mem_alloc()  # type: ignore[attr-defined]


def garbage(call: "Callable[[], object]") -> int:
    """How much of the heap a call takes, until the next collection."""
    before = allocated()
    gc.disable()
    call()
    taken = gc.mem_alloc() - before  # type: ignore[attr-defined]
    gc.enable()
    return taken


def heap(records: int) -> None:
    """What a backlog of so many records takes of the heap: empty, full, reading 60, appending one.

    Then positions and what is left after all were read and forgotten.
    """
    flash = FileFlash("flash.img")
    vfs.VfsLfs2.mkfs(flash)
    vfs.mount(vfs.VfsLfs2(flash), ROOT)
    batch = bytearray(SIZE * 60)
    RecordLog(FOLDER, SIZE, records)  # its code is loaded, which a node lets go of again
    before = allocated()
    log = RecordLog(FOLDER, SIZE, records)
    empty = allocated() - before
    while len(log) < records - 60:
        log.append(batch, 60)
    while len(log) < records:
        log.append(batch)
    log = RecordLog(FOLDER, SIZE, records)
    full = allocated() - before
    reading = garbage(lambda: log.read(records // 2, batch, 60))
    appending = garbage(lambda: log.append(batch))
    start = log.first
    while start < log.next:
        start, number = log.read(start, batch, 60)
        start += number
        log.forget_until(start)
    print(empty, full, reading, appending, log.next, len(log))
