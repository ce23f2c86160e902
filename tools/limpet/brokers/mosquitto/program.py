"""mosquitto, the program: the system's, or Debian's package unpacked privately."""

import os
import shutil
from functools import cache

from limpet.node_host import debian
from limpet.shared.problem import Problem


@cache
def mosquitto() -> list[str]:
    """The start of the command line that runs mosquitto; sets it up if need be. Raises Problem."""
    # Debian puts it where only root's PATH looks.
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    found = shutil.which("mosquitto", path=path)
    if found:
        return [found]
    if not debian.available():
        raise Problem(
            "There is no mosquitto here, and no Debian apt to get it from.",
            "Install mosquitto (macOS: brew install mosquitto; Fedora: dnf install mosquitto).",
        )
    root = debian.unpacked("mosquitto")
    return debian.command(root, debian.HOST, "usr/sbin/mosquitto")
