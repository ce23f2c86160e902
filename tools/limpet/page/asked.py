"""Where the page is, how browsers call it, and what it takes to come in: as the command line says.

On loopback a page needs no login, as who is on this machine is the user; beyond it one is needed,
and HTTPS: by a certificate of the fleet's own authority, by one that is given, or by a reverse
proxy. There Commands are taken only where that was said.

It needs none of the packages of limpet[page], so that `--help` does without.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from limpet.shared.firmware import more_brokers, rules
from limpet.shared.plain import safe, short
from limpet.shared.problem import Problem

HOST, PORT = "127.0.0.1", 8080
_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
# How browsers on this machine may call it.
LOOPBACK = frozenset(("127.0.0.1", "localhost", "::1"))


@Parameter(name="*")
@dataclass(frozen=True)
class Serving:
    """Where the page is, and who may what."""

    listen: str = f"{HOST}:{PORT}"
    """Where it is: HOST:PORT. Beyond loopback it needs a login, and takes no Commands."""
    called: Annotated[list[str] | None, Parameter(name="--name", negative=())] = None
    """Host name by which browsers call it, beside the one it listens on. Can be repeated."""
    read_only: Annotated[bool, Parameter(negative=())] = False
    """Take no Commands; to the broker it is then somebody who may only read."""
    operate: Annotated[bool, Parameter(negative=())] = False
    """Take Commands where a login is needed."""
    login: Annotated[bool, Parameter(negative=())] = False
    """Have a login on loopback too."""
    behind_proxy: Annotated[bool, Parameter(negative=())] = False
    """A reverse proxy is in front, which speaks HTTPS and says X-Forwarded-For: here is none."""
    certificate: Path | None = None
    """Certificate for HTTPS [default: one of the fleet's own authority]."""
    key: Path | None = None
    """And its key."""

    @property
    def place(self) -> tuple[str, int]:
        """Host and port to listen on. Raises Problem."""
        ((host, port),) = more_brokers.split([self.listen], -1)
        # What is no port is 0 to `split`, and 0 is any that is free.
        if not host or port < 0 or port > 65535 or (port == 0 and not self.listen.endswith(":0")):
            raise Problem(
                f"--listen: {self.listen!r} is no address with a port.", f"Such as {HOST}:{PORT}."
            )
        return host, port

    @property
    def local(self) -> bool:
        """Whether only this machine can come, and not for others."""
        return rules.is_loopback(self.place[0]) and not self.behind_proxy

    @property
    def guarded(self) -> bool:
        """Whether a login is needed."""
        return self.login or not self.local

    @property
    def operates(self) -> bool:
        """Whether Commands are taken. Raises Problem."""
        if self.read_only and self.operate:
            raise Problem("--read-only and --operate contradict each other.", "Say one of them.")
        return not self.read_only and (self.operate or not self.guarded)

    def hosts(self) -> list[str]:
        """Return the names by which browsers may call it. Raises Problem."""
        host, _ = self.place
        called = list(self.called or ())
        if self.behind_proxy and not called:
            raise Problem("Nothing says how browsers call the proxy.", "Say it: --name HOST.")
        own = [] if host in ("0.0.0.0", "::") else [host]
        if not own and not called:
            own = [socket.gethostname()]
        return list(dict.fromkeys(map(_host, (*called, *own))))


def _host(name: str) -> str:
    """Return a host name as browsers say it. Raises Problem for what is none."""
    try:
        said = name.encode("idna").decode().lower().rstrip(".")
        if not _HOST.fullmatch(said):
            ip_address(said)
    except ValueError:  # also what cannot be said in ASCII
        raise Problem(
            f"{safe(short(name))!r} is no host name.",
            "Say one without a port: --name page.example.",
        ) from None
    return said
