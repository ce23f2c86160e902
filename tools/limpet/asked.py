"""Secrets that a person gives: from a file, a variable or a prompt.

It will NOT take one from the command line, where every process could read it, or show one.
"""

import getpass
import os
import sys
from pathlib import Path

from limpet.problem import Problem


def secret(what: str, variable: str, path: Path | None = None, remedy: str = "") -> str:
    """Return the first line of the file `path`, else the environment's `variable`, else what is
    typed at a prompt for `what`. Raises Problem where none of them is to be had.
    """
    if path:
        try:
            return path.read_text().partition("\n")[0]
        except (OSError, UnicodeDecodeError):
            raise Problem(f"{path} cannot be read.", f"Name a file with the {what}.") from None
    if variable in os.environ:
        return os.environ[variable]
    if sys.stdin.isatty():
        return getpass.getpass(f"{what}: ")
    raise Problem(f"There is no {what}.", remedy or f"Set {variable}.")
