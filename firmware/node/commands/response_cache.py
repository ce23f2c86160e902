"""The last Commands' ids, and the Responses to the very last, in RAM and on flash: what makes a
repeat harmless.

An id is on flash before its Command is carried out, its Response as soon as there is one: 2 writes
of a small file. Of 64 ids a short hash stays, of 8 the Response too. With an id whose Response was
never there, a reset came in between. Who asks decides what a missing Response means.
"""

from hashlib import sha256

from micropython import const

from node.shared.pair_file import PairFile
from node.shared.rtc_state import seal, unseal

ENTRIES = 8
IDS = 64
RESPONSE_MAX = 512

# What is kept of an id: so many bytes of its hash, and what became of the Command. The latter comes
# to flash with the next id; until then its Response, the last one, tells it.
_HASH = const(7)
_SIZE = const(8)
_BEGUN = const(0)
_DONE = const(1)
_FAULT = const(2)


class ResponseCache:
    """At most IDS ids (str, ASCII, up to 64), the last ENTRIES with Responses (bytes); the oldest
    goes first.

    path: of the files, without their suffix; read(path) -> bytes or None; replace(path, bytes):
    atomic, raises OSError. A file that is damaged or cannot be read counts as empty.

    kept: whether flash has all of it.
    """

    def __init__(self, path, read, replace):
        self.kept = True
        self._ids = path + ".ids"
        self._replace = replace
        self._seen = bytearray()  # hashes and states, oldest first
        try:
            seen = unseal(read(self._ids)) or b""
        except OSError:
            seen = b""
        if len(seen) <= IDS * _SIZE and not len(seen) % _SIZE:
            self._seen = bytearray(seen)
        self._pairs = PairFile(path + ".bin", read, replace)
        self._entries = self._pairs.load()[-ENTRIES:]
        if self._entries:
            id, response = self._entries[-1]
            self._note(id, b'"status":"failed"' in response)

    def __contains__(self, id):
        return self.response(id) is not None or self._at(_hash(id)) is not None

    def response(self, id):
        """The Response (bytes) to a known id, or None when there is none."""
        return found(self._entries, id)

    def failed(self, id):
        """Whether the Command with a known id has failed; None: it has never been answered."""
        at = self._at(_hash(id))
        state = _BEGUN if at is None else self._seen[at + _HASH]
        return None if state == _BEGUN else state == _FAULT

    def begin(self, id):
        """Takes note of a new id before its Command is carried out. Raises OSError if not kept."""
        try:
            seen = bytearray(self._seen[-(IDS - 1) * _SIZE :])
            seen += _hash(id)
            seen.append(_BEGUN)
            self._replace(self._ids, seal(seen))
        except MemoryError:
            raise OSError("memory")
        self._seen = seen

    def finish(self, id, response, failed=False):
        """Keeps the Response (bytes, at most RESPONSE_MAX). OSError, MemoryError: only in RAM."""
        keep(self._entries, id, response)
        self._note(id, failed)
        self.kept = False
        self._pairs.save(self._entries)
        self.kept = True

    def _at(self, digest):
        """Where in `_seen` the hash `digest` stands, or None."""
        seen = self._seen
        for at in range(0, len(seen), _SIZE):
            if seen[at] == digest[0] and seen[at : at + _HASH] == digest:
                return at
        return None

    def _note(self, id, failed):
        """Keep in RAM what became of the Command `id`."""
        at = self._at(_hash(id))
        if at is not None:
            self._seen[at + _HASH] = _FAULT if failed else _DONE


def found(entries, id):
    """The Response to `id` among `entries`, a list of pairs; or None."""
    for known, response in entries:
        if known == id:
            return response
    return None


def keep(entries, id, response):
    """Add a pair to `entries`, of which at most ENTRIES stay."""
    entries.append((id, response))
    del entries[:-ENTRIES]


def _hash(id):
    return sha256(id.encode()).digest()[:_HASH]
