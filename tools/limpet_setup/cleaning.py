"""Removes what was set up and can be had again.

It never removes a .venv that is not ours, or anything that cannot be had again.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from limpet.shared import locks
from limpet.shared.progress import Line

from limpet_setup import venv
from limpet_setup.steps import refuse

# What the tools put below build/ and can get or make again; `run` and `load` are what `limpet run`
# and `limpet fleet run` made for themselves. Not among it: dev, trial, images and whatever else a
# user had made there, with keys that boards out there have.
CACHES = [
    "axe-core",
    "bench",
    "bytecode",
    "chaos",
    "debian",
    "docs",
    "docs-env",
    "docs-pages",
    "homeassistant",
    "load",
    "micropython",
    "run",
    "umqtt",
    "uv",
    "virtual",
]

# By this file a folder is a fleet (limpet/identity/fleet_folder.py).
FLEET = "limpet.toml"


def clean() -> None:
    """Remove our .venv and what of build/ can be had again; say what stays."""
    ours = venv.is_ours()
    with venv.alone(), unused() if ours else contextlib.nullcontext():
        line = Line("Removing what can be had again", sys.stdout)
        if ours and venv.VENV.is_symlink():
            venv.VENV.unlink()
        elif ours and venv.VENV.exists():
            line.say(venv.VENV.name)
            venv.empty()
            shutil.rmtree(str(venv.VENV))
        for name in CACHES:
            line.say("build/" + name)
            for suffix in ("", ".lock", ".new"):
                if not holds_fleet(path := venv.BUILD / (name + suffix)):
                    venv.remove(path)
        line.end()
    if not ours:
        print("limpet: " + str(venv.VENV) + " stays: Limpet did not make it")
    with contextlib.suppress(OSError):
        venv.BUILD.rmdir()
    kept = sorted(path.name for path in venv.BUILD.iterdir()) if venv.BUILD.exists() else []
    if kept:
        print("limpet: Kept, for their keys and results: " + ", ".join("build/" + k for k in kept))


def holds_fleet(path: Path) -> bool:
    """Whether somebody has a fleet in the folder `path`: it may be the only place of its keys."""
    return not path.is_symlink() and any(path.rglob(FLEET))


@contextlib.contextmanager
def unused() -> Iterator[None]:
    """Hold our .venv; ends the program where a tool of it runs (limpet/shared/in_use.py)."""
    with open(str(venv.made())) if venv.made().exists() else contextlib.nullcontext() as mark:
        if mark and not locks.take(mark.fileno()):
            refuse(
                "A program of this clone runs (limpet, make run, make test). Nothing was changed.",
                "End it, and call make again.",
            )
        yield
