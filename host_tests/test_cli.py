"""The `limpet` command line: what it says of its subcommands, of typing errors and of Ctrl-C."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from limpet.cli import command_line
from tool import LIMPET

# Presses Ctrl-C in the middle of the first import of the module that is named.
_INTERRUPTED = """
import sys
class Finder:
    def find_spec(self, name, *_):
        if name == {module!r}:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Finder())
sys.argv[1:] = ["console", "--port", "nowhere"]
from limpet.cli import main
main()
"""


def limpet(*words: str) -> subprocess.CompletedProcess[str]:
    """Run it, without a terminal."""
    return subprocess.run([LIMPET, *words], capture_output=True, text=True, timeout=60)


def test_help_says_what_each_does() -> None:
    """The list of subcommands has words for each of them."""
    said = limpet("--help").stdout
    for name in command_line():
        if not name.startswith("-"):
            assert re.search(rf"{re.escape(name)} +\w+ \w+", said), name
    assert limpet().stdout == said


@pytest.mark.parametrize(
    ("words", "said", "where"),
    [
        (["image"], "BOARD requires an argument", "limpet image"),
        (["flash", "b", "--baud", "fast"], "Invalid value for --baud", "limpet flash"),
        (["nope"], 'Unknown command "nope"', "limpet"),
        (["deploy", "b", "--nope"], "Unknown option: --nope", "limpet deploy"),
    ],
)
def test_typing_errors(words: list[str], said: str, where: str) -> None:
    """Two lines as of any other Problem, and the exit code of a command line that is none."""
    done = limpet(*words)
    assert done.returncode == 2
    first, second = done.stderr.splitlines()
    assert first.startswith("limpet: ")
    assert said in first
    assert second == f"See {where} --help."


@pytest.mark.parametrize("module", ["cyclopts", "limpet.deploying.console"])
def test_ctrl_c_while_it_loads(module: str) -> None:
    """Who thinks better of it at once sees no traceback."""
    line = [sys.executable, "-c", _INTERRUPTED.format(module=module)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
