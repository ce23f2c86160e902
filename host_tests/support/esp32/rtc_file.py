"""What outlives every reset of the virtual board but no power cut: a file of the laptop's.

8 bytes, by how many seconds the RTC is off the laptop's clock, 4 bytes, the watchdog's time, and
then RTC memory. It is opened before the laptop's files go out of sight, and whoever takes the power
empties it.
"""

import struct

import utime

_2000 = 946_684_800

_file = None


def start(file, soft):
    """Use `file`, open for reading and writing. An empty one is a power-on. A soft reset does not
    stop the watchdog: returns its time in ms, 0 when it does not run.
    """
    global _file
    _file = file
    if not file.read(1):
        keep_offset(_2000 - int(utime.time()))
    if not soft:
        keep_watchdog(0)
    file.seek(8)
    return struct.unpack("<I", file.read(4))[0]


def keep_watchdog(ms):
    """The watchdog was started."""
    _file.seek(8)
    _file.write(struct.pack("<I", ms))


def offset_s():
    """By how much the RTC is ahead of the laptop."""
    _file.seek(0)
    return struct.unpack("<q", _file.read(8))[0]


def keep_offset(seconds):
    """Set the RTC."""
    _file.seek(0)
    _file.write(struct.pack("<q", seconds))


def load():
    """RTC memory, as it was saved."""
    _file.seek(12)
    size = _file.read(2)
    return _file.read(size[0] << 8 | size[1]) if len(size) == 2 else b""


def save(data):
    """Keep RTC memory (bytes)."""
    _file.seek(12)
    _file.write(bytes((len(data) >> 8, len(data) & 255)) + data)
