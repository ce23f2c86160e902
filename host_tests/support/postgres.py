"""PostgreSQL for tests: the system's or Debian's own, in a folder of its own, on a unix socket; and
TimescaleDB, which Debian has since trixie, in the edition that cannot compress.

initdb refuses root, for whom both run as `postgres` or `nobody`.
"""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import pytest
from limpet.node_host import debian
from limpet.shared.filling import filled_once
from limpet.shared.paths import CACHE
from limpet.shared.problem import Problem

START_S = 60
_TIMESCALE = "postgresql-17-timescaledb"
_BIN = "usr/lib/postgresql/*/bin"


class Postgres:
    """A server that runs. url: of a database of its own. durable: a commit is on the disk, and not
    only in the system's memory, which a killed server leaves as it is.
    """

    def __init__(self, programs: Path, libraries: str = "", *, durable: bool = False) -> None:
        self._programs = programs
        self._user = _user()
        self._env = os.environ | ({"LD_LIBRARY_PATH": libraries} if libraries else {})
        # Not below a test's folder, into which another user may not look.
        self.folder = Path(tempfile.mkdtemp(prefix="limpet-postgres-"))
        if self._user:
            os.chown(self.folder, self._user.pw_uid, self._user.pw_gid)
        self._process: subprocess.Popen[bytes] | None = None
        data = self.folder / "data"
        self._run("initdb", "-D", str(data), "-A", "trust", "-U", "limpet", "--no-sync")
        with open(data / "postgresql.conf", "a") as conf:
            conf.write(f"listen_addresses = ''\nunix_socket_directories = '{self.folder}'\n")
            conf.write("" if durable else "fsync = off\nfull_page_writes = off\n")
            if _timescale(programs):
                conf.write("shared_preload_libraries = 'timescaledb'\n")
                conf.write("timescaledb.telemetry_level = off\n")
        self.start()

    def _run(self, program: str, *words: str) -> None:
        subprocess.run(
            [str(self._programs / program), *words],
            check=True,
            capture_output=True,
            env=self._env,
            cwd=self.folder,
            timeout=START_S,
            **self._who(),
        )

    def _who(self) -> dict[str, Any]:
        if not self._user:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid}

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = subprocess.Popen(
            [str(self._programs / "postgres"), "-D", str(self.folder / "data")],
            stdout=subprocess.DEVNULL,
            stderr=open(self.folder / "log", "ab"),  # noqa: SIM115 - the process's
            env=self._env,
            cwd=self.folder,
            **self._who(),
        )
        deadline = time.monotonic() + START_S
        while True:
            try:
                psycopg.connect(self.url("postgres")).close()
                return
            except psycopg.OperationalError:
                said = (self.folder / "log").read_text()
                assert time.monotonic() < deadline, said
                assert self._process.poll() is None, said
                time.sleep(0.1)

    def stop(self) -> None:
        """End it at once, as `pg_ctl stop -m immediate` does: nothing more is put on disk."""
        if self._process:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(START_S)
        self._process = None

    def url(self, database: str) -> str:
        """Return the URL of a database."""
        return f"postgresql://limpet@/{database}?host={self.folder}"

    def database(self, name: str) -> str:
        """Make an empty database, and return its URL."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as db:
            db.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            db.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def close(self) -> None:
        """End it and remove all that it has written."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def _user() -> pwd.struct_passwd | None:
    if os.geteuid():
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            pass
    pytest.skip("initdb refuses root, and there is no other user")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """Run a PostgreSQL; who stops it starts it again."""
    running = Postgres(*programs())
    yield running
    running.close()


@pytest.fixture(scope="session")
def timescale_server(request: pytest.FixtureRequest) -> Iterator[Postgres]:
    """Run one that has TimescaleDB."""
    try:
        if _timescale(programs()[0]):
            found: Postgres = request.getfixturevalue("postgres_server")
            yield found
            return
    except pytest.skip.Exception:
        pass
    running = Postgres(timescale_programs())
    yield running
    running.close()


@cache
def programs() -> tuple[Path, str]:
    """Return the folder of PostgreSQL's programs and where their libraries are; skips the test
    where there is none to be had.
    """
    found = sorted(Path("/").glob(_BIN))
    if found:
        return found[-1], ""
    # These run on the release that they are of.
    root = _unpacked("postgresql", _suite())
    triplet = debian.LOADERS[debian.HOST][0]
    return sorted(root.glob(_BIN))[-1], str(root / "usr" / "lib" / triplet)


@cache
def timescale_programs() -> Path:
    """Return the folder of the programs of a PostgreSQL with TimescaleDB, whatever release runs
    here; skips the test where there is none to be had.
    """
    root = _unpacked(_TIMESCALE, debian.SUITE)
    folder = CACHE / "debian" / f"{root.name}-started"
    with filled_once(folder) as new:
        if new:
            _by_their_loader(new, folder, root)
    return next(folder.glob(_BIN))


def _by_their_loader(new: Path, folder: Path, root: Path) -> None:
    """Make in `new`, which is to be `folder`, what starts the programs of `root` by the loader of
    their own C library: initdb starts postgres, which has to be beside it, and both find the rest
    by where they are.
    """
    programs = next(root.glob(_BIN)).relative_to(root)
    bin_folder = new / programs
    bin_folder.mkdir(parents=True)
    (new / programs.with_name("lib")).symlink_to(root / programs.with_name("lib"))
    (new / "usr" / "share").symlink_to(root / "usr" / "share")
    for name in ("initdb", "postgres"):
        loader, *words = debian.command(root, debian.HOST, str(programs / name))
        line = shlex.join([loader, "--argv0", str(folder / programs / name), *words])
        script = bin_folder / name
        script.write_text(f'#!/bin/sh\nexec {line} "$@"\n', "utf-8")
        script.chmod(0o755)


def _unpacked(package: str, suite: str | None) -> Path:
    if not debian.available() or suite is None:
        pytest.skip(f"there is no {package} here, and no Debian to get it from")
    try:
        return debian.unpacked(package, suite=suite)
    except Problem as problem:
        pytest.skip(f"{package} cannot be had: {problem.cause}")


def _suite() -> str | None:
    try:
        lines = Path("/etc/os-release").read_text("utf-8").splitlines()
    except OSError:
        return None
    names = [line.partition("=")[2] for line in lines if line.startswith("VERSION_CODENAME=")]
    return names[0] if names else None


def _timescale(folder: Path) -> bool:
    return (folder.parent / "lib" / "timescaledb.so").exists()
