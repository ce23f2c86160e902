"""A log of records in RAM, in place of lib/recordlog.py. Both Pythons."""

from support.parts.layouts import SIZE


class Log:
    """Stands for a RecordLog whose flash never fails, unless it is `broken` or `unreadable`."""

    def __init__(self, damaged: tuple = ()) -> None:
        self.records: list = []
        self.first = self.dropped = self.syncs = 0
        self.broken = self.unreadable = False
        self.damaged = damaged

    @property
    def next(self) -> int:
        """Position of the next record."""
        return len(self.records)

    def __len__(self) -> int:
        return self.next - self.first

    def append(self, records: bytes, count: int) -> None:
        """Store them."""
        if self.broken:
            raise OSError(5)
        self.records += [bytes(records[i * SIZE : (i + 1) * SIZE]) for i in range(count)]

    def read(self, position: int, buffer: bytearray, count: int) -> tuple:
        """Find the first whole record from `position` on, and those that follow it."""
        if self.unreadable:
            raise OSError(5)
        while position in self.damaged:
            position += 1
        number = 0
        while number < count and position + number < self.next:
            if position + number in self.damaged:
                break
            buffer[number * SIZE : (number + 1) * SIZE] = self.records[position + number]
            number += 1
        return position, number

    def forget_until(self, position: int) -> None:
        """Let go."""
        self.first = max(self.first, position)

    def sync(self) -> None:
        """Count."""
        self.syncs += 1
