"""Locks that go with the process, however it ends.

`alone` is for a piece of work that one process does at a time. `take` and `held` are for the rest:
what is locked is a file or a folder that is there anyway; `take` lets many hold it, if they all say
`shared`. Nothing but the standard library is loaded with this module: tools/limpet_setup/ uses
`take`.

A lock keeps off only those who ask for it. It does not last over a copy or a rename of the file.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from limpet.shared.problem import Problem

# Who waits longer than this for another process says so.
TELL_S = 2.0

if sys.platform == "win32":
    import msvcrt

    # Windows keeps everybody from reading what is locked: a byte far behind the end of the file.
    _BYTE = 1 << 30

    def take(descriptor: int, *, shared: bool = False) -> bool:
        """Lock the open file `descriptor` until it is closed; False if somebody else has it.

        Nothing is locked for `shared`: no set-up of ours is made on Windows.
        """
        if shared:
            return True
        try:
            os.lseek(descriptor, _BYTE, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def take(descriptor: int, *, shared: bool = False) -> bool:
        """Lock the open file or folder `descriptor` until it is closed, by this process and those
        that inherited it; False if somebody else has it.

        `shared`: others may hold it as well, if all of them say so. Raises OSError.
        """
        how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextlib.contextmanager
def held(path: Path, cause: str, remedy: str) -> Iterator[None]:
    """Hold `path`, a file or a folder that is there anyway. Raises Problem(cause, remedy) where
    somebody has it, and OSError.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if not take(descriptor):
            raise Problem(cause, remedy)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def alone(path: Path, waiting: str = "", limit_s: float = 60.0) -> Iterator[None]:
    """Hold the lock file `path`, which is empty, made and removed again; one thread of one process
    at a time does.

    `waiting`, if that is anything, is said after TELL_S of waiting. Raises Problem after `limit_s`
    seconds, and OSError where the file cannot be made.
    """
    # Imported here: it takes 60 ms, and most starts need it not.
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        try:
            lock.acquire(timeout=min(TELL_S, limit_s))
        except Timeout:
            if waiting:
                print(f"limpet: {waiting}", file=sys.stderr, flush=True)
            lock.acquire(timeout=max(limit_s - TELL_S, 0))
    except Timeout:
        raise Problem(f"Another process holds {path}.", "End it, or wait for its end.") from None
    try:
        yield
    finally:
        # While it is held: who waits for it looks whether what he gets still has a name. Windows
        # removes nothing that is open; filelock does it there.
        with contextlib.suppress(OSError):
            path.unlink()
        lock.release()
