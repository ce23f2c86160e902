"""A version of the node's code, this checkout's or an earlier one's, and scripts run over it.

Neither is changed: what an earlier commit held is unpacked below build/.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from limpet.node_host import debian
from limpet.node_host.bytecode import ROM, compiled
from limpet.node_host.environment import environment
from limpet.node_host.interpreter import micropython
from limpet.node_host.umqtt import umqtt_dir
from limpet.shared.filling import filled_once
from limpet.shared.paths import CACHE, REPO
from limpet.shared.problem import Problem

SCRIPTS = Path(__file__).with_name("scripts")
# Far above what any run takes, so that only a hang meets it.
TIMEOUT_S = 120
# How a script says what it has measured, among what the node says.
MARK = "BENCH "

HERE = "here"
FORMS = ("source", "bytecode", "frozen")
MOUNT = """
def mount(image):
    import ffi, os, uctypes, vfs
    size = os.stat(image)[6]
    rom = uctypes.bytearray_at(ffi.open(None).func("p", "malloc", "L")(size), size)
    with open(image, "rb") as file:
        file.readinto(rom)
    vfs.mount(vfs.VfsRom(rom), "/rom")
mount({rom!r})
del mount
"""


class Unmeasured(Exception):
    """A figure cannot be taken here; the text says why."""


class Tree:
    """The node's code below `root`, as the reports name it: "here" or a commit."""

    def __init__(self, root: Path = REPO, name: str = HERE) -> None:
        self.name = name
        self.firmware = root / "firmware"
        # What a node is made of; a script finds its own modules behind it.
        self.node = (
            self.firmware,
            root / "lib",
            root / "boards" / "host",
            umqtt_dir().resolve(),
        )
        self.folders = (*self.node, SCRIPTS)

    def run(self, script: str, flash: Path, settings: Mapping[str, Any], **how: Any) -> Any:
        """Run `script` (a module of scripts/) in the folder `flash` and return what it measured.

        how: see `start`. Raises Unmeasured with its last words when it says nothing.
        """
        return self.measured(script, flash, settings, **how)[0]

    def measured(
        self, script: str, flash: Path, settings: Mapping[str, Any], **how: Any
    ) -> tuple[Any, str]:
        """As `run`, and all that was said on stderr."""
        with self.start(script, flash, settings, **how) as process:
            try:
                said, errors = process.communicate(timeout=TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise Unmeasured(f"{script} did not end within {TIMEOUT_S} s") from None
            except BaseException:
                process.kill()
                raise
        found = [line for line in said.splitlines() if line.startswith(MARK)]
        if not found:
            last = " / ".join((said + errors).splitlines()[-4:])
            raise Unmeasured(f"{script} ended with {process.returncode}: {last}")
        said_last = json.loads(found[-1][len(MARK) :])
        if "lacks" in said_last:
            raise Unmeasured(f"{self.name} has no {said_last['lacks']}")
        return said_last, errors

    def start(
        self,
        script: str,
        flash: Path,
        settings: Mapping[str, Any],
        *,
        form: str = "source",
        arch: str = debian.HOST,
        heap: str | None = None,
        under: tuple[str, ...] = (),
    ) -> subprocess.Popen[str]:
        """Start `script` in the folder `flash`, with `settings` for it to read; `sensors` among
        them is what stands on the table (LIMPET_SENSORS).

        form: of FORMS, how the modules lie there. under: a command line that runs the interpreter.
        """
        self.prepare(flash)
        path, rom = self.modules(form)
        if form != "source":
            path = _near(flash, path)
        code = MOUNT.format(rom=str(rom)) if rom else ""
        options = ["-X", f"heapsize={heap}"] if heap else []
        return subprocess.Popen(
            [*under, *micropython(arch), *options, "-c", f"{code}import {script}"],
            cwd=flash,
            env=environment(path, rom, sensors=str(settings.get("sensors", "")))
            | {"BENCH": json.dumps(settings)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )

    @contextlib.contextmanager
    def if_there(self) -> Iterator[None]:
        """Leave out what is measured here where an earlier version lacks it; its cell is empty."""
        try:
            yield
        except Unmeasured:
            if self.name == HERE:
                raise

    def prepare(self, flash: Path) -> None:
        """Give a version from before there were identity and settings its config in one file."""
        if (self.firmware / "device" / "upgrade.py").exists():
            return
        fields: dict[str, Any] = {}
        for name in ("identity.json", "settings.json"):
            fields |= json.loads((flash / name).read_text())
        for name in ("v", "version"):
            fields.pop(name, None)
        (flash / "config.json").write_text(json.dumps(fields))

    def modules(self, form: str) -> tuple[list[Path], Path | None]:
        """The folders on the node's path in this form, and the image that stands for its flash."""
        if form == "source":
            return list(self.folders), None
        folders, rom = compiled(*self.folders, frozen=form == "frozen")
        return [*folders, Path(ROM)], rom


def _near(flash: Path, folders: list[Path]) -> list[Path]:
    """`folders` under names as short as a chip's `/a`: the path of each module is in the heap, so
    else a measurement would hang on where this checkout lies.
    """
    short: list[Path] = []
    for number, folder in enumerate(folders):
        link = flash / f".{number}"
        if folder == Path(ROM):
            link = folder
        elif not link.is_symlink() or link.readlink() != folder:
            link.unlink(missing_ok=True)
            link.symlink_to(folder)
        short.append(link if link == folder else Path(link.name))
    return short


def commit(ref: str) -> Tree:
    """The node's code as it was at `ref`, unpacked once. Raises Problem for what git does not
    know.
    """
    line = ["git", "-C", str(REPO), "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}"]
    if not shutil.which("git"):
        raise Problem("There is no git here.", "Install git, or leave out --against.")
    found = subprocess.run(line, capture_output=True, text=True, timeout=60).stdout.strip()
    if not re.fullmatch(r"[0-9a-f]{40}", found):
        raise Problem(f"git knows no commit {ref}.", "Name a commit, a tag or HEAD~10.")
    folder = CACHE / "bench" / found[:12]
    with filled_once(folder) as new:
        if new:
            archive = ["git", "-C", str(REPO), "archive", found, "firmware", "lib", "boards"]
            tar = subprocess.run(archive, capture_output=True, check=True, timeout=60).stdout
            subprocess.run(["tar", "-x", "-C", str(new)], input=tar, check=True, timeout=60)
    return Tree(folder, ref)
