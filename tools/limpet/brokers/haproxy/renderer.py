"""HAProxy's configuration as text: one address in front of several brokers. Pure.

TLS goes through untouched: the broker sees the client's certificate, and the client the broker's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

CONF = "haproxy.cfg"

# What a connection may be silent for, in keepalives. A broker gives up after 1.5 of them, and the
# one who knows better is to be the first.
_SILENCE = 1.6

_CONF = """\
# Written by limpet.
global
  maxconn {maxconn}
  log stdout format raw local0 notice

defaults
  mode tcp
  log global
  option dontlognull
  timeout connect 5s
  # Above 1.5 keepalives of {keepalive_s} s: who is silent for longer is the broker's to say.
  timeout client {silence_s}s
  timeout server {silence_s}s
  timeout check 3s
  # Another member is asked where the first does not take the connection.
  retries 3
  option redispatch 1

listen mqtt
  bind {bind}
  balance leastconn
{check}  default-server inter 1s fall 3 rise 2
{servers}
"""
_HTTP = "  option httpchk GET {path}\n"


@dataclass(frozen=True)
class Server:
    """A broker: its name here, where it listens, and the port that is asked how it is (0: that it
    takes a connection is enough).
    """

    name: str
    address: str
    health: int = 0


def conf(
    bind: str, servers: Sequence[Server], *, keepalive_s: int, connections: int, path: str = ""
) -> str:
    """Return haproxy.cfg.

    bind: `address:port`. keepalive_s: the longest of any client. connections: at once, of all.
    path: what the servers' health ports are asked for.
    """
    return _CONF.format(
        maxconn=connections,
        keepalive_s=keepalive_s,
        silence_s=ceil(_SILENCE * keepalive_s),
        bind=bind,
        check=_HTTP.format(path=path) if path else "",
        servers="\n".join(map(_server, servers)),
    )


def _server(server: Server) -> str:
    port = f" port {server.health}" if server.health else ""
    return f"  server {server.name} {server.address} check{port}"
