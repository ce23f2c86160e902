"""Small files on flash that are either the old one or the new one, whenever the power goes.

It will NOT make folders, append, or spread wear by itself: littlefs does that, and one `replace`
costs about two erases (90 ms).
"""

import errno
import os
import struct

from micropython import const
from node.version import EARLIEST

_COUNTER = "<II"
_2020 = const(1_577_836_800)


def read(path):
    """The whole file as bytes, or None when there is none."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
        return None


def missing(path):
    """Whether there is no such file, for certain: one that cannot be read is there."""
    try:
        os.stat(path)
    except OSError as error:
        return error.errno == errno.ENOENT
    return False


def replace(path, data):
    """Make `data` (bytes) the content of the file. OSError without room: the old one stays.

    littlefs swaps a file in one step by rename, and a close has put all of it on flash before.
    What a cut may leave behind is `path.tmp`, which the next `replace` overwrites.
    """
    scratch = path + ".tmp"
    try:
        with open(scratch, "wb") as file:
            file.write(data)
        os.rename(scratch, path)
    except OSError:
        _remove(scratch)
        raise


def next_boot(path, unix):
    """Count this boot on flash and return its number, one that was never returned before.

    `unix` is the time in Unix seconds, or None while the clock is not set. It matters only when the
    counter is lost: counting then starts again at minutes since 2020, above any number that a node
    which boots less than once a minute can have reached. Two copies are kept, because a node that
    has no clock at boot can only take the firmware's date, which is the same the second time.
    OSError when flash takes neither copy.
    """
    spare = path + ".2"
    boot = max(_counter(path), _counter(spare))
    boot = boot + 1 if boot else ((unix or EARLIEST) - _2020) // 60
    record = struct.pack(_COUNTER, boot, boot ^ 0xFFFFFFFF)
    replace(path, record)
    replace(spare, record)
    return boot


def _counter(path):
    """The number in one copy, or 0: a number is believed only next to its complement."""
    record = read(path)
    if record is None or len(record) != struct.calcsize(_COUNTER):
        return 0
    boot, complement = struct.unpack(_COUNTER, record)
    return boot if boot ^ complement == 0xFFFFFFFF else 0


def _remove(path):
    try:
        os.remove(path)
    except OSError:
        pass  # it was not there, or the flash is as bad as the caller is about to hear
