"""The two slots of a node: what is in them, and what makes one of them the target.

Pure: surveying.py has the board tell what is there.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from limpet.boards.board_facts import BLOCK
from limpet.boards.node_files import LISTING

OTHER = {"a": "b", "b": "a"}
# littlefs keeps a shorter file beside its name.
_INLINE = 128
# For folders, names and the node's own next files.
_SPARE_BLOCKS = 8

CONFIG = "/config.json"
# What a slot has for itself beside its code: the config that goes into use with it where that is
# not /config.json (firmware/main.py), and the last one that its code took (device/boots.py).
NEXT, LAST = "config.next", "config.last"


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
