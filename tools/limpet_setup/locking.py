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
# Home Assistant of the tests, which runs on Linux, by a Python of Debian's.
HASS = REPO / "host_tests" / "support" / "hass" / "packages.lock"
HASS_PYTHON = "3.13.2"


def lock() -> None:
    """Write requirements.lock from pyproject.toml, and each other lock from the .in beside it."""
    folder = BUILD / "uv"
    run("Making build/uv", sys.executable, "-m", "venv", folder)
    install(folder / "bin" / "python", "Installing uv", "--require-hashes", "-r", UV)
    # No index in the output: a lock names files by hash, wherever they come from.
    options = (
        "--quiet --generate-hashes --no-header --no-emit-index-url "
        "--no-emit-find-links --no-python-downloads"
    )
    compiled: list[str | os.PathLike[str]] = [folder / "bin" / "uv", "pip", "compile"]
    compiled += options.split()
    uv = [*compiled, "--universal", "--python-version", "3.11"]
    # With who asks for what: tools/sbom/ makes the SBOM's graph of it, alike on each system.
    run("Writing requirements.lock", *uv, "--group", "dev", "--all-extras", PROJECT, "-o", LOCK)
    compiled.append("--no-annotate")
    uv.append("--no-annotate")
    for other in (SITE, UV):
        run(f"Writing {other.relative_to(REPO)}", *uv, other.with_suffix(".in"), "-o", other)
    hass = [*compiled, "--python-platform", "linux", "--python-version", HASS_PYTHON]
    hass += ["--override", HASS.with_name("overrides.in"), HASS.with_suffix(".in"), "-o", HASS]
    run(f"Writing {HASS.relative_to(REPO)}", *hass)
