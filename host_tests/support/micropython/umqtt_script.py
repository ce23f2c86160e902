"""Programs written for umqtt, run with umqtt and with what takes its place.

They stand in support/umqtt_programs/: what umqtt's own examples do, in the same order of calls. The
only change between one run and the other is the import.
"""

from __future__ import annotations

import re

from limpet.node_host.umqtt import umqtt_dir
from limpet.shared.paths import CLIENTS
from support.micropython.upy import TESTS, run

FOLDER = TESTS / "support" / "umqtt_programs"
PROGRAMS = sorted(path.stem for path in FOLDER.glob("*.py"))


def text(name: str, ours: bool) -> str:
    """Return a program's text: as it is, or with the import of what takes umqtt's place."""
    found = (FOLDER / f"{name}.py").read_text()
    if not ours:
        return found
    found = re.sub(r"from umqtt\.(simple|robust) import", r"from umqtt_\1 import", found)
    return found.replace("from umqtt import robust", "import umqtt_robust as robust")


def played(name: str, port: int, ours: bool, count: int = 1) -> list[str]:
    """Run a program against the broker on `port` until it has heard `count` messages, if it runs
    for ever; return what it printed.
    """
    env = {"PORT": str(port), "NAME": f"{name}-{ours}", "COUNT": str(count)}
    return run(
        text(name, ours), path=[FOLDER / "board", CLIENTS, umqtt_dir()], env=env
    ).splitlines()
