"""What a board tells of its flash, and does on it: all that a deploy looks after, hash and copy of
a file.
"""

from limpet.boards.board_facts import BLOCK
from limpet.boards.node_files import LISTING
from limpet.deploying import slots
from limpet.deploying.remote import Remote
from limpet.deploying.slots import OTHER, File, Survey
from limpet.identity.device_config import SETTINGS

_IN_SLOT = (SETTINGS, slots.LAST, slots.OLD_NEXT, slots.OLD_LAST)
_CONFIGS = (
    *slots.COPIES,
    slots.CONFIG,
    *(f"/{slot}/{name}" for slot in OTHER for name in _IN_SLOT),
)
# First of all, and in few bytes: from here on the board helps itself.
_GUARD = "import machine\nguard = machine.WDT(timeout=120000)\nguard.feed()"
_LOOK = (
    f"CONFIGS = {_CONFIGS!r}"
    + """
import os, sys, hashlib, binascii
def _hash(path, buffer=bytearray(1024)):
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while True:
            count = file.readinto(buffer)
            if not count:
                return binascii.hexlify(digest.digest()).decode()
            digest.update(memoryview(buffer)[:count])
def _file(path, size, wanted=True):
    guard.feed()
    try:
        digest = _hash(path) if wanted else ''
    except OSError:
        digest = ''
    print((path, size, digest), end=',')
def _tree(folder):
    print((folder, -1, ''), end=',')
    for entry in os.ilistdir(folder):
        path = folder + '/' + entry[0]
        if entry[1] == 0x4000:
            _tree(path)
        else:
            _file(path, entry[3])
def _text(path):
    try:
        with open(path, 'rb') as file:
            return file.read()
    except OSError:
        return None
def _umqtt():
    try:
        import umqtt.robust
        return True
    except ImportError:
        return False
def _starts():
    try:
        from device import guard
        return True
    except Exception:
        return False
def _report():
    print('(%r,[' % ((getattr(sys.implementation, '_machine', ''), sys.implementation[1][:3],
        _umqtt(), os.statvfs('/'), _text('/slot'), _starts(), {p: _text(p) for p in CONFIGS}),),
        end='')
    for entry in os.ilistdir('/'):
        name = entry[0]
        if entry[1] == 0x4000:
            if name in ('a', 'b'):
                _tree('/' + name)
        elif name.endswith('.der') or name in ('boot.py', 'main.py'):
            _file('/' + name, entry[3])
        elif name.endswith('.part') or name == 'slot.new':
            _file('/' + name, entry[3], False)
    print('])')
def _copy(source, target):
    guard.feed()
    buffer = bytearray(1024)
    with open(source, 'rb') as old, open(target, 'wb') as new:
        while True:
            count = old.readinto(buffer)
            if not count:
                break
            new.write(memoryview(buffer)[:count])
_report()
"""
)


def survey(board: Remote) -> Survey:
    """Have the board tell. Starts its watchdog, which every call from here feeds for 120 s: a board
    that is left in the middle resets.
    """
    board.run(_GUARD)
    (machine, version, umqtt, vfs, text, starts, configs), found = board.run(_LOOK)
    files = {path: File(size, digest) for path, size, digest in found if size >= 0}
    slot = text[:1].decode() if text and text[:1] in (b"a", b"b") else None
    fallen = slot is not None and not starts and f"/{OTHER[slot]}/{LISTING}" in files
    return Survey(
        machine,
        tuple(version),
        umqtt,
        vfs[3] * vfs[0] // BLOCK,
        OTHER[slot] if slot and fallen else slot,
        fallen,
        {path: text for path, text in configs.items() if text is not None},
        files,
        tuple(path for path, size, _ in found if size < 0),
    )


def digest(board: Remote, path: str) -> str:
    """Have the board tell the SHA-256 of a file, in hex. Feeds the board's watchdog."""
    said: str = board.run(f"guard.feed(); print(repr(_hash({path!r})))")
    return said


def copy(board: Remote, source: str, target: str) -> None:
    """Have the board copy a file. Raises NoRoom."""
    board.run(f"_copy({source!r}, {target!r})")
