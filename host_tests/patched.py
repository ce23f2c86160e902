"""A copy of the firmware with faults put in: a node that is stuck, or that crashes."""

from __future__ import annotations

import shutil
from pathlib import Path

from limpet.paths import FIRMWARE


def patched(folder: Path, *patches: tuple[str, str, str]) -> Path:
    """Copy the firmware into `folder`, apply `patches`, and return the folder.

    A patch is a file, a text that is there once, and what replaces it.
    """
    shutil.copytree(FIRMWARE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name, old, new in patches:
        path = folder / name
        text = path.read_text()
        assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {name}"
        path.write_text(text.replace(old, new))
    return folder


def mended(folder: Path, name: str) -> None:
    """Put the file `name` back as it is in the firmware."""
    shutil.copyfile(FIRMWARE / name, folder / name)
