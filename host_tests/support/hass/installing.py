"""The real Home Assistant, in a folder of its own: its packages, by hash, for a Python of Debian's
that is unpacked privately. 520 MB below build/.

The web pages are left out (260 MB), and stand-ins are where Home Assistant looks for them: without
that it starts in its recovery mode.
"""

from __future__ import annotations

import hashlib
import shlex
import sys
from pathlib import Path

from limpet.node_host import debian
from limpet.shared.filling import filled_once
from limpet.shared.installing import install
from limpet.shared.paths import CACHE
from limpet.shared.problem import Problem
from limpet.shared.progress import Line

LOCK = Path(__file__).with_name("packages.lock")
PYTHON = "python3.13"
# What Debian 13 has, and its C library.
_VERSION, _GLIBC = "3.13.5", 41
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
# Another lock, another folder.
FOLDER = CACHE / "homeassistant" / hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
_STAND_IN = '''\
"""In place of Home Assistant's web pages."""

from pathlib import Path


def where():
    """Return where they would be."""
    return Path(__file__).parent
'''
_START = """\
#!/bin/sh
export PYTHONHOME={home} PYTHONPATH={path}
exec {python} "$@"
"""


def there() -> bool:
    """Whether it is installed."""
    return FOLDER.is_dir()


def installed() -> Path:
    """Return what starts its Python; installs what is missing. Raises Problem."""
    if not debian.available() or debian.HOST not in _MACHINES:
        raise Problem(
            "Home Assistant is tried on Debian alone.", "Run it there, on amd64 or arm64."
        )
    root = debian.unpacked(PYTHON)
    with filled_once(FOLDER) as new:
        if new:
            _fill(new, root)
    return FOLDER / "python"


def _fill(new: Path, root: Path) -> None:
    site = new / "site"
    line = Line("Getting Home Assistant and what it needs, 520 MB")
    code, said = install(sys.executable, line, *_words(), "--target", str(site), "-r", str(LOCK))
    if code:
        print("\n".join(said[-5:]), file=sys.stderr)
        raise Problem("Home Assistant could not be had from the index.", "Connect, and try again.")
    pages = site / "hass_frontend" / "__init__.py"
    pages.parent.mkdir()
    pages.write_text(_STAND_IN, "utf-8")
    program = debian.command(root, debian.HOST, f"usr/bin/{PYTHON}")
    start = new / "python"
    home, path = shlex.quote(str(root / "usr")), shlex.quote(str(FOLDER / "site"))
    start.write_text(_START.format(home=home, path=path, python=shlex.join(program)), "utf-8")
    start.chmod(0o755)


def _words() -> list[str]:
    """Return what pip is told: this one runs on another Python than what it installs for."""
    machine = _MACHINES[debian.HOST]
    words = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--ignore-requires-python"]
    words += ["--no-compile"]  # which would be for this Python
    words += ["--python-version", _VERSION, "--implementation", "cp"]
    for abi in ("cp313", "abi3", "none"):
        words += ["--abi", abi]
    for minor in range(_GLIBC, 4, -1):
        words += ["--platform", f"manylinux_2_{minor}_{machine}"]
    return [*words, "--platform", f"manylinux2014_{machine}"]
