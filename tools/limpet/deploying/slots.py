"""The two slots of a node: what is in them, and what makes one of them the target.

Pure: surveying.py has the board tell what is there.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from limpet.boards.board_facts import BLOCK
from limpet.boards.node_files import LISTING
from limpet.identity import device_config
from limpet.identity.device_config import IDENTITY, SETTINGS, SPARE
from limpet.shared.firmware import config

OTHER = {"a": "b", "b": "a"}
# littlefs keeps a shorter file beside its name.
_INLINE = 128
# For folders, names and the node's own next files.
_SPARE_BLOCKS = 8

# Both copies of the identity.
COPIES = (f"/{IDENTITY}", f"/{SPARE}")
# The last settings that a slot's code took (device/boots.py).
LAST = "settings.last"
# What code has from before identity and settings were two files: one config for all, or the one
# that goes into use with its slot (firmware/main.py); and the last one that it took.
CONFIG = f"/{device_config.OLD}"
OLD_NEXT, OLD_LAST = "config.next", "config.last"
# How what a slot has for itself begins; the code has modules of these names.
_OWN, _CODE = ("settings.", "config."), (".mpy", ".py")


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
    because that cannot start (see firmware/main.py). configs: texts of identity, settings and
    configs by absolute path.
    files: by absolute path, of the root only what a deploy looks after. modules: where a module of
    a SHA-256 begins in a file of many (see limpet/boards/archive.py), by path and that.
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
    modules: dict[tuple[str, str], int]

    @property
    def identity(self) -> dict[str, Any] | None:
        """Whose it is, and how it gets to its broker; None when it has not been told."""
        for path in COPIES:
            if (found := device_config.opened(self.configs.get(path))) is not None:
                return found
        old = self._old_config()
        return old if old is None else config.split(old)[0]

    @property
    def settings(self) -> dict[str, Any] | None:
        """The settings of the slot that runs; None when there are none."""
        found = device_config.opened(self.configs.get(f"/{self.slot}/{SETTINGS}"))
        old = self._old_config()
        return found if found is not None or old is None else config.split(old)[1]

    @property
    def fields(self) -> dict[str, Any]:
        """What both say, as of a device's folder."""
        found = (self.identity or {}) | (self.settings or {})
        return {name: value for name, value in found.items() if name not in ("v", "version")}

    def _old_config(self) -> dict[str, Any] | None:
        return device_config.opened(self.configs.get(self.config_path(self.slot or "")))

    def config_path(self, slot: str) -> str:
        """Where the config of code from before is, or has to be."""
        own = f"/{slot}/{OLD_NEXT}"
        return own if own in self.configs else CONFIG

    def is_old(self, slot: str) -> bool:
        """Whether a slot has finished code that wants a config of before."""
        finished = f"/{slot}/{LISTING}" in self.files
        has_config = self.config_path(slot) in self.configs
        return finished and has_config and f"/{slot}/{SETTINGS}" not in self.configs

    def slot_files(self, slot: str) -> dict[str, File]:
        """The code that is in a slot, and its list, by path in there."""
        start = f"/{slot}/"
        found = {p.removeprefix(start): f for p, f in self.files.items() if p.startswith(start)}
        return {name: file for name, file in found.items() if not _is_own(name)}

    def kept_by(self, slot: str) -> list[str]:
        """What a slot has for itself beside its code, and what was to be that, by path in there."""
        start = f"/{slot}/"
        names = [path.removeprefix(start) for path in self.files if path.startswith(start)]
        return [name for name in names if _is_own(name)]


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


def _is_own(name: str) -> bool:
    """Whether a file in a slot is what that has for itself beside its code."""
    return name.startswith(_OWN) and not name.endswith(_CODE)


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
