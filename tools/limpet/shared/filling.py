"""How a folder of what can be had or made again is filled, once and for all."""

import errno
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from limpet.shared import locks
from limpet.shared.problem import Problem

# Whoever fills a folder may have a slow network.
WAIT_S = 3600.0
INTERRUPTED = "limpet: interrupted; start again, it goes on where it stopped."
_REMEDIES = {
    errno.ENOSPC: "Make room and start again.",
    errno.EDQUOT: "Make room and start again.",
    errno.EACCES: "Make that writable for you.",
    errno.EPERM: "Make that writable for you.",
    errno.EROFS: "Make that writable for you.",
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
        waiting = f"Another process makes {folder}: waiting for it"
        with locks.alone(folder.with_name(folder.name + ".lock"), waiting, WAIT_S):
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
