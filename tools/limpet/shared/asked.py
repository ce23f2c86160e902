"""What a person is asked: whether something is to be done; and secrets, from a file, a variable or
a prompt.

No secret is taken from the command line, where every process could read it, and none is shown.
"""

import getpass
import os
import sys
from pathlib import Path

from limpet.shared.problem import Problem

PASSWORD_VARIABLE = "LIMPET_PASSWORD"  # noqa: S105 - the variable's name, not what is in it
WIFI_VARIABLE = "WIFI_PASSWORD"
_UTF8 = "Set the terminal and the locale to UTF-8, or write it into a file in UTF-8."


def secret(what: str, variable: str, path: Path | None = None, remedy: str = "") -> str:
    """Return the first line of the file `path`, else the environment's `variable`, else what is
    typed at a prompt for `what`. Raises Problem where none of them is to be had, or is no UTF-8.
    """
    if path:
        return _first_line(path, what)
    if variable in os.environ:
        if not is_utf8(os.environ[variable]):
            raise Problem(f"The {what} in {variable} is not UTF-8.", _UTF8)
        return os.environ[variable]
    missing = Problem(f"There is no {what}.", remedy or f"Set {variable}.")
    if not sys.stdin.isatty():
        raise missing
    try:
        typed = getpass.getpass(f"{what}: ")
    except EOFError:
        raise missing from None
    except UnicodeDecodeError:
        typed = None
    if typed is None or not is_utf8(typed):
        raise Problem(f"The {what} that was typed is not UTF-8.", _UTF8)
    return typed


def agreed(question: str, kept: str) -> None:
    """Ask whether it is to be done; raise Problem, `kept` (what has not happened), unless the
    answer is yes.
    """
    if not sys.stdin.isatty():
        raise Problem(f"There is nobody to ask. {kept}", "Say --yes.")
    try:
        answer = input(f"{question} [y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise Problem(kept, "Say y, or --yes.")


def is_utf8(text: str) -> bool:
    """Whether `text`, an argument or a variable, came as UTF-8. Python keeps other bytes as halves
    of characters, which it refuses to write anywhere.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _first_line(path: Path, what: str) -> str:
    # Whatever the locale. Editors of some systems write a mark in front, and CR LF.
    remedy = f"Name a file with the {what}."
    try:
        first = path.read_bytes().partition(b"\n")[0].removesuffix(b"\r")
        return first.decode("utf-8-sig")
    except OSError as error:
        raise Problem(f"{path} cannot be read: {error.strerror}.", remedy) from None
    except UnicodeDecodeError:
        raise Problem(f"{path} is not UTF-8.", remedy) from None
