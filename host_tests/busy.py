"""Runs a command while every core is kept busy by something else: `busy.py pytest -n 4`.

How the suite is tried on a machine that has other things to do: make test BUSY=1.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys

# It ends with whoever started it, however that ended.
LOOP = """
import os, sys
while os.getppid() == int(sys.argv[1]):
    for _ in range(1_000_000):
        pass
"""


def main(command: list[str]) -> int:
    """Run `command`, with a loop for each core beside it; its exit code."""
    line = [sys.executable, "-c", LOOP, str(os.getpid())]
    loops = [subprocess.Popen(line, start_new_session=True) for _ in range(os.cpu_count() or 2)]
    process = subprocess.Popen(command)
    try:
        while True:
            # Ctrl-C is for the command, which has heard of it, too.
            with contextlib.suppress(KeyboardInterrupt):
                return process.wait()
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
