"""Where things are, in a clone and in an installed limpet, and how a folder that can be had again
is filled once and for all.
"""

import errno
import fcntl
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from platformdirs import user_cache_path, user_data_path

from limpet.shared.problem import Problem

_PACKAGE = Path(__file__).resolve().parents[1]
# What pyproject.toml puts into the wheel; a clone has it at its root.
_CARRIED = _PACKAGE / "sources"
INSTALLED = _CARRIED.is_dir()
# The folder of firmware/, lib/ and boards/, which nobody writes to.
SOURCES = _CARRIED if INSTALLED else _PACKAGE.parents[1]
# For the tests and the bench, which only a clone has.
REPO = SOURCES
FIRMWARE = SOURCES / "firmware"
LIB = SOURCES / "lib"
BOARDS = SOURCES / "boards"
HOST_BOARD = BOARDS / "host"
CAPTURES = HOST_BOARD / "captures"
# What can be fetched or made again, and what cannot: keys, and images that hold them. A clone has
# both in one folder, of which `make clean` knows the parts.
BUILD = user_cache_path("limpet", False) if INSTALLED else SOURCES / "build"
DATA = user_data_path("limpet", False) if INSTALLED else SOURCES / "build"
DEV = DATA / "dev"

# Who waits longer than this for another process says so.
TELL_S = 2.0
INTERRUPTED = "limpet: interrupted; start again, it goes on where it stopped."
_REMEDIES = {
    errno.ENOSPC: "Make room and start again.",
    errno.EDQUOT: "Make room and start again.",
    errno.EACCES: "Make that writable for you, or take a clone that is.",
    errno.EPERM: "Make that writable for you, or take a clone that is.",
    errno.EROFS: "Make that writable for you, or take a clone that is.",
    errno.ENOTDIR: "Move that out of the way.",
    errno.EEXIST: "Move that out of the way.",
}


@contextmanager
def filled_once(folder: Path) -> Iterator[Path | None]:
    """Yield an empty folder that becomes `folder` if the block succeeds; None if that is there.

    One process fills while the others wait: tests run in parallel. What an interrupted one left is
    thrown away, so `folder` is either whole or not there.
    """
    if folder.is_dir():
        yield None
        return
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with open(folder.with_name(folder.name + ".lock"), "w") as lock:
            _wait_for(lock, folder)
            if folder.is_dir():
                yield None
                return
            new = folder.with_name(folder.name + ".new")
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir()
            yield new
            os.replace(new, folder)
    except KeyboardInterrupt:
        # As the stages before say it, in tools/bootstrap.py.
        print(f"\n{INTERRUPTED}", file=sys.stderr, flush=True)
        raise
    except OSError as error:
        if error.errno not in _REMEDIES:
            raise
        where = error.filename or folder
        raise Problem(f"{where}: {error.strerror}.", _REMEDIES[error.errno]) from None


def _wait_for(lock: IO[str], folder: Path) -> None:
    told_at = time.monotonic() + TELL_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > told_at:
                break
            time.sleep(0.05)
        else:
            return
    print(f"limpet: Another process makes {folder}: waiting for it", file=sys.stderr, flush=True)
    fcntl.flock(lock, fcntl.LOCK_EX)
