"""A few pairs of texts and bytes in one small file on flash, replaced as a whole.

CRC-32, then for each pair: length of the text (1 byte), of the bytes (2), the text, the bytes. It
goes to flash and comes from there piece by piece: in a row it would be a piece of heap that a chip
has only at the price of TLS. A file that is damaged counts as empty.
"""

from binascii import crc32


class PairFile:
    """The file at `path`.

    read(path, how) -> how(file) or None; replace(path, *pieces): atomic. Both raise OSError.
    """

    def __init__(self, path, read, replace):
        self._path = path
        self._read = read
        self._replace = replace

    def save(self, pairs):
        """Write `pairs`: (str in ASCII of at most 255, bytes of at most 65535) each.

        OSError when flash does not take them, MemoryError without room for what is put around them.
        """
        pieces = [b""]
        crc = 0
        for text, data in pairs:
            head = bytes((len(text), len(data) >> 8, len(data) & 255)) + text.encode()
            crc = crc32(data, crc32(head, crc))
            pieces.append(head)
            pieces.append(data)
        pieces[0] = crc.to_bytes(4, "big")
        self._replace(self._path, *pieces)

    def load(self):
        """What was saved last, or an empty list: also where flash does not give it thrice."""
        for _ in range(3):
            try:
                return self._read(self._path, _taken_apart) or []
            except OSError:
                pass  # a refusal may be over: the flash is mounted anew for the next try
            except UnicodeError:
                break  # another version's file, of which the CRC is right
        return []


def _taken_apart(file):
    wanted, piece = file.read(4), b"-"
    crc = left = 0
    while piece:
        piece = file.read(128)
        left += len(piece)
        crc = crc32(piece, crc)
    if crc.to_bytes(4, "big") != wanted:
        return None
    file.seek(4)
    pairs, head = [], bytearray(3)
    while left > 0:
        file.readinto(head)
        size = head[1] << 8 | head[2]
        left -= 3 + head[0] + size
        if left < 0:
            return None  # before the heap is asked for what is not there
        pairs.append((str(file.read(head[0]), "ascii"), file.read(size)))
    return pairs
