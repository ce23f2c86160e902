"""The last Commands' ids with their Responses, in RAM and on flash: what makes a repeat harmless.

An id is on flash before its Command is carried out, its Response as soon as there is one: 2 writes
of one small file for each Command. With an id whose Response is missing, a reset came in between.
It will not judge: who asks decides what a missing Response means.
"""

from node.pairs import Pairs

ENTRIES = 8
RESPONSE_MAX = 512
_FILE_MAX = 4 + ENTRIES * (3 + 64 + RESPONSE_MAX)


class Memory:
    """At most ENTRIES ids (str, ASCII, up to 64) with Responses (bytes); the oldest goes first.

    path: the file; read(path) -> bytes or None; replace(path, bytes): atomic, raises OSError.
    Without a path it lives in RAM alone, in the list `entries`. A file that is damaged or cannot be
    read counts as empty.

    kept: whether flash has all of it.
    """

    def __init__(self, path=None, read=None, replace=None, entries=None):
        self.kept = True
        self._pairs = Pairs(path, read, replace, _FILE_MAX) if path else None
        self._entries = [] if entries is None else entries
        for id, response in self._pairs.load() if path else ():
            self._entries.append([id, response or None])

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
        self.kept = False
        self._save()

    def _find(self, id):
        for entry in self._entries:
            if entry[0] == id:
                return entry
        return None

    def _save(self):
        if self._pairs:
            held = self._entries[-ENTRIES:]
            self._pairs.save([(id, response or b"") for id, response in held])
        self.kept = True
