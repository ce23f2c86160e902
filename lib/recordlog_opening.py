"""What a record log decides and finds on flash when it is opened; see recordlog.py, which has the
layout.

It writes nothing, and deletes nothing.
"""

import os
import struct
from binascii import crc32

from micropython import const

_BLOCK = const(4096)  # of an ESP32's flash; a segment of one block frees one block


def segment_size(record_size, capacity, wanted=None):
    """How many records share a file: what is `wanted`, else a block's worth, but at most an eighth
    of the capacity. ValueError for sizes that make no log.
    """
    if wanted is None:
        wanted = max(1, min(_BLOCK // (record_size + 4), capacity // 8))
    if record_size < 1 or not 1 <= wanted <= capacity:
        raise ValueError("sizes must be at least 1, a segment at most the capacity")
    return wanted


def found(folder, slot_size):
    """(first, next, dropped, bases, noted) of the log in `folder`, which is made if it is missing.

    slot_size: bytes of a record with its CRC-32. bases: positions with which the segments begin, a
    list, ascending. noted: whether there is a file `note`. OSError: flash cannot be read.
    """
    try:
        names = os.listdir(folder)
    except OSError:  # most likely there is none yet; else this raises as well
        os.mkdir(folder)
        names = []
    first = next = dropped = 0
    if "state" in names:
        with open(folder + "/state", "rb") as file:
            state, crc = file.read(8), file.read(5)
        if len(state) == 8 and crc == struct.pack("<I", crc32(state)):
            first, dropped = struct.unpack("<II", state)
    digits = "0123456789abcdef"
    bases = sorted(int(n, 16) for n in names if len(n) == 8 and not n.strip(digits))
    if bases:
        last = bases[-1]
        next = last + os.stat("%s/%08x" % (folder, last))[6] // slot_size
        first = max(first, bases[0])
    return first, max(first, next), dropped, bases, "note" in names
