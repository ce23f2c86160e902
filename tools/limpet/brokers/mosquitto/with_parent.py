"""A program that ends with who started it, however that ends.

`python with_parent.py PARENT WORD...` becomes the program of WORD..., by exec, so that its process
id is the one that was started. On Linux the kernel sends it SIGTERM when its parent is gone
(prctl(2), PR_SET_PDEATHSIG), which an exec leaves as it is. Elsewhere it is the program alone. It
imports nothing of limpet: it is run with `-I -S`, to start fast.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def end_with(parent: int, by: int) -> bool:
    """Have the kernel send us the signal `by` when our parent, the process `parent`, is gone; False
    if it is already. Only Linux can: elsewhere nothing is asked for.
    """
    if sys.platform != "linux":
        return True
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(by))
    # A parent that ended before that call is told of by nobody.
    return os.getppid() == parent


def main(parent: str, *words: str) -> None:
    """Become the program of `words`, unless the process `parent` is gone already."""
    if end_with(int(parent), signal.SIGTERM):
        os.execv(words[0], words)


if __name__ == "__main__":
    main(*sys.argv[1:])
