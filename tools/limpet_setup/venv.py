"""Makes .venv from requirements.lock, doing only what is still missing.

It neither touches the network nor starts pip when the stamp in .venv says that this very lock was
installed there by this very Python. It never changes or removes a .venv that it did not make, or
anything that cannot be had again.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

from limpet_setup.steps import install, refuse, run

REPO = pathlib.Path(__file__).resolve().parents[2]
VENV = REPO / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = REPO / "requirements.lock"
PROJECT = REPO / "pyproject.toml"
BUILD = REPO / "build"
OLDEST = (3, 11)
BEGUN = "begun "
BACKEND = "setuptools"


def make() -> None:
    """Make .venv what requirements.lock says, doing only what is still missing."""
    done = VENV / "limpet-done"
    if ready(done, wanted(), "limpet"):
        return
    cause = unfit(sys.version_info[:2], importlib.util.find_spec("ensurepip") is not None)
    if cause:
        sys.exit("limpet: " + cause)
    own()
    with alone():
        if not ready(done, wanted(), "limpet"):
            fill(done)


def fill(done: pathlib.Path) -> None:
    """Make .venv, install into it what is locked, and say so in the file `done`."""
    if not ready(made(), str(VENV), "pip"):
        VENV.mkdir(exist_ok=True)
        stamp(made(), BEGUN + str(VENV))
        empty()
        # Not --clear, which takes the mark away before it has made anything.
        run("Making .venv", sys.executable, "-m", "venv", VENV)
        stamp(made(), str(VENV))
    # esptool comes as source: the backend of the lock builds it, not whatever pip would fetch.
    backend = VENV / "limpet-backend.txt"
    backend.write_text(locked(BACKEND, LOCK.read_text()))
    install(PYTHON, "Installing the build backend", "--require-hashes", "-r", backend)
    locks = ("--require-hashes", "--no-build-isolation", "-r", LOCK)
    install(PYTHON, "Installing the packages (45 MB)", *locks)
    install(PYTHON, "Installing limpet itself", "--no-build-isolation", "--no-deps", "-e", REPO)
    stamp(done, wanted())


def wanted() -> str:
    """SHA-256, as hex, over all that decides what has to be in .venv."""
    # A venv knows its own place by absolute paths: moved, it has to be made anew.
    sha = hashlib.sha256(str(VENV).encode())
    sha.update(LOCK.read_bytes())
    # What follows are settings of ruff and its like, which install nothing.
    sha.update(PROJECT.read_bytes().partition(b"\n[tool.")[0])
    return sha.hexdigest()


def locked(name: str, lock: str) -> str:
    """The lines of the requirement `name` in the text `lock`, hashes included."""
    lines: list[str] = []
    for line in lock.splitlines():
        if lines and not line.startswith(" "):
            break
        if lines or line.startswith(name + "=="):
            lines.append(line)
    return "\n".join(lines) + "\n"


def unfit(version: tuple[int, ...], has_pip: bool) -> str | None:
    """Why this Python cannot make the environment, and what to do: a text, or None if it can."""
    if version < OLDEST:
        return (
            "Limpet needs Python 3.11 or later, "
            f"and {sys.executable} is {version[0]}.{version[1]}.\n"
            "Name another: make PYTHON=python3.11"
        )
    if not has_pip:
        return "Python's venv module is incomplete here.\nInstall it: apt install python3-venv"
    return None


def ready(path: pathlib.Path, text: str, module: str) -> bool:
    """Whether the file `path` says `text` and .venv can still import `module`.

    It cannot when its Python was upgraded or removed since. Costs 20 ms.
    """
    if not (path.exists() and path.read_text() == text and PYTHON.exists()):
        return False
    probe = [str(PYTHON), "-I", "-c", "import " + module]
    return subprocess.run(probe, stderr=subprocess.DEVNULL).returncode == 0


def stamp(path: pathlib.Path, text: str) -> None:
    """Say in the file `path`, all at once or not at all, that what `text` stands for is done."""
    path.with_suffix(".tmp").write_text(text)
    os.replace(str(path.with_suffix(".tmp")), str(path))


def made() -> pathlib.Path:
    """The mark of a .venv that is ours. It says where that is, and whether it was only begun."""
    return VENV / "limpet-made"


def is_ours() -> bool:
    """Whether .venv is ours: missing, empty, or with our mark.

    A link may lead to another disk, or to somebody's work: there the mark has to name this .venv.
    """
    marks = (str(VENV), BEGUN + str(VENV))
    if not VENV.exists():
        ours = not VENV.is_symlink()
    elif not VENV.is_dir():
        ours = False
    elif not made().exists():
        ours = not any(VENV.iterdir())
    else:
        ours = not VENV.is_symlink() or made().read_text() in marks
    return ours


def own() -> None:
    """End the program unless .venv is ours."""
    if not is_ours():
        refuse(
            f"{VENV} is there, and Limpet did not make it. Nothing was changed.",
            "Move it out of the way, such as mv .venv .venv-mine, and call make again.",
        )


def remove(path: pathlib.Path) -> None:
    """Remove a file or a folder; of a link the link alone."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(str(path))
    elif path.is_symlink() or path.exists():
        path.unlink()


def empty() -> None:
    """Take all out of our .venv but the mark, which goes last: half of it is still ours."""
    for path in VENV.iterdir():
        if path != made():
            remove(path)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Hold the set-up of this clone: a second `make` waits, and says so."""
    from limpet.shared import locks

    path, told = BUILD / "setup.lock", False
    while True:
        BUILD.mkdir(exist_ok=True)
        with open(str(path), "w") as lock:
            taken = locks.take(lock.fileno())
            # One without a name was another's, who is done.
            if taken and os.fstat(lock.fileno()).st_nlink:
                try:
                    yield
                finally:
                    path.unlink()
                return
        if not taken and not told:
            print("limpet: Another make sets this clone up: waiting for it", flush=True)
            told = True
        time.sleep(0.1)
