"""Makes .venv from requirements.lock. Runs on any Python 3, to be able to say that it is too old.

Only the standard library: nothing else is there yet. It will not touch the network, nor start pip,
when the stamp in .venv says that this very lock was installed there by this very Python. It will
NOT change or remove a .venv that it did not make, or anything that cannot be had again.
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

REPO = pathlib.Path(__file__).resolve().parent.parent
VENV = REPO / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = REPO / "requirements.lock"
PROJECT = REPO / "pyproject.toml"
# What tools/docs/site.py installs, in an environment of its own.
SITE = REPO / "tools" / "docs" / "site.lock"
BUILD = REPO / "build"
# What the tools put below build/ and can get or make again. Not among it: dev, trial, images and
# whatever else a user had made there, with keys that boards out there have.
CACHES = [
    "bench",
    "bytecode",
    "chaos",
    "debian",
    "docs",
    "docs-env",
    "docs-pages",
    "micropython",
    "umqtt",
    "uv",
    "virtual",
]
OLDEST = (3, 11)
BEGUN = "begun "
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


def refuse(cause: str, remedy: str) -> None:
    """End the program, saying why and the one thing to do."""
    sys.exit(f"limpet: {cause}\n{remedy}")


def remedy(said: str) -> str:
    """What to do about what failed saying `said`."""
    if "No space left" in said or "quota exceeded" in said:
        return "Make room (it takes 250 MB) and call make again: it goes on where it stopped."
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


@contextlib.contextmanager
def unused() -> Iterator[None]:
    """Hold our .venv; ends the program where a tool of it runs (limpet/shared/in_use.py)."""
    from limpet.shared import locks

    with open(str(made())) if made().exists() else contextlib.nullcontext() as mark:
        if mark and not locks.take(mark.fileno()):
            refuse(
                "A program of this clone runs (limpet, make run, make test). Nothing was changed.",
                "End it, and call make again.",
            )
        yield


def clean() -> None:
    """Remove our .venv and what of build/ can be had again; say what stays."""
    from limpet.shared.progress import Line

    ours = is_ours()
    with alone(), unused() if ours else contextlib.nullcontext():
        line = Line("Removing what can be had again", sys.stdout)
        if ours and VENV.is_symlink():
            VENV.unlink()
        elif ours and VENV.exists():
            line.say(VENV.name)
            empty()
            shutil.rmtree(str(VENV))
        for name in CACHES:
            line.say("build/" + name)
            for path in (BUILD / name, BUILD / (name + ".lock"), BUILD / (name + ".new")):
                remove(path)
        line.end()
    if not ours:
        print("limpet: " + str(VENV) + " stays: Limpet did not make it")
    with contextlib.suppress(OSError):
        BUILD.rmdir()
    kept = sorted(path.name for path in BUILD.iterdir()) if BUILD.exists() else []
    if kept:
        print("limpet: Kept, for their keys and results: " + ", ".join("build/" + k for k in kept))


def relock() -> None:
    """Write requirements.lock from pyproject.toml, and the site's from the .in beside it, for
    every platform and Python from 3.11 on.
    """
    # uv lives in a folder of its own: it serves here only, and is no part of what is locked.
    folder = BUILD / "uv"
    run("Making build/uv", sys.executable, "-m", "venv", folder)
    install(folder / "bin" / "python", "Installing uv", UV)
    # No index in the output: a lock names files by hash, wherever they come from.
    options = (
        "--quiet --universal --generate-hashes --python-version 3.11 "
        "--no-annotate --no-header --no-emit-index-url --no-emit-find-links"
    )
    uv: list[str | os.PathLike[str]] = [folder / "bin" / "uv", "pip", "compile", *options.split()]
    run("Writing requirements.lock", *uv, "--group", "dev", PROJECT, "-o", LOCK)
    run(f"Writing {SITE.relative_to(REPO)}", *uv, SITE.with_suffix(".in"), "-o", SITE)


if __name__ == "__main__":
    # Said here too: PYTHONSAFEPATH would leave it out.
    sys.path.insert(0, str(REPO / "tools"))
    try:
        {"lock": relock, "clean": clean}.get("".join(sys.argv[1:]), make)()
    except KeyboardInterrupt:
        sys.exit("\nlimpet: interrupted; start again, it goes on where it stopped.")
    except OSError as error:
        refuse(f"{error.filename or VENV}: {error.strerror}.", remedy(str(error)))
