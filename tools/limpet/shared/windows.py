"""What Windows cannot do, said before it is begun. docs/windows.md lists what it can."""

import sys

from limpet.shared.problem import Problem


def refuse(verb: str, why: str) -> None:
    """Raise Problem on Windows: `limpet VERB` needs another system, because `why`."""
    if sys.platform == "win32":
        raise Problem(f"`limpet {verb}` does not run on Windows: {why}.", "Run it in WSL.")
