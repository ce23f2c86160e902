"""The two slots of a node: what is in them, and what makes one of them the target.

Three functions have the board work on its own flash; all else is pure. It will NOT decide which
slot is used.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from limpet.boards.board_facts import BLOCK
from limpet.boards.node_files import LISTING
from limpet.deploying.remote import Remote

OTHER = {"a": "b", "b": "a"}
# littlefs keeps a shorter file beside its name.
_INLINE = 128
# For folders, names and the node's own next files.
_SPARE_BLOCKS = 8

CONFIG = "/config.json"
# What a slot has for itself beside its code: the config that goes into use with it where that is
# not /config.json (firmware/main.py), and the last one that its code took (device/boots.py).
NEXT, LAST = "config.next", "config.last"
_CONFIGS = (CONFIG, *(f"/{slot}/{name}" for slot in OTHER for name in (NEXT, LAST)))

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


@dataclass(frozen=True)
class File:
    """A file on the board: how many bytes, and their SHA-256 in hex; "" when it was not read."""

    size: int
    digest: str

    @property
    def blocks(self) -> int:
        """Of flash that it takes."""
        return blocks(self.size)


@dataclass(frozen=True)
class Survey:
    """What a board is, and what is on its flash.

    slot: the one that runs, None when there is none; fallen: it is not the one that was put in use,
    because that cannot start (see firmware/main.py). configs: texts of configs by absolute path.
    files: by absolute path, of the root only what a deploy looks after.
    """

    machine: str
    version: tuple[int, ...]
    umqtt: bool
    free_blocks: int
    slot: str | None
    fallen: bool
    configs: dict[str, bytes]
    files: dict[str, File]
    folders: tuple[str, ...]

    @property
    def config_path(self) -> str:
        """Where the config of the slot that runs is, or has to be."""
        own = f"/{self.slot}/{NEXT}"
        return own if own in self.configs else CONFIG

    @property
    def config(self) -> bytes | None:
        """The config of the slot that runs; None when there is none."""
        return self.configs.get(self.config_path)

    def slot_files(self, slot: str) -> dict[str, File]:
        """The code that is in a slot, and its list, by path in there."""
        start = f"/{slot}/"
        found = {p.removeprefix(start): f for p, f in self.files.items() if p.startswith(start)}
        return {name: file for name, file in found.items() if not name.startswith("config.")}

    def kept_by(self, slot: str) -> list[str]:
        """The configs that a slot has for itself, and what was to be one, by path in there."""
        start = f"/{slot}/config."
        return [path.removeprefix(f"/{slot}/") for path in self.files if path.startswith(start)]


@dataclass(frozen=True)
class Plan:
    """How `slot` becomes the target: what to remove, to copy from the other slot, to send."""

    slot: str
    remove: tuple[str, ...] = ()
    copy: tuple[str, ...] = ()
    send: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether the slot is the target already."""
        return not (self.remove or self.copy or self.send)


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


def same(data: bytes, file: File | None) -> bool:
    """Whether a file on the board is `data`."""
    return file is not None and file.digest == sha256(data).hexdigest()


def differs(target: dict[str, bytes], there: dict[str, File]) -> list[str]:
    """Return what is missing, different, or there without being wanted."""
    wrong = [name for name, data in target.items() if not same(data, there.get(name))]
    return wrong + [name for name in there if name not in target]


def plan(target: dict[str, bytes], slot: str, there: Survey) -> Plan:
    """Return how `slot` becomes `target`. Its list is written last: it says that all is there."""
    here, other = there.slot_files(slot), there.slot_files(OTHER[slot])
    wrong = [name for name in target if not same(target[name], here.get(name))]
    remove = [name for name in here if name not in target]
    if wrong or remove:
        wrong = [*(name for name in wrong if name != LISTING), LISTING]
        # What goes with the old code goes with it, but not before the list.
        remove = [*(name for name in here if name == LISTING), *remove, *there.kept_by(slot)]
    copy = [n for n in wrong if n != LISTING and same(target[n], other.get(n))]
    return Plan(slot, tuple(remove), tuple(copy), tuple(n for n in wrong if n not in copy))


def missing_blocks(
    plan: Plan, target: dict[str, bytes], root: dict[str, bytes], there: Survey, gone: Iterable[str]
) -> int:
    """Return how many blocks the board lacks for a plan and the files `root`; 0 or less: none.

    gone: paths that are removed before anything is written.
    """
    here = there.slot_files(plan.slot)
    replaced = [name for name in (*plan.copy, *plan.send) if name in here]
    freed = sum(here[name].blocks for name in {*replaced, *plan.remove} if name in here)
    freed += sum(there.files[path].blocks for path in gone)
    needed = sum(blocks(len(target[name])) for name in (*plan.copy, *plan.send))
    needed += sum(blocks(len(data)) for data in root.values())
    needed += 2 * len(folders(target)) + 2 if not here else 0
    return 0 if plan.empty and not root else needed + _SPARE_BLOCKS - there.free_blocks - freed


def folders(names: Iterable[str]) -> list[str]:
    """Return the folders that files are in, outer ones first."""
    found = {
        "/".join(name.split("/")[:depth])
        for name in names
        for depth in range(1, name.count("/") + 1)
    }
    return sorted(found)


def blocks(size: int) -> int:
    """Return how many blocks a file takes."""
    return -(-size // BLOCK) if size > _INLINE else 0
