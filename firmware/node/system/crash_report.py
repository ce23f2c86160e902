"""An exception as a text that may be kept and shown: where it was raised, and what kind it is.

What an exception quotes is not kept. A payload or a password may be in there; the frames, the class
and the words that MicroPython itself has chosen are not secret.
"""

import io
import sys

from node.shared.version import VERSION

_LINE_MAX = 140
_FRAMES_MAX = 12
# Of all of them together: the Response to get_crash, in which they are quoted, then stays below
# 1 KB, which is what a chip's heap has in a row.
_TEXT_MAX = 560

# The message of these names a module, a name or a type; that of any other may quote a value.
_PLAIN = (ImportError, NameError, AttributeError, TypeError, IndexError, MemoryError)


class _Frames(io.IOBase):
    """Takes in what sys.print_exception writes, bounded: the last frames, and nothing behind them.

    A recursion writes more than a thousand frames, and a message may span lines that look like
    frames: what counts are the lines that follow on each other from the top.
    """

    def __init__(self):
        self.lines = []
        self._line = b""
        self._over = False

    def write(self, data):
        """Part of a line, or more than one."""
        for byte in bytes(data):
            if byte == 10:
                self._end()
            elif len(self._line) < _LINE_MAX:
                self._line += bytes((byte,))
        return len(data)

    def _end(self):
        line, self._line = self._line, b""
        if line.startswith(b'  File "'):
            if not self._over:
                self.lines.append(line.decode())
                del self.lines[:-_FRAMES_MAX]
        elif not line.startswith(b"Traceback"):
            self._over = True


def report(error):
    """An exception as text (str, at most 760 bytes) that holds no value: see above."""
    frames = _Frames()
    try:
        sys.print_exception(error, frames)
    except MemoryError:
        pass  # then its class has to do
    lines = frames.lines
    while sum([len(each) + 1 for each in lines]) > _TEXT_MAX:
        del lines[0]
    last = type(error).__name__
    if isinstance(error, OSError) and error.args and type(error.args[0]) is int:
        last += " %d" % error.args[0]
    elif isinstance(error, _PLAIN) and error.args:
        last += ": " + str(error.args[0])[:_LINE_MAX]
    return "\n".join(["limpet " + VERSION] + lines + [last])
