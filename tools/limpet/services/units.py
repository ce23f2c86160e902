"""systemd units as text. Pure: nothing is read or written.

A service sees of the fleet what it is handed as credentials, which systemd copies for it: neither
the authority's key nor a device's. It writes to its own folder below /var/lib, if it has a store,
and nowhere else.
"""

from pathlib import PurePosixPath
from typing import NamedTuple

# Where a folder is somebody's home.
HOMES = ("home", "root", "run")

_UNIT = """\
# Written by `limpet service install {name}`.
[Unit]
Description=Limpet: {title}
Wants=network-online.target
After=network-online.target limpet-broker.service mosquitto.service postgresql.service
# It is tried again for ever: what it waits for may take days.
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart={command}
Restart=always
RestartSec=5
{user}
{store}{credentials}
Environment=PYTHONDONTWRITEBYTECODE=1

NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome={home}
PrivateTmp={private_tmp}
PrivateDevices=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
UMask=0077

[Install]
WantedBy=multi-user.target
"""


# Of a service that has one.
_STORE = """\
StateDirectory=limpet-{name}
StateDirectoryMode=0700
Environment=LIMPET_STORE=%S/limpet-{name}/limpet.db
# A line LIMPET_STORE=postgresql://... in there, mode 0600, names another store.
EnvironmentFile=-/etc/limpet/{name}.env
"""


# Of one that only reads a store, which may be named there.
_ENVIRONMENT = """\
# A line LIMPET_STORE=postgresql://... in there, mode 0600, names the store with the history.
EnvironmentFile=-/etc/limpet/{name}.env
"""


class Service(NamedTuple):
    """What a unit is made of. words: the command line, the program's absolute path first; a word
    `CREDENTIALS` stands for the folder of the credentials. credentials: absolute path by name.
    user: who runs it; None: a user of its own, made by systemd for as long as it runs. stores:
    whether it has a store; environment: whether it reads one that a file names.
    """

    name: str
    title: str
    words: tuple[str, ...]
    credentials: dict[str, PurePosixPath]
    user: str | None = None
    stores: bool = True
    environment: bool = False


CREDENTIALS = "CREDENTIALS"


def unit(service: Service) -> str:
    """Return the text of limpet-NAME.service."""
    top = PurePosixPath(service.words[0]).parts[1:2]
    program, *more = service.words
    # Of the program's own path systemd takes a $ for itself.
    words = [_quoted(program)]
    words += [
        "${CREDENTIALS_DIRECTORY}" if word == CREDENTIALS else _quoted(word.replace("$", "$$"))
        for word in more
    ]
    store = _STORE if service.stores else _ENVIRONMENT if service.environment else ""
    loaded = (f"LoadCredential={name}:{_path(path)}" for name, path in service.credentials.items())
    return _UNIT.format(
        name=service.name,
        title=service.title,
        command=" ".join(words),
        user=f"User={service.user}" if service.user else "DynamicUser=yes",
        store=store.format(name=service.name),
        credentials="\n".join(loaded),
        home="read-only" if top and top[0] in HOMES else "yes",
        private_tmp="no" if top == ("tmp",) else "yes",
    )


def _path(path: PurePosixPath) -> str:
    # % begins one of systemd's specifiers.
    return str(path).replace("%", "%%")


def _quoted(word: str) -> str:
    """Return a word of a command line as systemd reads it."""
    for sign in ("\\", '"'):
        word = word.replace(sign, "\\" + sign)
    return '"' + word.replace("%", "%%") + '"'
