"""Makes .venv from requirements.lock. Runs on any Python 3, to be able to say that it is too old.

Only the standard library: nothing else is there yet. It will not touch the network, nor start pip,
when the stamp in .venv says that this very lock was installed there by this very Python.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pathlib
import subprocess
import sys

REPO = pathlib.Path(__file__).resolve().parent.parent
VENV = REPO / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = REPO / "requirements.lock"
PROJECT = REPO / "pyproject.toml"
# What limpet/micropython_download.py installs, in an environment of its own.
MPFLASH = REPO / "tools" / "mpflash.lock"
OLDEST = (3, 11)
BACKEND = "setuptools"
UV = "uv==0.9.30"


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


def run(step: str, *command: str | os.PathLike[str]) -> None:
    """Run one command of the set-up; ends the program with cause and remedy if it fails."""
    print("limpet: " + step, flush=True)
    if subprocess.run([str(word) for word in command], cwd=str(REPO)).returncode:
        sys.exit(
            f"\nlimpet: {step} did not succeed; the cause stands above.\n"
            "If it is the network: connect and call make again, it goes on where it stopped."
        )


def ready(path: pathlib.Path, text: str, module: str) -> bool:
    """Whether the file `path` says `text` and .venv can still import `module`.

    It cannot when its Python was upgraded or removed since. Costs 20 ms.
    """
    if not (path.exists() and path.read_text() == text and PYTHON.exists()):
        return False
    probe = [str(PYTHON), "-c", "import " + module]
    return subprocess.run(probe, stderr=subprocess.DEVNULL).returncode == 0


def stamp(path: pathlib.Path, text: str) -> None:
    """Say in the file `path`, all at once or not at all, that what `text` stands for is done."""
    path.with_suffix(".tmp").write_text(text)
    os.replace(str(path.with_suffix(".tmp")), str(path))


def make() -> None:
    """Make .venv what requirements.lock says, doing only what is still missing."""
    made, done = VENV / "limpet-made", VENV / "limpet-done"
    if ready(done, wanted(), "limpet"):
        return
    cause = unfit(sys.version_info[:2], importlib.util.find_spec("ensurepip") is not None)
    if cause:
        sys.exit("limpet: " + cause)
    if not ready(made, str(VENV), "pip"):
        run("Making .venv", sys.executable, "-m", "venv", "--clear", VENV)
        stamp(made, str(VENV))
    quiet = [] if sys.stdout.isatty() else ["--quiet"]
    pip: list[str | os.PathLike[str]] = [
        PYTHON,
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        *quiet,
    ]
    # esptool comes as source: the backend of the lock builds it, not whatever pip would fetch.
    backend = VENV / "limpet-backend.txt"
    backend.write_text(locked(BACKEND, LOCK.read_text()))
    run("Installing the build backend", *pip, "--require-hashes", "-r", backend)
    run(
        "Installing the locked packages (about 60 MB, once)",
        *pip,
        "--require-hashes",
        "--no-build-isolation",
        "-r",
        LOCK,
    )
    run("Installing limpet itself", *pip, "--no-build-isolation", "--no-deps", "-e", REPO)
    stamp(done, wanted())


def relock() -> None:
    """Write requirements.lock from pyproject.toml, and tools/mpflash.lock from the .in beside it,
    for every platform and Python from 3.11 on.
    """
    # uv lives in a folder of its own: it serves here only, and is no part of what is locked.
    folder = REPO / "build" / "uv"
    run("Making build/uv", sys.executable, "-m", "venv", folder)
    run("Installing uv", folder / "bin" / "pip", "install", "--quiet", UV)
    # No index in the output: a lock names files by hash, wherever they come from.
    options = (
        "--quiet --universal --generate-hashes --python-version 3.11 "
        "--no-annotate --no-header --no-emit-index-url --no-emit-find-links"
    )
    uv: list[str | os.PathLike[str]] = [folder / "bin" / "uv", "pip", "compile", *options.split()]
    run("Writing requirements.lock", *uv, "--group", "dev", PROJECT, "-o", LOCK)
    run("Writing tools/mpflash.lock", *uv, MPFLASH.with_suffix(".in"), "-o", MPFLASH)


if __name__ == "__main__":
    try:
        relock() if sys.argv[1:] == ["lock"] else make()
    except KeyboardInterrupt:
        sys.exit("\nlimpet: interrupted; call make again, it goes on where it stopped.")
