"""RabbitMQ's configuration as text, for 4.0 (Debian 13); 3.10 needs a few lines less. Pure.

There is a user for each certificate, without a password. What a user may say and hear are regular
expressions over topics, in which RabbitMQ writes `.` for `/` and `*` for `+`. Levels of ours have
no dots.
"""

import json
import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from limpet.brokers.plan import Plan, made_from
from limpet.brokers.rules import Grant

CONF = "rabbitmq.conf"
ADVANCED = "advanced.config"
PLUGINS = "enabled_plugins"
DEFINITIONS = "definitions.json"

VHOST = "/"
# The exchange by which the plugin passes on all that is published.
EXCHANGE = "amq.topic"
# Where the CRL is looked for, below the plan's folder: by a name that is the hash of the CA's.
CRL_FOLDER = "crl"

# What makes a server a member of a cluster, in a file of its own: rabbitmq.conf is written anew
# with each change of the registry. RabbitMQ reads all files in the folder.
MORE = "conf.d"
CLUSTER_CONF = f"{MORE}/cluster.conf"
STATE = (CRL_FOLDER, MORE, "data", "log")
# An import removes nobody. Deleting a user ends its connection as well.
RELOAD = (
    "import them (rabbitmqctl import_definitions definitions.json), "
    "and drop who is gone (rabbitmqctl delete_user ID)"
)

_CONF = """\
# Written by limpet, for RabbitMQ 4.0.
# {made_from}
# Who may do what is in {definitions}; a member reads it when it starts, and on
# `rabbitmqctl import_definitions`.
load_definitions = {folder}/{definitions}

# MQTT over TLS and nothing else: no AMQP, no plain MQTT. The user `guest` is not made where
# definitions are loaded.
listeners.tcp = none
mqtt.listeners.tcp = none
mqtt.listeners.ssl.1 = {listen}:{port}

# Keys, certificates and the CRL are in {advanced}.
# A chip takes 2 to 4 s for its handshake, and longer when its Wi-Fi is bad. Milliseconds.
ssl_handshake_timeout = 60000

# The certificate's name is the user; that the client id is the same says {advanced}.
ssl_cert_login_from = common_name
mqtt.ssl_cert_login = true
mqtt.allow_anonymous = false

# What waits for a client is on a majority of the members. With classic queues it is on one, and
# while that one is down its clients are let in and thrown out again.
mqtt.durable_queue_type = quorum
# Messages that a client may have in hand: with the default of 10 a consumer of a whole fleet waits
# for acknowledgements most of the time.
mqtt.prefetch = {prefetch}
mqtt.exchange = {exchange}
mqtt.vhost = {vhost}
mqtt.tcp_listen_options.nodelay = true
mqtt.tcp_listen_options.backlog = {backlog}

vm_memory_high_watermark.absolute = {memory}
disk_free_limit.absolute = 1GB
# Members that see no majority stop, in place of going on with truths of their own.
cluster_partition_handling = pause_minority

# Each connection and each refused login, with the name and the address.
log.connection.level = info
{figures}
# 3.10 (Debian 12) does not know the following, and does not start with them: leave them out there.
anonymous_login_user = none
connection_max = {connections}
mqtt.max_packet_size_unauthenticated = {connect}
mqtt.max_packet_size_authenticated = {packet}
mqtt.max_session_expiry_interval_seconds = {session_s}
"""
_FIGURES = """\

# Its own figures, for `limpet capacity --live`: numbers alone, for who is on this machine.
prometheus.tcp.ip = 127.0.0.1
prometheus.tcp.port = {port}
"""
# A CONNECT: a name, and a will of at most 1 KB.
_CONNECT_BYTES = 4096
_SECONDS_PER_DAY = 86_400
# Erlang's code and heaps before anybody has connected: 100 MB were seen.
_OWN_BYTES = 256 * 1024 * 1024
# What a consumer of a whole fleet has in hand. Per client, so a device has it too, and never that
# many.
_PREFETCH_LEAST = 2_000

_ADVANCED = """\
%% Written by limpet, for RabbitMQ 4.0: what {conf} has no words for.
[
 {{rabbit, [
  %% All of it in one place: what stood in {conf} would be lost.
  {{ssl_options, [
   {{cacertfile, "{ca}"}},
   {{certfile, "{certificate}"}},
   {{keyfile, "{key}"}},
   {{verify, verify_peer}},
   {{fail_if_no_peer_cert, true}},
   {{versions, ['tlsv1.3', 'tlsv1.2']}},
   %% Read anew at each connection. Where there is no CRL nobody is let in.
   {{crl_check, peer}},
   {{crl_cache, {{ssl_crl_hash_dir, {{internal, [{{dir, "{crls}"}}]}}}}}}
  ]}}
 ]}},
 %% The client id has to be the certificate's name.
 {{rabbitmq_mqtt, [{{ssl_cert_client_id_from, common_name}}]}}
].
"""


def render(plan: Plan) -> dict[str, str]:
    """Return the texts of a member's files by their names."""
    plugins = ["rabbitmq_mqtt", *(["rabbitmq_prometheus"] if plan.figures_port else [])]
    return {
        CONF: conf(plan),
        ADVANCED: advanced(plan),
        PLUGINS: f"[{','.join(plugins)}].\n",
        DEFINITIONS: definitions(plan),
    }


