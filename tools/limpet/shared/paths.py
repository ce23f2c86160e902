"""Where things are in the repository, and how a folder below build/ is filled once and for all."""

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

from limpet.shared.problem import Problem

REPO = Path(__file__).resolve().parents[3]
FIRMWARE = REPO / "firmware"
LIB = REPO / "lib"
HOST_BOARD = REPO / "boards" / "host"
CAPTURES = HOST_BOARD / "captures"
BUILD = REPO / "build"
DEV = BUILD / "dev"

# Who waits longer than this for another process says so.
TELL_S = 2.0
INTERRUPTED = "limpet: interrupted; call make again, it goes on where it stopped."
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
