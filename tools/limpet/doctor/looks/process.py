"""The process that listens on a port of this machine, on Linux: how many files it may open.

Only one's own processes can be seen like this, or all of them as root.
"""

import contextlib
import os
import re
from pathlib import Path

from limpet.doctor.facts import Process

_PROC = Path("/proc")
_LISTENS = "0A"


def listening(port: int) -> Process | None:
    """Return the process that listens on `port`; None where it cannot be seen."""
    inodes = _inodes(port)
    for folder in _PROC.glob("[0-9]*") if inodes else ():
        with contextlib.suppress(OSError):  # another's, or gone
            files = [os.readlink(each) for each in (folder / "fd").iterdir()]
            if any(f"socket:[{inode}]" in files for inode in inodes):
                return Process(int(folder.name), len(files), _most(folder))
    return None


def _inodes(port: int) -> list[str]:
    """Return the sockets that listen there, of any address (proc(5), /proc/net/tcp)."""
    found = []
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (_PROC / "net" / name).read_text().splitlines()[1:]:
                _, at, _, state, *rest = line.split()
                if state == _LISTENS and at.endswith(f":{port:04X}"):
                    found.append(rest[5])
    return found


def _most(folder: Path) -> int:
    found = re.search(r"^Max open files +(\d+)", (folder / "limits").read_text(), re.MULTILINE)
    return int(found[1]) if found else 0
