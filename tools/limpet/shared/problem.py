"""What a user can put right: a cause and the one thing to do. Caught in cli.py alone."""

import difflib
import errno
import os
from collections.abc import Iterable

from limpet.shared.plain import safe

# A fleet has a thousand devices, and a terminal 24 lines.
_MOST_NAMES = 8
# Of a write to a file that is open already, which carries no name.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Problem(Exception):
    """Something outside Limpet is not as it has to be.

    `cause` says what, in one sentence; `remedy` the one thing to do about it.
    """

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(cause)
        self.cause = cause
        self.remedy = remedy

    def text(self) -> str:
        """Return it as it is shown. What is in it may be a broker's, or anybody's, so nothing of it
        steers the terminal.
        """
        return "\n".join(safe(each) for each in f"limpet: {self.cause}\n{self.remedy}".split("\n"))


def told(error: Problem | OSError) -> Problem:
    """Return what is to be told of an error. A file that cannot be read or written is nobody's bug;
    an OSError that names no file may be one, and is raised again, unless there is no room.
    """
    if isinstance(error, Problem):
        return error
    if error.filename is None and error.errno not in NO_ROOM:
        raise error
    path = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
    return Problem(f"{path}{error.strerror}.", "See to it, or name another place.")


def there_is(names: Iterable[str], wanted: str) -> str:
    """Return the remedy for a name that is not there, `There is: a, b.`: all that there are, or of
    many those that are most like `wanted`, and how many more.
    """
    known = list(names)
    if len(known) <= _MOST_NAMES:
        return f"There is: {', '.join(known) or 'none'}."
    like = difflib.get_close_matches(wanted, known, _MOST_NAMES) or known[:_MOST_NAMES]
    return f"There is: {', '.join(like)} and {len(known) - len(like)} more."
