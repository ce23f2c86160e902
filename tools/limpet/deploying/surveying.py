"""What a board tells of its flash, and does on it: all that a deploy looks after, hash and copy of
a file.
"""

from limpet.boards import archive
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
    f"CONFIGS = {_CONFIGS!r}\nMODULES = {archive.NAME!r}"
    + """
import os, sys, hashlib, binascii
def _pieces(path, at, size):
    buffer = memoryview(bytearray(1024))
    with open(path, 'rb') as file:
        file.seek(at)
        while size:
            count = file.readinto(buffer[:min(size, 1024)])
            if not count:
                break
            size -= count
            yield buffer[:count]
def _hash(path, at=0, size=1 << 30):
    digest = hashlib.sha256()
    for piece in _pieces(path, at, size):
        digest.update(piece)
    return binascii.hexlify(digest.digest()).decode()
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
            if entry[0] == MODULES:
                _modules(path, entry[3])
def _modules(path, end):
    try:
        with open(path, 'rb') as file:
            index = file.read(int.from_bytes(file.read(4)[2:], 'little') * 8)
        starts = [int.from_bytes(index[at + 4:at + 8], 'little') for at in range(0, len(index), 8)]
        for start, next in zip(starts, starts[1:] + [end]):
            guard.feed()
            print((path + '@', start, _hash(path, start, next - start)), end=',')
    except (OSError, MemoryError):
        pass
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
def _copy(source, target, how, at, size):
    guard.feed()
    with open(target, how) as new:
        for piece in _pieces(source, at, size):
            new.write(piece)
class _Counting:
    def __init__(self, flash):
        self.erased, self._flash, self.readblocks = 0, flash, flash.readblocks
        self.writeblocks = flash.writeblocks
    def ioctl(self, what, block):
        self.erased += what == 6
        return self._flash.ioctl(what, block)
def _tidy(folders):
    import vfs
    from flashbdev import bdev
    flash = _Counting(bdev)
    fresh = vfs.VfsLfs2(flash)
    vfs.umount('/')
    vfs.mount(fresh, '/')
    for folder in folders:
        path, before = folder + '/settings.part', flash.erased
        try:
            for _ in range(256):
                guard.feed()
                open(path, 'wb').close()
                if flash.erased > before:
                    break
            os.remove(path)
        except OSError:
            pass
_report()
"""
)


def survey(board: Remote) -> Survey:
    """Have the board tell. Starts its watchdog, which every call from here feeds for 120 s: a board
    that is left in the middle resets.
    """
    board.run(_GUARD)
    (machine, version, umqtt, vfs, text, starts, configs), found = board.run(_LOOK)
    inside = [each for each in found if each[0].endswith("@")]
    found = [each for each in found if each not in inside]
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
        {(path[:-1], digest): at for path, at, digest in inside},
    )


def digest(board: Remote, path: str) -> str:
    """Have the board tell the SHA-256 of a file, in hex. Feeds the board's watchdog."""
    said: str = board.run(f"guard.feed(); print(repr(_hash({path!r})))")
    return said


def copy(board: Remote, source: str, target: str) -> None:
    """Have the board copy a file. Raises NoRoom."""
    board.run(f"_copy({source!r}, {target!r}, 'wb', 0, 1 << 30)")


def copy_piece(board: Remote, source: str, at: int, size: int, target: str) -> None:
    """Have the board add a piece of one file to another. Raises NoRoom."""
    board.run(f"_copy({source!r}, {target!r}, 'ab', {at}, {size})")


def tidy(board: Remote, folders: list[str]) -> None:
    """Have littlefs write the lists of files of the root and of these folders anew, as short as
    they can be: each look for a file reads them, and they have all that a deploy has done.
    """
    board.run(f"_tidy({['', *folders]!r})")
