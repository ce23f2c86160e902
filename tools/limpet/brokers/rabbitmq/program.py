"""RabbitMQ as a program: Debian's package unpacked privately, with the Erlang that it needs.

Always Debian's, whatever is installed: a RabbitMQ of the system's own has its user, its cookie and
its epmd, and none of them are ours to use.
"""

import os
import stat
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from limpet.node_host import debian
from limpet.shared.filling import filled_once
from limpet.shared.problem import Problem

PACKAGE = "rabbitmq-server"
# A program of Debian's C library, wherever it is started from and whatever starts it.
_BY_LOADER = (
    '#!/bin/sh\nexec "{loader}" --library-path "{libraries}" --argv0 "$0" "{program}" "$@"\n'
)
# As Erlang's own `erl`, with the folder in which it really lies.
_ERL = """\
#!/bin/sh
ROOTDIR="{root}" BINDIR="{bin}" EMU=beam PROGNAME=erl
export ROOTDIR BINDIR EMU PROGNAME
exec "$BINDIR/erlexec" "$@"
"""


class Program(NamedTuple):
    """Where RabbitMQ's scripts are, and Erlang's programs."""

    scripts: Path
    erlang: Path

    @property
    def server(self) -> list[str]:
        """How to start a member; the process that it becomes is the member itself."""
        return [str(self.scripts / "rabbitmq-server")]

    @property
    def epmd(self) -> list[str]:
        """How to start Erlang's port mapper, in the foreground."""
        return [str(self.erlang / "epmd")]

    def environment(self, home: Path, epmd_port: int) -> dict[str, str]:
        """Return the environment of all that is started below `home`, which holds the cookie.

        epmd_port: of a port mapper on loopback that is this cluster's own.
        """
        return {
            "PATH": os.pathsep.join([str(self.erlang), "/usr/sbin:/usr/bin:/sbin:/bin"]),
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_CRASH_DUMP_SECONDS": "0",
            "RABBITMQ_CONF_ENV_FILE": str(home / "none.conf"),
            # The script then becomes the server, in place of minding it.
            "RUNNING_UNDER_SYSTEMD": "true",
        }


@cache
def rabbitmq() -> Program:
    """Return RabbitMQ; sets it up if need be (90 MB). Raises Problem."""
    if not debian.available():
        raise Problem(
            "There is no Debian apt here to get RabbitMQ from.",
            "Try it on Debian 12 or later, or with CLUSTER=nats.",
        )
    root = debian.unpacked(PACKAGE)
    found = sorted(root.glob("usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin"))
    runtimes = sorted(root.glob("usr/lib/erlang/erts-*/bin"))
    if not found or not runtimes:
        raise Problem(f"There is no RabbitMQ in {root}.", "Remove that folder, and try again.")
    folder = root.with_name(root.name + "-erlang")
    with filled_once(folder) as new:
        if new:
            _lay(new, folder, root, runtimes[-1])
    return Program(found[-1], folder / runtimes[-1].parent.name / "bin")


def member(nodename: str, folder: Path, dist_port: int) -> Mapping[str, str]:
    """Return what the environment says of one member, whose files are all below `folder`.

    dist_port: where the other members find it, on loopback.
    """
    return {
        "RABBITMQ_NODENAME": nodename,
        "RABBITMQ_DIST_PORT": str(dist_port),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2",
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_FEATURE_FLAGS_FILE": str(folder / "data" / "feature_flags"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_CONFIG_FILES": str(folder / "conf.d"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
    }


def _lay(new: Path, folder: Path, root: Path, runtime: Path) -> None:
    """Fill `new`, which becomes `folder`: Erlang's tree, in which each program is started by the
    loader of its own C library.
    """
    tree = runtime.parents[1]
    programs = new / runtime.parent.name / "bin"
    programs.mkdir(parents=True)
    (new / "releases").symlink_to(tree / "releases")
    (new / "bin").symlink_to(programs.relative_to(new))
    _wrap(programs, runtime, root)
    for each in sorted((tree / "bin").glob("*.boot")):
        (programs / each.name).symlink_to(each)
    at = folder / programs.relative_to(new)
    _script(programs / "erl", _ERL.format(root=folder, bin=at))
    for library in sorted((tree / "lib").iterdir()):
        _library(new / "lib" / library.name, library, root)


def _library(new: Path, library: Path, root: Path) -> None:
    """Some libraries have programs of their own: os_mon looks at memory with one."""
    if not (library / "priv" / "bin").is_dir():
        new.parent.mkdir(exist_ok=True)
        new.symlink_to(library)
        return
    (new / "priv" / "bin").mkdir(parents=True)
    for part in (*library.iterdir(), *(library / "priv").iterdir()):
        if part.name not in ("priv", "bin"):
            (new / part.relative_to(library)).symlink_to(part)
    _wrap(new / "priv" / "bin", library / "priv" / "bin", root)


def _wrap(new: Path, programs: Path, root: Path) -> None:
    for each in sorted(programs.iterdir()):
        if each.read_bytes()[:4] == b"\x7fELF":
            path = str(each.relative_to(root))
            loader, _, libraries, program = debian.command(root, debian.HOST, path)
            text = _BY_LOADER.format(loader=loader, libraries=libraries, program=program)
            _script(new / each.name, text)


def _script(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
