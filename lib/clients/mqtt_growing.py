"""A reader of packets whose buffer is as long as what comes: for clients that know no size."""

from micropython import const
from mqtt_packets import Reader

_FIRST = const(256)  # bytes of the buffer, until something longer comes


class Growing(Reader):
    """A Reader whose buffer begins with 256 bytes and grows to the packet that comes, up to
    `longest` bytes. It is small again with the next connection.
    """

    def __init__(self, longest):
        self._longest = longest
        super().__init__(min(_FIRST, longest), longest)

    def clear(self):
        """Forget everything, and let go of what was long."""
        if len(self.buffer) > _FIRST:
            self.buffer = bytearray(_FIRST)
            self._view = memoryview(self.buffer)
        super().clear()

    def packet(self, count=0):
        """As a Reader's; but of a packet that is too long for the buffer more is asked for."""
        first = super().packet(count)
        missing = self._skip
        held = len(self.buffer)
        if not first or not missing or held + missing > self._longest:
            return first
        try:
            longer = bytearray(held + missing)
        except MemoryError:
            return first
        longer[:held] = self.buffer
        self.buffer = longer
        self._view = memoryview(longer)
        self.space = self._view[held:]
        self._end = held
        self._skip = 0
        return None
