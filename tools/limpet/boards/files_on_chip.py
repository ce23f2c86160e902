"""What is in the file system of a board, read block by block through whatever reads its flash.

It writes nothing, and reads no file but the identity, and of that no more than the device's name.
"""

from collections.abc import Callable
from dataclasses import dataclass

from littlefs import LittleFS, LittleFSError, UserContext

from limpet.boards.board_facts import BLOCK
from limpet.identity import device_config

# MicroPython makes this one by itself on a flash that it finds empty.
_OWN = {"boot.py"}
_NAMED_IN = (device_config.IDENTITY, device_config.SPARE, device_config.OLD)
_OF_A_NODE = {"slot", *_NAMED_IN}


@dataclass(frozen=True)
class Files:
    """A file system of `blocks` blocks, the `names` in its root, and whose identity is there."""

    blocks: int
    names: frozenset[str]
    device_id: str | None

    @property
    def of_node(self) -> bool:
        """Whether a node has it: one that was flashed or deployed, provisioned or not."""
        return bool(self.names & _OF_A_NODE)

    @property
    def of_somebody(self) -> bool:
        """Whether anything is there that MicroPython did not put there by itself."""
        return bool(self.names - _OWN)


class _Remote(UserContext):
    """A littlefs's blocks, fetched one by one when they are asked for."""

    def __init__(self, fetch: Callable[[int], bytes]) -> None:
        super().__init__(buffer=bytearray())
        self.error: BaseException | None = None
        self._fetch = fetch
        self._blocks: dict[int, bytes] = {}

    def read(self, cfg: object, block: int, off: int, size: int) -> bytearray:
        """Return a piece of a block."""
        # What a callback raises would be lost in the C code between: kept, and raised later.
        if block not in self._blocks and not self.error:
            try:
                self._blocks[block] = self._fetch(block)
            except BaseException as error:  # noqa: BLE001 - Ctrl-C is one, too
                self.error = error
        return bytearray(self._blocks.get(block, b"\xff" * BLOCK)[off : off + size])


def look(fetch: Callable[[int], bytes]) -> Files | None:
    """Return what is in the file system whose block i is `fetch(i)`; None if it is none.

    Whatever `fetch` raises is raised.
    """
    blocks = _Remote(fetch)
    try:
        found = _look(blocks)
    except (LittleFSError, UnicodeError):
        found = None
    if blocks.error:
        raise blocks.error
    return found


def _look(blocks: UserContext) -> Files:
    # No number of blocks: it is taken from the superblock.
    files = LittleFS(blocks, mount=False, block_size=BLOCK, block_count=0)
    files.mount()
    device_id = None
    names = frozenset(files.listdir("/"))
    for name in _NAMED_IN:
        if name in names and device_id is None:
            device_id = _device_id(files, name)
    return Files(files.block_count, names, device_id)


def _device_id(files: LittleFS, name: str) -> str | None:
    try:
        with files.open(f"/{name}", "rb") as file:
            said = (device_config.opened(file.read()) or {}).get("device_id")
    except LittleFSError:
        return None  # a node's, even so
    return said if isinstance(said, str) else None
