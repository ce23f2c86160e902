"""How often the node has booted, on flash: asked once, and then let go of.

It will NOT say why it booted, or keep anything else.
"""

import struct

from micropython import const
from node.version import EARLIEST

from device.flash import read, replace

_COUNTER = "<II"
_2020 = const(1_577_836_800)


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
