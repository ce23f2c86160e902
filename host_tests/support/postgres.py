"""PostgreSQL for tests: the system's or Debian's own, in a folder of its own, on a unix socket.

Debian's packages run on the release they are of, so what is unpacked is of this machine's release.
initdb refuses root, for whom both run as `postgres` or `nobody`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import pytest
from limpet.node_host import debian
from limpet.shared.problem import Problem

START_S = 60
_BIN = "usr/lib/postgresql/*/bin"


class Postgres:
    """A server that runs. url: of a database of its own."""

    def __init__(self, programs: Path, libraries: str) -> None:
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


@cache
def programs() -> tuple[Path, str]:
    """Return the folder of PostgreSQL's programs and where their libraries are; skips the test
    where there is none to be had.
    """
    found = sorted(Path("/").glob(_BIN))
    if found:
        return found[-1], ""
    suite = _suite()
    if not debian.available() or suite is None:
        pytest.skip("there is no PostgreSQL here, and no Debian to get it from")
    try:
        root = debian.unpacked("postgresql", suite=suite)
    except Problem as problem:
        pytest.skip(f"PostgreSQL cannot be had: {problem.cause}")
    triplet = debian.LOADERS[debian.HOST][0]
    return sorted(root.glob(_BIN))[-1], str(root / "usr" / "lib" / triplet)


def _suite() -> str | None:
    try:
        lines = Path("/etc/os-release").read_text("utf-8").splitlines()
    except OSError:
        return None
    names = [line.partition("=")[2] for line in lines if line.startswith("VERSION_CODENAME=")]
    return names[0] if names else None


def _timescale(folder: Path) -> bool:
    return (folder.parent / "lib" / "timescaledb.so").exists()


def has_timescale() -> bool:
    """Whether TimescaleDB is there beside it."""
    return _timescale(programs()[0])
