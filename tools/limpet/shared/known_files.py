"""A file that others made: what it is, where it is to be had, and by which SHA-256 it is known.

The rows stand where the files are used. fetching.py gets them.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from limpet.shared.problem import Problem

CONNECT = "Connect and start again"
NOT_KNOWN = "Do not use it: find out what stands between this machine and where it comes from."
# Where a file comes from, if not from the folder of a web site.
INDEX, NPM = "the package index", "npm"


@dataclass(frozen=True)
class File:
    """A file that others made.

    `what` names it in messages. `source` is INDEX, NPM, or the URL of the folder that has it, with
    a slash at its end. `name` is its name there, `size` its bytes. An index and npm know it as
    `version` of `project`. `instead` is what to do where it cannot be had; "" where nothing helps.
    """

    what: str
    source: str
    name: str
    size: int
    sha256: str
    project: str = ""
    version: str = ""
    instead: str = ""

    @property
    def remedy(self) -> str:
        """What to do where it could not be had."""
        instead = f", or {self.instead}" if self.instead else ""
        return f"{CONNECT}{instead}. Only this first time needs a network."


def check(path: Path, sha256: str, remedy: str = NOT_KNOWN) -> None:
    """Raise Problem, and remove the file, if it has another hash."""
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        path.unlink()
        raise Problem(f"{path.name} is not the one known: its SHA-256 is {found}.", remedy)
