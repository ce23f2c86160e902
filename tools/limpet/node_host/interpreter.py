"""Which MicroPython runs the node on this machine: its own, or Debian's package unpacked privately.

It builds none, and it takes none that cannot speak TLS.
"""

import os
import re
import shutil
import subprocess
from functools import cache

from limpet.node_host import debian, releases
from limpet.shared.problem import Problem

# 1.25 is the first whose TLS the client was checked with on the unix port.
OLDEST = (1, 25)
PROBE = "import sys, tls; print(*sys.implementation.version[:2])"
REMEDY = (
    "Install MicroPython 1.25 or later (macOS: brew install micropython), "
    "or name one: MICROPYTHON=/path."
)


@cache
def micropython(arch: str = debian.HOST) -> list[str]:
    """The start of the command line that runs MicroPython's unix port; sets it up if need be.

    `arch` is this machine's own, or "i386", whose objects have the ESP32's sizes. For the machine's
    own, in this order: MICROPYTHON=/path or a release (see releases.py), `micropython` on the PATH
    if 1.25 or later, Debian's package. Raises Problem.
    """
    named = os.environ.get("MICROPYTHON", "")
    if re.fullmatch(r"\d\.\d+", named):
        found = _release(named, arch)
        if found:
            return found
    elif arch == debian.HOST:
        if named:
            return _named(named)
        installed = shutil.which("micropython")
        if installed and (version([installed]) or (0, 0)) >= OLDEST:
            return [installed]
    found = releases.command(releases.DEFAULT, arch)
    if not found:
        raise Problem(_why_not(arch), REMEDY)
    return found


def version(command: list[str]) -> tuple[int, ...] | None:
    """The version of the interpreter `command`, (major, minor); None if it is not one with TLS."""
    try:
        probe = subprocess.run([*command, "-c", PROBE], capture_output=True, text=True, timeout=10)
        return tuple(int(word) for word in probe.stdout.split()) or None
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


def _release(named: str, arch: str) -> list[str] | None:
    """How to start a release that was named. Where it has no other word size, another one has."""
    if named not in releases.KNOWN:
        raise Problem(
            f"MICROPYTHON={named} is none that can be had here.",
            f"There are {', '.join(releases.KNOWN)}; or name one that is here: MICROPYTHON=/path.",
        )
    found = releases.command(named, arch)
    if not found and arch == debian.HOST:
        raise Problem(f"MICROPYTHON={named} is not to be had for this machine.", REMEDY)
    return found


def _named(path: str) -> list[str]:
    said = version([path])
    if said is None:
        raise Problem(f"MICROPYTHON={path} is not a MicroPython with TLS that runs here.", REMEDY)
    if said < OLDEST:
        raise Problem(f"MICROPYTHON={path} is {said[0]}.{said[1]}, too old.", REMEDY)
    return [path]


def _why_not(arch: str) -> str:
    if arch not in (debian.HOST, "i386"):
        return f"No interpreter for {arch} runs here: there are {debian.HOST} and i386."
    if arch == "i386" and debian.HOST != "amd64":
        return "The 32-bit interpreter (i386) runs on x86-64 machines only."
    if arch == "i386":
        return "The 32-bit interpreter (i386) comes from Debian, and there is no Debian apt here."
    return "There is no MicroPython 1.25 or later here, and no Debian apt to get it from."
