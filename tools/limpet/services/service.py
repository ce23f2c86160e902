"""`limpet service`: what of Limpet runs for years, as services of systemd. Nothing is started."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from cyclopts import App, Parameter

from limpet.identity.fleet_folder import FleetOption, quoted, required
from limpet.identity.layout import Layout
from limpet.operating.where import SetupInfo
from limpet.services.units import CREDENTIALS, Service, unit
from limpet.shared import private, windows
from limpet.shared.numbers import MAX_WORKERS, WorkerCount
from limpet.shared.problem import Problem

app = App(name="service", help="Have the system run what shall run for years.")

FOLDER = "services"
SYSTEM = "/etc/systemd/system"
# Of a service's credentials together systemd takes 1 MB.
MOST_BYTES = 1_000_000
# What useradd takes.
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")


@app.command
def install(
    service: Literal["ingest", "exporter", "homeassistant"],
    /,
    *,
    user: str | None = None,
    workers: WorkerCount | None = None,
    name: Annotated[str | None, Parameter(name="--as")] = None,
    listen: str | None = None,
    show: Annotated[bool, Parameter(name="--print", negative=())] = False,
    fleet: FleetOption = None,
) -> None:
    """Write the systemd unit of a service, and say what starts it. Nothing is started.

    The unit of a broker is among the files of `limpet broker-config`.

    Parameters
    ----------
    service
        Which one: ingest, exporter or homeassistant.
    user
        Who runs it [default: a user of its own, which systemd makes].
    workers
        Of ingest: so many processes share the work, `limpet ingest --workers`.
    name
        The identity it has for the broker: `limpet operator add NAME --read`, of homeassistant
        with --role discovery [default: as the service is called].
    listen
        Of exporter: where Prometheus finds it, HOST:PORT [default: 127.0.0.1:9883].
    show
        Only print the unit.
    """
    windows.refuse("service install", "there is no systemd")
    if user is not None and not _USER.fullmatch(user):
        raise Problem(f"{user!r} is no name of a user.", "Such as limpet.")
    options = {"--workers": (workers, "ingest"), "--listen": (listen, "exporter")}
    for option, (value, whose) in options.items():
        if value is not None and service != whose:
            raise Problem(f"{option} is none of {service}'s.", "See limpet service install --help.")
    root = required(fleet).root.resolve()
    name = name or service
    if service == "ingest":
        made = _ingest(root, name, user, workers)
    elif service == "exporter":
        made = _exporter(root, name, user, listen)
    else:
        made = _homeassistant(root, name, user)
    text = unit(made)
    if show:
        print(text, end="")
        return
    path = private.folder(root / FOLDER) / f"limpet-{service}.service"
    private.write(path, text.encode())
    print(f"{path} is written; nothing is started. To have it run:")
    print(f"    sudo install -m 0644 {quoted(path)} {SYSTEM}/")
    print("    sudo systemctl daemon-reload")
    print(f"    sudo systemctl enable --now limpet-{service}")
    kept = f" Its store: /var/lib/limpet-{service}/." if made.stores else ""
    if service != "ingest":
        print("It sees the registry of its start: restart it when a device is added or renewed.")
    print(f"What it says: journalctl -u limpet-{service}.{kept}")


def _credentials(
    layout: Layout, name: str, workers: int | None, role: str = "--read"
) -> dict[str, PurePosixPath]:
    """Return the files of all identities that ingest takes, by name: with workers also of those
    that are not started any more, as what is left for them at the broker is theirs to take. role:
    what `limpet operator add` is told of one that is missing.
    """
    found = {"ca.crt": layout.operator(name) / "ca.crt"}
    for number in range(1, MAX_WORKERS + 1 if workers else 2):
        each = name if number == 1 else f"{name}-{number}"
        paths = layout.operator_pair(each)
        if number <= (workers or 1) or all(path.exists() for path in paths):
            found |= {path.name: path for path in paths}
    for path in found.values():
        if not path.exists():
            cause = f"There is no {path}."
            raise Problem(cause, f"Make it: limpet operator add {path.parent.name} {role}.")
    return {each: PurePosixPath(path) for each, path in found.items()}


def _ingest(root: Path, name: str, user: str | None, workers: int | None = None) -> Service:
    files = _credentials(Layout(root), name, workers)
    words = _words(root, "ingest", name, user)
    if workers:
        words += ["--workers", str(workers)]
    title = "what the nodes publish goes into a store"
    return Service("ingest", title, tuple(words), files, user)


def _exporter(root: Path, name: str, user: str | None, listen: str | None) -> Service:
    files = _with_registry(root, "exporter", name)
    words = _words(root, "exporter", name, user)
    if listen:
        words += ["--listen", listen]
    title = "what nodes and broker say, for Prometheus"
    return Service("exporter", title, tuple(words), files, user, stores=False)


def _homeassistant(root: Path, name: str, user: str | None) -> Service:
    files = _with_registry(root, "homeassistant", name, "--role discovery")
    words = _words(root, "homeassistant", name, user)
    title = "Home Assistant is told which devices there are"
    return Service("homeassistant", title, tuple(words), files, user, stores=False)


def _with_registry(
    root: Path, verb: str, name: str, role: str = "--read"
) -> dict[str, PurePosixPath]:
    """Return the files of an identity, and the registry, by name."""
    registry = Layout(root).registry
    if registry.stat().st_size > MOST_BYTES:
        cause = f"{registry} is larger than what systemd hands to a service."
        raise Problem(cause, f"Run `limpet {verb} --fleet` by a unit of your own.")
    files = _credentials(Layout(root), name, None, role)
    return files | {registry.name: PurePosixPath(registry)}


def _words(root: Path, verb: str, name: str, user: str | None) -> list[str]:
    """Return the command line of `limpet VERB` as an identity, without the fleet's folder."""
    info = SetupInfo(root)
    program = Path(sys.prefix) / "bin" / "limpet"
    if set("\"'\\") & set(str(program)) or not str(program).isprintable():
        raise Problem(
            f"systemd runs no program with such signs in its path: {str(program)!r}.",
            "Install limpet elsewhere.",
        )
    if user is None and (closed := _closed(program)):
        raise Problem(
            f"{closed} is closed to other users, and {program} in it.",
            "Say who runs it: --user NAME; or install limpet where all may look, as in /opt.",
        )
    organisations = {base.split("/")[0] for base in info.bases.values()}
    if len(organisations) > 1:
        raise Problem("The fleet has several organisations.", f"Run `limpet {verb}` by hand.")
    words = [str(program), verb, "--identity", CREDENTIALS, "--as", name]
    words += ["--broker", info.host, "--port", str(info.port)]
    for host, port in info.brokers[1:]:
        words += ["--broker", f"[{host}]:{port}" if ":" in host else f"{host}:{port}"]
    words += ["--organisation", *organisations]
    if info.server_name:
        words += ["--server-name", info.server_name]
    return words


def _closed(program: Path) -> Path | None:
    """Return the first folder above `program` that not everybody may go through."""
    for folder in reversed(program.parents):
        if not os.stat(folder).st_mode & 0o001:
            return folder
    return None
