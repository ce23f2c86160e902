"""What a user can put right: a cause and the one thing to do. Caught in cli.py alone."""

import difflib
from collections.abc import Iterable

# A fleet has a thousand devices, and a terminal 24 lines.
_MOST_NAMES = 8


class Problem(Exception):
    """Something outside Limpet is not as it has to be.

    `cause` says what, in one sentence; `remedy` the one thing to do about it.
    """

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(cause)
        self.cause = cause
        self.remedy = remedy


def there_is(names: Iterable[str], wanted: str) -> str:
    """Return the remedy for a name that is not there, `There is: a, b.`: all that there are, or of
    many those that are most like `wanted`, and how many more.
    """
    known = list(names)
    if len(known) <= _MOST_NAMES:
        return f"There is: {', '.join(known) or 'none'}."
    like = difflib.get_close_matches(wanted, known, _MOST_NAMES) or known[:_MOST_NAMES]
    return f"There is: {', '.join(like)} and {len(known) - len(like)} more."
