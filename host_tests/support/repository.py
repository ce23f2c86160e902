"""What is in this repository, and which names it offers: for the tests that read the source."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

from limpet.cli import command_line
from limpet.shared.paths import REPO


@cache
def tracked() -> list[Path]:
    """The text files that are in git, or about to be: untracked ones that are not ignored."""
    line = ["git", "-C", str(REPO), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.check_output(line, text=True).split("\0")
    paths = [REPO / name for name in names if name and not name.endswith(".jsonl")]
    return [path for path in paths if path.is_file()]


def make_targets() -> list[str]:
    """The targets of the Makefile that `make help` shows."""
    return re.findall(r"^([a-z-]+):.*## ", (REPO / "Makefile").read_text(), re.MULTILINE)


def commands_of_limpet() -> list[str]:
    """The subcommands of `limpet`."""
    return [name for name in command_line() if not name.startswith("-")]