def start(plan: Plan) -> list[str]:
    """Return the commands that start it, as the user who owns the files."""
    folder, crl = shlex.quote(str(plan.folder)), shlex.quote(str(plan.crl))
    link = f"{folder}/{CRL_FOLDER}/$(openssl crl -hash -noout -in {crl}).r0"
    files = {
        "CONFIG": CONF,
        "ADVANCED_CONFIG": ADVANCED,
        "ENABLED_PLUGINS": PLUGINS,
    }
    said = [f"RABBITMQ_{name}_FILE={folder}/{file}" for name, file in files.items()]
    said += [f"RABBITMQ_CONFIG_FILES={folder}/{MORE}"]
    said += [f"RABBITMQ_MNESIA_BASE={folder}/data", f"RABBITMQ_LOG_BASE={folder}/log"]
    return [
        "sudo apt install rabbitmq-server openssl && sudo systemctl disable --now rabbitmq-server",
        f"ln -sf {crl} {link}",
        f"env {' '.join(said)} /usr/lib/rabbitmq/bin/rabbitmq-server",
    ]


def conf(plan: Plan) -> str:
    """Return rabbitmq.conf."""
    limits = plan.limits
    return _CONF.format(
        made_from=made_from(plan),
        definitions=DEFINITIONS,
        advanced=ADVANCED,
        folder=plan.folder,
        listen=plan.listen or "0.0.0.0",
        port=plan.port,
        prefetch=max(limits.inflight, _PREFETCH_LEAST),
        exchange=EXCHANGE,
        vhost=VHOST,
        backlog=limits.silent,
        memory=limits.memory_bytes + _OWN_BYTES,
        connections=limits.connections,
        connect=_CONNECT_BYTES,
        packet=limits.packet_bytes,
        session_s=limits.session_days * _SECONDS_PER_DAY,
        figures=_FIGURES.format(port=plan.figures_port) if plan.figures_port else "",
    )


def cluster_conf(nodes: Iterable[str]) -> str:
    """Return conf.d/cluster.conf, by which members find each other. nodes: all of them, as
    `name@host`; the same text on each.
    """
    lines = ["# Written by limpet: the members."]
    lines += ["cluster_formation.peer_discovery_backend = classic_config"]
    for number, node in enumerate(nodes, 1):
        lines.append(f"cluster_formation.classic_config.nodes.{number} = {node}")
    return "\n".join(lines) + "\n"


def advanced(plan: Plan) -> str:
    """Return advanced.config."""
    return _ADVANCED.format(
        conf=CONF,
        ca=_erlang(plan.ca),
        certificate=_erlang(plan.certificate),
        key=_erlang(plan.key),
        crls=_erlang(plan.folder / CRL_FOLDER),
    )


def _erlang(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace('"', '\\"')


def definitions(plan: Plan) -> str:
    """Return definitions.json: a user for each client, what it may do, and how much may wait."""
    limits = plan.limits
    users, permissions, topics = [], [], []
    for name, grant in plan.grants():
        users.append({"name": name, "password_hash": "", "tags": [], "limits": {}})
        permissions.append({"user": name, "vhost": VHOST, **_queues(name)})
        topics.append({"user": name, "vhost": VHOST, "exchange": EXCHANGE, **_topics(grant)})
    queue = {
        "max-length": limits.queued_messages,
        "max-length-bytes": limits.queued_bytes,
        "overflow": "drop-head",  # what is newest is wanted most
        "expires": limits.session_days * _SECONDS_PER_DAY * 1000,
    }
    policy = {"vhost": VHOST, "name": "waiting", "pattern": "^mqtt-subscription-", "priority": 1}
    said = {
        "//": made_from(plan),  # JSON has no comments; RabbitMQ passes over what it does not know
        "vhosts": [{"name": VHOST}],
        "users": users,
        "permissions": permissions,
        "topic_permissions": topics,
        "policies": [policy | {"apply-to": "queues", "definition": queue}],
    }
    return json.dumps(said, indent=1) + "\n"


def _queues(name: str) -> dict[str, str]:
    """A client's own queues and the exchange: with another's client id it is let into nothing."""
    own = rf"mqtt-(subscription-{re.escape(name)}qos[012]|will-{re.escape(name)})"
    used = rf"^({own}|{re.escape(EXCHANGE)})$"
    return {"configure": f"^{own}$", "write": used, "read": used}


def _topics(grant: Grant) -> dict[str, Any]:
    return {"write": expression(grant.writes), "read": expression(grant.reads)}


def expression(filters: Iterable[str]) -> str:
    """Return the regular expression of all topics and filters that one of `filters` covers, in
    RabbitMQ's spelling; `^$` where there is none.
    """
    each = [_one(own) for own in filters if not own.startswith("$")]
    return f"^({'|'.join(each)})$" if each else "^$"


def _one(own: str) -> str:
    if own == "#":
        return r"[^$].*"  # a wildcard in front does not reach what is the broker's
    head, every, _ = own.partition("/#")
    # `+` covers a level or a `*`, and no `#`, which stands for more than one.
    levels = [r"[^.#]*" if level == "+" else re.escape(level) for level in head.split("/")]
    return r"\.".join(levels) + (r"(\..*)?" if every else "")
