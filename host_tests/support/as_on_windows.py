"""`limpet` without what Windows lacks: `python as_on_windows.py WORDS...`

Its own modules see other `os`, `signal`, `select` and `sys` than there are, and cannot import what
Windows has not. The libraries underneath have a half of their own for Windows; they go on with this
system's. What only Windows has (its console, its ports) is not here. A text file that is read or
written without saying how it is encoded is an error: there it would not be UTF-8.
"""

from __future__ import annotations

import builtins
import os
import sys
import types
import warnings
from fcntl import LOCK_EX, LOCK_NB, flock
from typing import Any

LACKS = {
    "os": "O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_NONBLOCK chown chroot fchmod fchown fork forkpty "
    "getegid geteuid getgid getgroups getpgid getpgrp getuid killpg mkfifo openpty setgid setsid "
    "setuid statvfs sync uname",
    "signal": "SIGALRM SIGCHLD SIGCONT SIGHUP SIGKILL SIGQUIT SIGTSTP SIGUSR1 SIGUSR2 alarm pause "
    "pthread_kill pthread_sigmask setitimer sigwait",
    "select": "epoll poll",
    "sys": "",
}
MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
_import = builtins.__import__


class Lacking(types.ModuleType):
    """A module of this system without `names`, and with `others` instead of its own."""

    def __init__(self, name: str, names: str, **others: Any) -> None:
        super().__init__(name)
        vars(self).update(others, _real=_import(name), _names=set(names.split()))

    def __getattr__(self, name: str) -> Any:
        if name in self._names:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(self._real, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._real, name, value)


def windows_open(path: Any, flags: int, *rest: Any, **how: Any) -> int:
    """Open a file. Windows opens no folder."""
    if os.path.isdir(path):
        raise PermissionError(13, "Permission denied", path)
    return os.open(path, flags, *rest, **how)


def locking(descriptor: int, mode: int, size: int) -> None:
    """Lock a file, as the msvcrt of Windows does, or say that somebody else has it."""
    try:
        flock(descriptor, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        raise PermissionError(13, "Permission denied") from None


SEEN: dict[str, types.ModuleType] = {name: Lacking(name, names) for name, names in LACKS.items()}
vars(SEEN["os"]).update(name="nt", open=windows_open)
vars(SEEN["sys"]).update(platform="win32")
SEEN["msvcrt"] = types.ModuleType("msvcrt")
vars(SEEN["msvcrt"]).update(locking=locking, LK_NBLCK=2)


def import_as_there(name: str, scope: Any = None, *rest: Any, **how: Any) -> Any:
    """Import for limpet's modules what they would see on Windows, for others what there is."""
    if str((scope or {}).get("__name__", "")).startswith("limpet."):
        if name in SEEN:
            return SEEN[name]
        if name in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return _import(name, scope, *rest, **how)


if __name__ == "__main__":
    # A program speaks as the system does, other than a file: subprocess's warning ends in a stop.
    said = "'encoding' argument not specified$"
    warnings.filterwarnings("error", said, EncodingWarning, r"limpet\.")
    builtins.__import__ = import_as_there  # type: ignore[assignment]
    from limpet.cli import main

    sys.argv[0] = "limpet"
    main()
