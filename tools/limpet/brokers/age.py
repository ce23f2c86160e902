"""Which of a set-up's broker files are by older rules than ours, and what to do about it.

Only the set-up's own files are looked at: what a broker has read of them, or a copy of them on
another machine, cannot be seen from here.
"""

import contextlib
import sys
from pathlib import Path
from typing import NamedTuple, TextIO

from limpet.brokers import rules
from limpet.brokers.mosquitto import files as mosquitto_files
from limpet.identity.fleet_folder import option
from limpet.identity.layout import Layout
from limpet.shared.problem import Problem

# For each kind of broker: its file with the rights, and the version of the rules it is by.
_KINDS = (mosquitto_files.rules_version,)


class Old(NamedTuple):
    """A file of a broker, and the version of the rules that it was made by."""

    path: Path
    version: int


def old_files(layout: Layout) -> list[Old]:
    """Return the files of brokers that are by older rules than this limpet's."""
    found = [Old(*each) for kind in _KINDS if (each := kind(layout))]
    return [each for each in found if each.version < rules.VERSION]


def tell(layout: Layout, out: TextIO | None = None) -> None:
    """Say of each such file what it means and what to do; nothing where there is none.

    out: where to, if not standard output.
    """
    with contextlib.suppress(Problem):  # a registry that is none is for others to say
        device = next(iter(layout.bases()), "ID")
        again = f"limpet provision {device}{option(layout.root)}"
        for path, version in old_files(layout):
            print(
                f"{path} is by rules {version}, and this limpet has rules {rules.VERSION}. A "
                "broker that reads it acknowledges and drops what is new in them; nodes notice "
                f"that, and lose no Reading. Make it anew: {again}, and have the broker read it "
                "(SIGHUP). What is new, and who has to know of it first: docs/upgrading.md.",
                file=out or sys.stdout,
                flush=True,
            )


def tell_renewed(old: list[Old]) -> None:
    """Say of each file that was old that it is by the rules of now."""
    for path, version in old:
        print(f"{path} was by rules {version}, and is by rules {rules.VERSION} now")
