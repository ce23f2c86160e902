"""A few pairs of texts and bytes in one small file on flash, replaced as a whole.

CRC-32, then for each pair: length of the text (1 byte), of the bytes (2), the text, the bytes.
It will not append, or believe a file that is damaged: that one counts as empty.
"""

from node.handover import seal, unseal


class Pairs:
    """The file at `path`, of at most `size_max` bytes.

    read(path) -> bytes or None; replace(path, bytes): atomic. Both raise OSError.
    """

    def __init__(self, path, read, replace, size_max):
        self._path = path
        self._read = read
        self._replace = replace
        self._size_max = size_max

    def save(self, pairs):
        """Write `pairs`: (str in ASCII of at most 255, bytes of at most 65535) each.

        OSError when flash does not take them, or the heap has no room for all of them in a row.
        """
        try:
            body = seal(_put_together(pairs))
        except MemoryError:
            raise OSError("memory")
        self._replace(self._path, body)

    def load(self):
        """What was saved last, or an empty list."""
        try:
            data = self._read(self._path)
        except OSError:
            return []  # flash that cannot be read remembers nothing
        body = unseal(data) if data and len(data) <= self._size_max else None
        try:
            return _taken_apart(body or b"")
        except (IndexError, UnicodeError):
            return []  # a right CRC over what `save` has not written: another version's file


def _put_together(pairs):
    parts = []
    for text, data in pairs:
        parts.append(bytes((len(text), len(data) >> 8, len(data) & 255)) + text.encode() + data)
    return b"".join(parts)


def _taken_apart(data):
    pairs = []
    at = 0
    while at < len(data):
        middle = at + 3 + data[at]
        end = middle + (data[at + 1] << 8 | data[at + 2])
        pairs.append((str(data[at + 3 : middle], "ascii"), data[middle:end]))
        at = end
    return pairs
