"""Plays what a sensor has said, one answer at a time, for ever.

A capture is a file of lines, each a JSON object with what was on the wire at one request; README.md
has their form for each kind of sensor. A line is held in memory only while it is played, so that a
small heap holds any capture. A wrong checksum is passed on as it was captured.

Of a DHT a line is {"t": seconds, "us": [lengths of the levels in microseconds]}, beginning with the
host's own low. A request that the sensor did not answer has that one level.
"""

import errno
import json

from micropython import const

# Order of levels: the host's low, the line let go, the sensor's 80 us low and 80 us high, then 40
# times about 50 us low and a high that is the bit.
_FIRST_BIT = const(5)
_BITS = const(40)

# Datasheet: 22 to 30 us is 0, 68 to 75 us is 1. The chip's driver parts them here as well, and
# takes no high of more than 100 us for an answer.
_ONE_US = const(48)
_LONGEST_US = const(100)


def levels(line):
    """The lengths in a line of a DHT's capture; ValueError where there are none."""
    found = line["us"]
    if not found or min(found) <= 0:
        raise ValueError
    return found


class Replay:
    """The answers in the file at `path`; ValueError for a file that is no capture.

    `take` is called with each line, a dict, gives what `next` does, and raises ValueError, KeyError
    or TypeError for one that is none.
    """

    def __init__(self, path, take=levels):
        self._path = path
        self._take = take
        self._line = 0
        self._file = None
        self._rewind()
        self.next()
        self._rewind()

    def answer(self, frame):
        """Put a DHT's next answer into `frame`, a bytearray of 5.

        Raises OSError(ETIMEDOUT) when the line fell silent; the bits before that are in `frame`.
        ValueError when the file stops being a capture.
        """
        levels = self.next()
        for bit in range(_BITS):
            index = _FIRST_BIT + 2 * bit
            # A high ends when the line falls, so it takes one more level to be one.
            if index + 1 >= len(levels) or levels[index] > _LONGEST_US:
                raise OSError(errno.ETIMEDOUT)
            frame[bit // 8] = frame[bit // 8] << 1 & 0xFF | (levels[index] > _ONE_US)

    def _rewind(self):
        if self._file:
            self._file.close()
        try:
            self._file = open(self._path)  # noqa: SIM115 (held open between requests)
        except OSError:
            raise ValueError("%s cannot be opened" % self._path)
        self._line = 0

    def next(self):
        """What `take` makes of the next line; after the last comes the first. Raises ValueError."""
        text = self._file.readline()
        if not text and self._line:
            self._rewind()
            text = self._file.readline()
        self._line += 1
        try:
            return self._take(json.loads(text))
        except (ValueError, KeyError, TypeError):
            raise ValueError("%s, line %d: not a capture" % (self._path, self._line))
