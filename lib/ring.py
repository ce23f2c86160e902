"""A first-in, first-out store of fixed-size records in one bytearray that is allocated once.

When it is full, the oldest record makes room for the newest and is counted in `dropped`.
Records are named by an index that counts up for ever, so that a name never means another record.

It never grows, and keeps nothing over a reset.
"""


class Ring:
    """Room for `capacity` records of `record_size` bytes each; the heap it takes is their product.

    `buffer`   the bytes; write them only at an offset that `push` gave. A record follows the one
               before it, the first one of the buffer that at the end
    `first`    index of the oldest record held
    `oldest`   its offset in `buffer`
    `next`     index that the next record will get; held are first <= index < next
    `dropped`  records that were overwritten before anyone took them
    """

    def __init__(self, record_size, capacity):
        if record_size < 1 or capacity < 1:
            raise ValueError("sizes")
        self.buffer = bytearray(record_size * capacity)
        self.first = self.next = self.oldest = 0
        self.dropped = 0
        self._size = record_size
        self._capacity = capacity

    def push(self):
        """Append a record and return the offset in `buffer` to write it to.

        An offset rather than a slice: packing in place (`struct.pack_into`) allocates nothing.
        The place still holds an old record's bytes; write all of it.
        """
        if self.next - self.first == self._capacity:
            self.dropped += 1
            self.forget_until(self.first + 1)
        offset = self.next % self._capacity * self._size
        self.next += 1
        return offset

    def forget_until(self, index):
        """Let go of every record before `index`, uncounted; one already passed changes nothing.

        IndexError when `index` is beyond `next`: nobody can be done with what was never stored.
        """
        if index > self.next:
            raise IndexError("not stored")
        if index > self.first:
            self.first = index
            self.oldest = index % self._capacity * self._size
