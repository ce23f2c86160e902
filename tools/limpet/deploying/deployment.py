"""One deploy, from what is on a board to its reset: what differs is sent, verified, put in use."""

import contextlib
import time
from collections.abc import Callable, Iterator
from hashlib import sha256

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from limpet.boards import archive
from limpet.boards.board_facts import BLOCK
from limpet.boards.node_files import LISTING, STARTERS
from limpet.deploying import modules, slots, surveying
from limpet.deploying.own_files import OwnFiles
from limpet.deploying.remote import Remote
from limpet.deploying.slots import OTHER, Plan, Survey
from limpet.identity.device_config import SETTINGS, opened
from limpet.identity.device_folder import DeviceFolder
from limpet.shared.paths import FIRMWARE
from limpet.shared.plain import plural
from limpet.shared.problem import Problem

KEPT = "The board keeps its old version"
ROOM = (
    "Let the node deliver the Readings that it has stored, or begin anew: limpet flash BOARD "
    "--erase."
)

Count = Callable[[int], None]


class Deployment:
    """What `code`, a slot's files, and a device's `folder`, or none, become on the board.

    `committed`: whether the board has the new version, or had it before; None for a moment, when it
    was told to take it and has not answered yet.
    """

    def __init__(
        self, code: dict[str, bytes], folder: DeviceFolder | None, there: Survey, remote: Remote
    ) -> None:
        self.committed: bool | None = False
        self._code = code
        self._folder = folder
        self._there = there
        self._remote = remote
        self._files = self._bytes = self._copied = 0  # a module counts as a file
        in_use = there.slot_files(there.slot) if there.slot else {}
        self._new_code = bool(slots.differs(code, in_use))
        target = OTHER[there.slot] if there.slot else "a"
        self._plan = slots.plan(code, target, there) if self._new_code else Plan(target)
        inside = code.get(archive.NAME, b"") if archive.NAME in self._plan.send else b""
        self._steps = modules.steps(inside, target, there) if inside else []
        self._own = OwnFiles(folder, there, target if self._new_code else None)
        self._root = self._other_files()
        print(f"config   {self._own.said}")
        self._unwanted = self._left_behind()

    def run(self) -> None:
        """Do it all, and reset the board. Raises Problem, NoRoom, or RuntimeError by the board."""
        began = time.monotonic()
        if self._there.fallen and self._there.slot:
            # What is written from here on is written into a slot that is not in use.
            self._point_to(self._there.slot)
        if self._new_code or self._root or self._unwanted or not self._own.nothing:
            self._make_room()
            with _progress(self._bytes_to_send()) as count:
                self._fill(count)
                self._put_root(count)
                if self._new_code:
                    self._complete(count)
                elif self._own.settings:
                    self._put_settings(count)
                self._put_identity(count)
                self.committed = True
                surveying.tidy(self._remote, [f"/{self._plan.slot}"] if self._new_code else [])
        self.committed = True
        self._say(time.monotonic() - began)
        # What the version before has handed over: how often it failed to connect, and why it reset.
        self._remote.run("import machine\nmachine.RTC().memory(b'')")
        self._remote.set_clock()
        print(time.strftime("clock    %Y-%m-%d %H:%M:%S UTC", time.gmtime()))
        self._remote.reset()

    # -- what has to be done -----------------------------------------------------------------------

    def _other_files(self) -> dict[str, bytes]:
        """What goes into the root, but for the config, by path."""
        files = {f"/{name}": (FIRMWARE / name).read_bytes() for name in STARTERS}
        if self._folder:
            ours = self._folder.files
            files |= {f"/{name}": ours[name] for name in ours if name.endswith(".der")}
        there = self._there.files
        return {path: data for path, data in files.items() if not slots.same(data, there.get(path))}

    def _left_behind(self) -> list[str]:
        """Files in the root that an earlier deploy has left, and that nothing names any more."""
        kept = [opened(text) or {} for text in self._there.configs.values()]
        named = {f"/{each.get(name)}" for each in kept for name in ("ca", "cert", "key")}
        if self._folder:
            named |= {f"/{name}" for name in self._folder.files}
        root = [path for path in self._there.files if path.count("/") == 1]
        old = [
            path
            for path in root
            if path.endswith(".der") and path not in named and self._there.fields
        ]
        return old + [path for path in root if path.endswith((".part", ".new"))]

    def _make_room(self) -> None:
        """See whether there is room, and only then remove what is not wanted."""
        unwanted = self._unwanted
        root = self._root | self._own.root
        missing = slots.missing_blocks(self._plan, self._code, root, self._there, unwanted)
        if missing > 0:
            kilobytes = missing * BLOCK // 1024
            cause = f"The board's file system lacks {kilobytes} KB for the new version."
            raise Problem(f"{cause} {KEPT}.", ROOM)
        for path in [*unwanted, *(self._in_slot(name) for name in self._plan.remove)]:
            self._remote.remove(path)
        if not self._plan.empty:
            wanted = set(map(self._in_slot, slots.folders(self._code)))
            for folder in sorted(self._there.folders, reverse=True):
                if folder.startswith(self._in_slot("")) and folder not in wanted:
                    self._remote.remove_folder(folder)

    def _bytes_to_send(self) -> int:
        sizes = [len(self._code[name]) for name in self._plan.send if name != archive.NAME]
        sizes += [len(each.data) for each in self._steps if each.at is None]
        return sum(sizes) + sum(map(len, self._root.values())) + self._own.size

    # -- doing it ----------------------------------------------------------------------------------

    def _in_slot(self, name: str) -> str:
        return f"/{self._plan.slot}/{name}"

    def _fill(self, count: Count) -> None:
        """Make the slot that is not in use the target, all but its list."""
        if self._plan.empty:
            return
        folders = [f"/{self._plan.slot}", *map(self._in_slot, slots.folders(self._code))]
        for folder in folders:
            if folder not in self._there.folders:
                self._remote.make_folder(folder)
        for name in self._plan.copy:
            path = self._in_slot(name)
            surveying.copy(self._remote, f"/{OTHER[self._plan.slot]}/{name}", path)
            self._verify(path, self._code[name])
            self._copied += 1
        if archive.NAME in self._plan.send:
            self._fill_modules(self._code[archive.NAME], count)
        for name in self._plan.send:
            if name not in (archive.NAME, LISTING):
                self._send(self._in_slot(name), self._code[name], count)

    def _fill_modules(self, data: bytes, count: Count) -> None:
        """Make the file with the modules out of what is there and what is not."""
        slot, path = self._plan.slot, self._in_slot(archive.NAME)
        other = f"/{OTHER[slot]}/{archive.NAME}"
        if path in self._there.files and not modules.begun(data, slot, self._there):
            self._remote.remove(path)
        for each in self._steps:
            if each.at is not None:
                surveying.copy_piece(self._remote, other, each.at, len(each.data), path)
                self._copied += each.modules
            else:
                self._remote.append(path, each.data, count)
                self._files += each.modules
                self._bytes += len(each.data)
        self._verify(path, data)

    def _put_root(self, count: Count) -> None:
        """Each of these is whole or not there; what runs now goes on with either."""
        for path, data in self._root.items():
            self._send(f"{path}.part", data, count)
            self._remote.rename(f"{path}.part", path)

    def _complete(self, count: Count) -> None:
        """Give the new slot its settings and its list, and put it in use."""
        slot, there = self._plan.slot, self._there
        part, path = f"/{slot}/settings.part", f"/{slot}/{SETTINGS}"
        if self._own.settings:
            self._send(part, self._own.settings, count)
            self._remote.rename(part, path)
        elif f"/{there.slot}/{SETTINGS}" in there.configs:
            surveying.copy(self._remote, f"/{there.slot}/{SETTINGS}", part)
            self._verify(part, there.configs[f"/{there.slot}/{SETTINGS}"])
            self._remote.rename(part, path)
        if LISTING in self._plan.send:
            self._send(self._in_slot(LISTING), self._code[LISTING], count)
        self.committed = None
        self._point_to(slot)

    def _put_settings(self, count: Count) -> None:
        """Put other settings in use. The other slot keeps its own."""
        slot = self._there.slot
        self._send(f"/{slot}/settings.part", self._own.settings or b"", count)
        self.committed = None
        self._remote.rename(f"/{slot}/settings.part", f"/{slot}/{SETTINGS}")

    def _put_identity(self, count: Count) -> None:
        """Put another identity in use, whatever code runs: nothing may fall back to what it was.

        identity.json comes first: where the copies differ, the node takes that for the newer one.
        """
        for path, data in self._own.root.items():
            self.committed = None
            self._send(f"{path}.part", data, count)
            self._remote.rename(f"{path}.part", path)
        for path in self._own.gone:
            self._remote.remove(path)

    def _point_to(self, slot: str) -> None:
        """Put a slot in use."""
        self._write("/slot.new", f"{slot}\n".encode(), lambda _: None)
        self._remote.rename("/slot.new", "/slot")

    def _send(self, path: str, data: bytes, count: Count) -> None:
        self._write(path, data, count)
        self._files += 1
        self._bytes += len(data)

    def _write(self, path: str, data: bytes, count: Count) -> None:
        self._remote.write(path, data, count)
        self._verify(path, data)

    def _verify(self, path: str, data: bytes) -> None:
        if surveying.digest(self._remote, path) != sha256(data).hexdigest():
            raise RuntimeError(f"{path} is not what was sent")

    def _say(self, took_s: float) -> None:
        if not self._files and not self._new_code:
            print("code     nothing is new: nothing was copied")
            return
        copied = f", {self._copied} copied on the board" if self._copied else ""
        slot = f", slot {self._plan.slot}" if self._new_code else ""
        sent = f"{plural(self._files, 'file')} sent, {self._bytes} bytes"
        print(f"code     {sent}, in {took_s:.1f} s{copied}{slot}")


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Count]:
    """A bar on a terminal, of bytes sent."""
    columns = (TextColumn("sending"), BarColumn(), DownloadColumn())
    # Standard error: while mpremote talks, its remarks on standard output are kept back.
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=total)
        yield lambda count: bar.advance(task, count)
