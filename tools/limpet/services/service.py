"""`limpet service`: what of Limpet runs for years, as services of systemd. Nothing is started."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, NamedTuple

from cyclopts import App, Parameter

from limpet.identity import https
from limpet.identity.fleet_folder import FleetOption, quoted, required
from limpet.identity.layout import Layout
from limpet.operating.where import SetupInfo
from limpet.services.units import CREDENTIALS, Service, unit
from limpet.shared import private, windows
from limpet.shared.firmware import more_brokers, rules
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
    service: Literal["ingest", "exporter", "homeassistant", "page"],
    /,
    *,
    user: str | None = None,
    workers: WorkerCount | None = None,
    name: Annotated[str | None, Parameter(name="--as")] = None,
    listen: str | None = None,
    called: Annotated[list[str] | None, Parameter(name="--name", negative=())] = None,
    operate: Annotated[bool, Parameter(negative=())] = False,
    behind_proxy: Annotated[bool, Parameter(negative=())] = False,
    show: Annotated[bool, Parameter(name="--print", negative=())] = False,
    fleet: FleetOption = None,
) -> None:
    """Write the systemd unit of a service, and say what starts it. Nothing is started.

    The unit of a broker is among the files of `limpet broker-config`.

    Parameters
    ----------
    service
        Which one: ingest, exporter, homeassistant or page.
    user
        Who runs it [default: a user of its own, which systemd makes].
    workers
        Of ingest: so many processes share the work, `limpet ingest --workers`.
    name
        The identity it has for the broker: `limpet operator add NAME --read`, of homeassistant
        with --role discovery [default: as the service is called].
    listen
        Of exporter and page: where it is found, HOST:PORT [default: on loopback].
    called
        Of page: host name by which browsers call it, `limpet page --name`.
    operate
        Of page: take Commands; its identity is then made without --read.
    behind_proxy
        Of page: a reverse proxy is in front, `limpet page --behind-proxy`.
    show
        Only print the unit.
    """
    windows.refuse("service install", "there is no systemd")
    if user is not None and not _USER.fullmatch(user):
        raise Problem(f"{user!r} is no name of a user.", "Such as limpet.")
    options: dict[str, tuple[object, tuple[str, ...]]] = {
        "--workers": (workers, ("ingest",)),
        "--listen": (listen, ("exporter", "page")),
        "--name": (called, ("page",)),
        "--operate": (operate or None, ("page",)),
        "--behind-proxy": (behind_proxy or None, ("page",)),
    }
    for option, (value, whose) in options.items():
        if value is not None and service not in whose:
            raise Problem(f"{option} is none of {service}'s.", "See limpet service install --help.")
    root = required(fleet).root.resolve()
    name = name or service
    if service == "ingest":
        made = _ingest(root, name, user, workers)
    elif service == "exporter":
        made = _exporter(root, name, user, listen)
    elif service == "homeassistant":
        made = _homeassistant(root, name, user)
    else:
        served = _Page(listen, tuple(called or ()), operate, behind_proxy)
        made = _page(root, name, user, served)
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


class _Page(NamedTuple):
    """How the page is served: what `limpet page` is told of it."""

    listen: str | None
    called: tuple[str, ...]
    operate: bool
    behind_proxy: bool

    @property
    def host(self) -> str:
        """Where it listens; raises Problem."""
        if self.listen is None:
            return "127.0.0.1"
        ((host, port),) = more_brokers.split([self.listen], -1)
        if not host or not 0 < port < 65536:
            raise Problem(f"--listen: {self.listen!r} is no address with a port.", "HOST:PORT.")
        return host

    def words(self) -> list[str]:
        """Return the options."""
        words = ["--listen", self.listen] if self.listen else []
        words += [word for each in self.called for word in ("--name", each)]
        words += ["--operate" if self.operate else "--read-only"]
        return [*words, "--behind-proxy"] if self.behind_proxy else words


def _page(root: Path, name: str, user: str | None, served: _Page) -> Service:
    """Beyond loopback it is handed the password too, and a certificate for HTTPS, which is made."""
    files = _with_registry(root, "page", name, "" if served.operate else "--read")
    layout, folder = Layout(root), root / "page"
    if served.operate and layout.consumers().get(name) != "operate":
        raise Problem(
            f"{name} may only read.",
            f"Remove it, and make it anew: limpet operator remove {name}; "
            f"limpet operator add {name}.",
        )
    host = served.host
    names = [*served.called, *(() if host in ("0.0.0.0", "::") else (host,))]
    more = []
    if served.behind_proxy or not rules.is_loopback(host):
        more.append("password")
        if not names:
            raise Problem("Nothing says how browsers call the page.", "Say it: --name HOST.")
        if not served.behind_proxy:
            https.issue(layout, folder, [*names, "127.0.0.1", "localhost", "::1"])
            more += [https.CERTIFICATE, https.KEY]
    for each in more:
        if not (folder / each).exists():
            raise Problem(
                f"There is no {folder / each}.",
                "Give the page a password: limpet page --set-password."
                if each == "password"
                else "Run this where the authority's key is, or say --behind-proxy.",
            )
        files[each] = PurePosixPath(folder / each)
    words = [*_words(root, "page", name, user), *served.words()]
    title = "the fleet live in a browser"
    return Service("page", title, tuple(words), files, user, stores=False, environment=True)


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
