"""Plays a capture of a real DHT22, one answer at a time, for ever.

A capture is a file of lines {"t": seconds, "us": [lengths of the levels in microseconds]}, one for
each request, beginning with the host's own low. A request that the sensor did not answer has that
one level. A line is held in memory only while it is played, so that a small heap holds any capture.

A wrong checksum is passed on as it was captured.
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


class Replay:
    """The answers in the file at `path`; ValueError for a file that is no capture."""

    def __init__(self, path):
        self._path = path
        self._line = 0
        self._file = None
        self._rewind()
        self._next()
        self._rewind()

    def answer(self, frame):
        """Put the next answer into `frame`, a bytearray of 5.

        Raises OSError(ETIMEDOUT) when the line fell silent; the bits before that are in `frame`.
        ValueError when the file stops being a capture.
        """
        levels = self._next()
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

    def _next(self):
        """The levels of the next request; after the last comes the first."""
        text = self._file.readline()
        if not text and self._line:
            self._rewind()
            text = self._file.readline()
        self._line += 1
        try:
            levels = json.loads(text)["us"]
            if not levels or min(levels) <= 0:
                raise ValueError
        except (ValueError, KeyError, TypeError):
            raise ValueError("%s, line %d: not a capture" % (self._path, self._line))
        return levels
