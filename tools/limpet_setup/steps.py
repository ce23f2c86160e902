"""One command of the set-up after the other, and how it ends where one does not succeed.

Standard library only, as all of this folder: nothing else is there yet. What an old Python could
not even read is imported on use: venv.py has to be able to say that it is too old.
"""

from __future__ import annotations

import os
import pathlib
import sys


def refuse(cause: str, remedy: str) -> None:
    """End the program, saying why and the one thing to do."""
    sys.exit(f"limpet: {cause}\n{remedy}")


def remedy(said: str) -> str:
    """What to do about what failed saying `said`."""
    if "No space left" in said or "quota exceeded" in said:
        return "Make room (it takes 350 MB) and call make again: it goes on where it stopped."
    if "Permission denied" in said or "Read-only file system" in said:
        return "Make that writable for you, or take a clone that is, and call make again."
    if said.startswith("[Errno "):
        return "Put that right and call make again."
    return "If it is the network: connect and call make again, it goes on where it stopped."


def run(step: str, *command: str | os.PathLike[str]) -> None:
    """Run one command of the set-up; ends the program with cause and remedy if it fails."""
    from limpet.shared.installing import clean
    from limpet.shared.progress import Line, followed

    line = Line(step, sys.stdout)
    words = [str(word) for word in command]
    code, said = followed(words, lambda _: line.say(""), env=clean(os.environ))
    line.end()
    check(step, code, said)


def install(python: pathlib.Path, step: str, *words: str | os.PathLike[str]) -> None:
    """Have the pip of `python` install `words`; ends the program as `run` does."""
    from limpet.shared import installing
    from limpet.shared.progress import Line

    check(step, *installing.install(python, Line(step, sys.stdout), *map(str, words)))


def check(step: str, code: int, said: list[str]) -> None:
    """End the program, with what the command said last, if its exit code is one of failure."""
    if code:
        print("\n".join(said[-20:]), file=sys.stderr)
        refuse(f"{step} did not succeed; the cause stands above.", remedy("\n".join(said)))
