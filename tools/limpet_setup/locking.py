"""Writes the locks again, by uv, for every platform and Python from 3.11 on."""

from __future__ import annotations

import os
import pathlib
import sys

from limpet_setup.steps import install, run
from limpet_setup.venv import BUILD, LOCK, PROJECT, REPO

# uv itself, and what tools/docs/site.py installs. Each is in an environment of its own.
UV = pathlib.Path(__file__).with_suffix(".lock")
SITE = REPO / "tools" / "docs" / "site.lock"


def lock() -> None:
    """Write requirements.lock from pyproject.toml, and each other lock from the .in beside it."""
    folder = BUILD / "uv"
    run("Making build/uv", sys.executable, "-m", "venv", folder)
    install(folder / "bin" / "python", "Installing uv", "--require-hashes", "-r", UV)
    # No index in the output: a lock names files by hash, wherever they come from.
    options = (
        "--quiet --universal --generate-hashes --python-version 3.11 "
        "--no-annotate --no-header --no-emit-index-url --no-emit-find-links"
    )
    uv: list[str | os.PathLike[str]] = [folder / "bin" / "uv", "pip", "compile", *options.split()]
    run("Writing requirements.lock", *uv, "--group", "dev", "--all-extras", PROJECT, "-o", LOCK)
    for other in (SITE, UV):
        run(f"Writing {other.relative_to(REPO)}", *uv, other.with_suffix(".in"), "-o", other)
