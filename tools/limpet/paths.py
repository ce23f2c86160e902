"""Where things are in the repository, and how a folder below build/ is filled once and for all."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
FIRMWARE = REPO / "firmware"
LIB = REPO / "lib"
HOST_BOARD = REPO / "boards" / "host"
CAPTURES = HOST_BOARD / "captures"
BUILD = REPO / "build"
DEV = BUILD / "dev"


@contextmanager
def filled_once(folder: Path) -> Iterator[Path | None]:
    """Yield an empty folder that becomes `folder` if the block succeeds; None if that is there.

    One process fills while the others wait: tests run in parallel. What an interrupted one left is
    thrown away, so `folder` is either whole or not there.
    """
    if folder.is_dir():
        yield None
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_name(folder.name + ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.is_dir():
            yield None
            return
        new = folder.with_name(folder.name + ".new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        yield new
        os.replace(new, folder)
