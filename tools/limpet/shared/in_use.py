"""Says, while a program of ours runs, that its environment is in use: `make clean` leaves it then.

The mark that tools/limpet_setup/ left in it is locked, by as many as there are. It keeps nobody
from starting.
"""

import contextlib
import os
import sys

from limpet.shared import locks


def hold() -> None:
    """Hold the environment until this process ends. In one that is not ours there is no mark."""
    with contextlib.suppress(OSError):
        mark = os.open(os.path.join(sys.prefix, "limpet-made"), os.O_RDONLY)
        locks.take(mark, shared=True)
