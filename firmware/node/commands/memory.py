"""The last Commands' ids with their Responses, in RAM and on flash: what makes a repeat harmless.

An id is on flash before its Command is carried out, its Response as soon as there is one: 2 writes
of one small file for each Command. With an id whose Response is missing, a reset came in between.
It will not judge: who asks decides what a missing Response means.
"""

from binascii import crc32

ENTRIES = 8
RESPONSE_MAX = 512
_FILE_MAX = 4 + ENTRIES * (3 + 64 + RESPONSE_MAX)


class Memory:
    """At most ENTRIES ids (str, ASCII, up to 64) with Responses (bytes); the oldest goes first.

    path: the file; read(path) -> bytes or None; replace(path, bytes): atomic, raises OSError.
    Without a path it lives in RAM alone. A file that is damaged or cannot be read counts as empty.
    """

    def __init__(self, path=None, read=None, replace=None):
        self._path = path
        self._replace = replace
        self._entries = []
        try:
            self._load(read(path) if path else None)
        except OSError:
            pass  # flash that cannot be read remembers nothing

    def __contains__(self, id):
        return self._find(id) is not None

    def response(self, id):
        """The Response (bytes) to a known id, or None when there never was one."""
        entry = self._find(id)
        return entry[1] if entry else None

    def begin(self, id):
        """Takes note of a new id before its Command is carried out. Raises OSError if not kept."""
        self._entries.append([id, None])
        try:
            self._save()
        except OSError:
            self._entries.pop()
            raise
        del self._entries[:-ENTRIES]

    def finish(self, id, response):
        """Keeps the Response (bytes, at most RESPONSE_MAX). Raises OSError if in RAM alone."""
        entry = self._find(id)
        if entry is None:
            entry = [id, None]
            self._entries.append(entry)
            del self._entries[:-ENTRIES]
        entry[1] = response
        self._save()

    def _find(self, id):
        for entry in self._entries:
            if entry[0] == id:
                return entry
        return None

    def _save(self):
        """CRC-32; then per entry: length of id (1), of Response (2, 0 = none), id, Response."""
        if self._path is None:
            return
        parts = []
        for id, response in self._entries[-ENTRIES:]:
            response = response or b""
            head = bytes((len(id), len(response) >> 8, len(response) & 255))
            parts.append(head + id.encode() + response)
        body = b"".join(parts)
        self._replace(self._path, crc32(body).to_bytes(4, "big") + body)

    def _load(self, data):
        if not data or not 4 <= len(data) <= _FILE_MAX:
            return
        if crc32(data[4:]) != int.from_bytes(data[:4], "big"):
            return
        at = 4
        while at < len(data):
            middle = at + 3 + data[at]
            end = middle + (data[at + 1] << 8 | data[at + 2])
            self._entries.append([str(data[at + 3 : middle], "ascii"), data[middle:end] or None])
            at = end
