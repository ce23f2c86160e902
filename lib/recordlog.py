"""A bounded log of fixed-size records on flash: what was appended is there after a power cut, in
order, until it is forgotten or the bound takes it.

Records have positions that count up for ever. They lie in segments, one file each, named by the
position of its first record; each record is followed by a CRC-32 that covers its position too.
A segment ends where the next one begins, whatever its file holds beyond: so nothing that a cut left
behind is read twice. What is forgotten is one number in a small file, swapped by rename.

Made for MicroPython's VfsLfs2. There a close (or flush) puts all that was written on flash in one
step, or nothing of it (littlefs DESIGN.md); `write` alone is lost with the power. Such an append
costs 1 erase, because the file's last block is copied, but 0.03 while the whole file is so small
that it lives in its folder's log. So the newest few records have a file of their own, and move into
the segment before it together.

Records are not held in RAM, a failing flash is not hidden, and the folder is for nothing else.
"""

import os
import struct
from binascii import crc32

from micropython import const

_INLINE = const(128)  # littlefs keeps files up to its cache (4 * 32 here) inside the folder
_STATE = const("<II")  # first, dropped; their CRC-32 follows


class RecordLog:
    """At most `capacity` records of `record_size` bytes each in `folder` (str, its parent exists).

    Opening reads the folder, one small file and the length of the last segment, and deletes what
    was forgotten. No damage to a file's content makes it fail; OSError: the flash cannot be read.
    Flash: record_size + 4 bytes per record and 5 blocks. Heap: 4 bytes per segment and one record.

    segment_records  at most that many share a file; else a block's worth, but <= capacity / 8
    access           access(what, *arguments) calls what(*arguments), which uses files: for who has
                     to do something about flash that refuses (littlefs: mount it anew)
    note             bytes that say what a record is, kept in the file `note` of the folder: it is
                     there before the first record, and is not looked at if it is there
    first, next      held are first <= position < next; they go on counting over a reset
    dropped          records that the bound took, a segment at a time; survives a reset
    damaged          held records that `read` had to skip since opening, each counted once
    """

    def __init__(
        self,
        folder,
        record_size,
        capacity,
        segment_records=None,
        access=lambda what, *arguments: what(*arguments),
        note=None,
    ):
        # In a file of its own, because it is done once: its code can be let go of.
        from recordlog_opening import found, segment_size

        slot_size = record_size + 4
        self.damaged = 0
        self.access = access
        self.folder = folder
        self._capacity = capacity
        self._segment_records = segment_size(record_size, capacity, segment_records)
        self._few = min(_INLINE // slot_size, self._segment_records)  # fit into a small file
        self._slot = bytearray(slot_size)
        self._record = memoryview(self._slot)[:record_size]
        self._sealed = False  # the last segment takes no more: a file beyond it may have been begun
        self._dirty = False  # the state on flash is older than `first` and `dropped`
        self._examined = 0  # before this position, damage has been counted
        opened = access(found, folder, slot_size)
        self.first, self.next, self.dropped, self._bases, noted = opened
        self._note = None if noted else note
        self._free()

    def __len__(self):
        return self.next - self.first

    def append(self, records, count=1):
        """Store the `count` records (at most `capacity`) that the buffer `records` begins with.

        One synced write: when it returns they are on flash; after a cut before, all or none are (on
        littlefs). Beyond `capacity` the oldest segment goes. OSError when flash does not take them:
        what was held still is, the next `append` may succeed, and the refused may be found after a
        reset. ValueError when `records` is too short.
        Erases (45 ms each on an ESP32), measured: 0.21 per record of 20 bytes appended alone, at
        most 3 at a time; 1 per call with 6 or more at once.
        """
        if not 1 <= count <= self._capacity or count * len(self._record) > len(records):
            raise ValueError("too many")
        self.access(self._store, memoryview(records), count)
        self.next += count
        while len(self) > self._capacity:
            self.drop_oldest()

    def read(self, position, buffer, count):
        """Put records from `position` on into `buffer`, one after the other: (start, number).

        `start` is the position of the first one: beyond `position` where records are damaged (they
        are skipped and counted) or no longer held. `number` is up to `count`: less where a segment
        ends or a damaged one follows; 0 when there is none up to `next`, and then start == next.
        OSError when flash cannot be read, ValueError when `buffer` is too short. No erases.
        """
        if not 0 < count * len(self._record) <= len(buffer):
            raise ValueError("buffer")
        return self.access(self._read, position, buffer, count)

    def _read(self, position, buffer, count):
        slot, size = self._slot, len(self._record)
        start = max(position, self.first)
        while start < self.next:
            index = _index(self._bases, start)
            base, end = self._bases[index], self._end(index)
            number = 0
            with open(self._path(base), "rb") as file:
                file.seek((start - base) * len(slot))
                while number < count and start + number < end:
                    whole = file.readinto(slot) == len(slot)
                    crc = crc32(self._record, start + number)
                    if whole and struct.unpack_from("<I", slot, size)[0] == crc:
                        buffer[number * size : (number + 1) * size] = self._record
                        number += 1
                    elif number:
                        break
                    else:
                        self.damaged += start >= self._examined
                        start += 1
                        self._examined = max(self._examined, start)
            if number:
                return start, number
        return self.next, 0

    def forget_until(self, position):
        """Let go of every record before `position`; one already passed changes nothing.

        Flash hears of it with `sync`, or when a whole segment is free and its file goes: 0.1
        erases. After a reset before that they come again; failing flash is tried again next time.
        IndexError when `position` is beyond `next`.
        """
        if position > self.next:
            raise IndexError("not stored")
        if position <= self.first:
            return
        self.first = position
        self._dirty = True
        if self._end(0) <= position:
            try:
                self.sync()
            except OSError:
                pass  # flash holds more for now; nothing is lost

    def sync(self, dirty=False):
        """Put on flash what was forgotten and dropped. OSError: it is not there. 0.07 erases.

        dirty: even if nothing was, as `dropped` was set.
        """
        if self._dirty or dirty:
            self.access(self._save)
        self._free()

    def drop_oldest(self):
        """Give up the oldest segment's records, counted in `dropped`; returns their number.

        For a caller whose `append` was refused because the file system is full. 0.1 erases.
        """
        number = self._end(_index(self._bases, self.first)) - self.first if len(self) else 0
        self.first += number
        self.dropped += number
        self._dirty = True
        try:
            self.sync()
        except OSError:
            self._free()  # perhaps there was no room even for the state; this makes some
        return number

    def _save(self):
        state = struct.pack(_STATE, self.first, self.dropped)
        self._swap("/state", state + struct.pack("<I", crc32(state)))
        self._dirty = False

    def _swap(self, name, content):
        path = self.folder + name
        with open(path + ".tmp", "wb") as file:
            file.write(content)
            file.flush()
        os.rename(path + ".tmp", path)

    def _store(self, records, count):
        if self._note is not None:
            self._swap("/note", self._note)
            self._note = None
        if self._bases and not self._sealed:
            held = self.next - self._bases[-1]
            few = held <= self._few
            if few and held + count > self._few and self._move(records, count):
                return
            # Few records leave a big file alone and begin a small one.
            if (few or count > self._few) and self._write(self._bases[-1], b"", records, count):
                return
        # Tried once, this has to succeed: what an older file then took would lie in its shadow.
        self._sealed = True
        self._write(self.next, b"", records, count)
        self._bases.append(self.next)
        self._sealed = False

    def _move(self, records, count):
        """Append the last, small segment and `records` to the one before it, and delete it."""
        if len(self._bases) < 2:
            return False
        base, last = self._bases[-2:]
        with open(self._path(last), "rb") as file:
            moved = file.read((self.next - last) * len(self._slot))
        if not self._write(base, moved, records, count):
            return False
        # While the small one is there, it hides the copy: an error or a cut here undoes the append.
        self._remove(-1)
        return True

    def _write(self, base, moved, records, count):
        """False, and nothing written: no room in the segment, or its file has a torn tail."""
        size, before = len(self._record), self.next - base
        if before and before + count > self._segment_records:
            return False
        with open(self._path(base), "ab" if before else "wb") as file:
            if file.seek(0, 2) + len(moved) != before * len(self._slot):
                return False
            file.write(moved)
            for i in range(count):
                self._record[:] = records[i * size : (i + 1) * size]
                struct.pack_into("<I", self._slot, size, crc32(self._record, self.next + i))
                file.write(self._slot)
            file.flush()  # closing does it on littlefs; the unix port calls fsync only here
        return True

    def _end(self, index):
        return self._bases[index + 1] if index + 1 < len(self._bases) else self.next

    def _path(self, base):
        return "%s/%08x" % (self.folder, base)

    def _remove(self, index):
        path = self._path(self._bases[index])
        try:
            self.access(os.remove, path)
        except OSError:
            # Flash may have refused what it has done nevertheless.
            if path[-8:] in self.access(os.listdir, self.folder):
                raise
        self._bases.pop(index)

    def _free(self):
        try:
            while self._bases and self._end(0) <= self.first:
                self._remove(0)
        except OSError:
            pass  # next time


def _index(bases, position):
    index = len(bases) - 1
    while bases[index] > position:
        index -= 1
    return index
