"""EMQX's configuration as text: emqx.conf, acl.conf, a compose file of three nodes, and HAProxy's.

Not run here: EMQX is in no package index that we use. A test reads the rules as EMQX's manual
says that they are read, and holds them to the access matrix. Pure: no file is read or written.
"""

import shlex

from limpet.brokers.haproxy import renderer as haproxy
from limpet.brokers.plan import Plan, made_from, sized
from limpet.brokers.rules import Grant

CONF = "emqx.conf"
ACL = "acl.conf"
COMPOSE = "compose.yaml"
STATE: tuple[str, ...] = ()
RELOAD = "read its files anew: docker compose restart in that folder"
NODES = ("emqx1", "emqx2", "emqx3")
IMAGE = "emqx/emqx:5.8"
_MQTTS = 8883
# The longest that a node's config takes.
_KEEPALIVE_S = 3600

_CONF = """\
# Written by `limpet broker-config emqx`, for EMQX 5.8. Sized for {sized}.
# The last word on who may do what is acl.conf's: what it does not allow ends the connection.
node.data_dir = "data"
cluster.name = limpet

authorization {{
  no_match = deny
  deny_action = disconnect
  cache.enable = true
  sources = [{{ type = file, enable = true, path = "etc/{acl}" }}]
}}

mqtt {{
  # Who a client is, its certificate says, whatever it says of itself.
  peer_cert_as_username = cn
  peer_cert_as_clientid = cn
  max_packet_size = {packet_bytes}
  max_inflight = {inflight}
  max_mqueue_len = {queued_messages}
  mqueue_store_qos0 = false
  session_expiry_interval = {session_days}d
  max_topic_levels = 8
  exclusive_subscription = false
}}

listeners.tcp.default.enable = false
listeners.ws.default.enable = false
listeners.wss.default.enable = false
listeners.ssl.default {{
  enable = true
  bind = "0.0.0.0:{mqtts}"
  max_connections = {max_connections}
  ssl_options {{
    versions = ["tlsv1.3", "tlsv1.2"]
    cacertfile = "etc/certs/{ca}"
    certfile = "etc/certs/{certificate}"
    keyfile = "etc/certs/{key}"
    verify = verify_peer
    fail_if_no_peer_cert = true
  }}
}}

# Nobody but this machine: it has no password that is not its maker's.
dashboard.listeners.http.bind = "127.0.0.1:18083"
"""


def render(plan: Plan) -> dict[str, str]:
    """Return the text of each file by its name."""
    return {
        CONF: _conf(plan),
        ACL: _acl(plan),
        COMPOSE: _compose(plan),
        haproxy.CONF: _haproxy(plan),
    }


def start(plan: Plan) -> list[str]:
    """Return the commands that start it, where there is Docker."""
    folder = shlex.quote(str(plan.folder))
    return [
        f"cd {folder}",
        "EMQX_NODE__COOKIE=$(openssl rand -hex 32) docker compose up --detach",
        "docker compose exec emqx1 emqx ctl cluster status",
    ]


def _conf(plan: Plan) -> str:
    return _CONF.format(
        sized=sized(plan.limits),
        **vars(plan.limits),
        acl=ACL,
        mqtts=_MQTTS,
        max_connections=plan.limits.connections + plan.limits.silent,
        ca=plan.ca.name,
        certificate=plan.certificate.name,
        key=plan.key.name,
    )


def _acl(plan: Plan) -> str:
    lines = [
        "%% Written by limpet from the registry, devices.json. A user is a certificate's CN.",
        f"%% {made_from(plan)}",
    ]
    for name, grant in plan.grants():
        lines += ["", *_rules(name, grant)]
    # The rest of the file is never reached by who is above; who is not is thrown out.
    lines += ["", "{deny, all}."]
    return "\n".join(lines) + "\n"


def _rules(name: str, grant: Grant) -> list[str]:
    """Return the rules of one client. Only what is meant to be kept may be retained."""
    kept = list(grant.retained())
    passing = [each for each in grant.writes if each not in kept]
    found = []
    if kept:
        found.append(f'{{allow, {{username, "{name}"}}, publish, {_list(kept)}}}.')
    if passing:
        does = "{publish, [{retain, false}]}"
        found.append(f'{{allow, {{username, "{name}"}}, {does}, {_list(passing)}}}.')
    found.append(f'{{allow, {{username, "{name}"}}, subscribe, {_list(list(grant.reads))}}}.')
    return found


def _list(topics: list[str]) -> str:
    return "[" + ", ".join(f'"{each}"' for each in topics) + "]"


def _compose(plan: Plan) -> str:
    seeds = ",".join(f"emqx@{each}.limpet" for each in NODES)
    lines = [
        "# Written by `limpet broker-config emqx`: three nodes, and HAProxy before them.",
        "services:",
    ]
    for node in NODES:
        lines += [
            f"  {node}:",
            f"    image: {IMAGE}",
            "    restart: unless-stopped",
            "    environment:",
            f"      EMQX_NODE__NAME: emqx@{node}.limpet",
            "      EMQX_NODE__COOKIE: ${EMQX_NODE__COOKIE:?set it to a secret of your own}",
            "      EMQX_CLUSTER__DISCOVERY_STRATEGY: static",
            f'      EMQX_CLUSTER__STATIC__SEEDS: "[{seeds}]"',
            f"    ulimits: {{nofile: {plan.limits.open_files}}}",
            "    volumes:",
            f"      - ./{CONF}:/opt/emqx/etc/emqx.conf:ro",
            f"      - ./{ACL}:/opt/emqx/etc/{ACL}:ro",
        ]
        for path in (plan.ca, plan.certificate, plan.key):
            lines.append(f"      - {_quoted(f'{path}:/opt/emqx/etc/certs/{path.name}:ro')}")
        lines += [
            f"      - {node}:/opt/emqx/data",
            f"    networks: {{limpet: {{aliases: [{node}.limpet]}}}}",
        ]
    at = f"{plan.listen}:" if plan.listen and ":" not in plan.listen else ""
    at = f"[{plan.listen}]:" if ":" in plan.listen else at
    lines += [
        "  haproxy:",
        "    image: haproxy:3.0",
        # It asks once, when it starts, where the nodes are.
        f"    depends_on: [{', '.join(NODES)}]",
        "    restart: unless-stopped",
        f'    ports: ["{at}{plan.port}:{_MQTTS}"]',
        f"    volumes: [./{haproxy.CONF}:/usr/local/etc/haproxy/haproxy.cfg:ro]",
        "    networks: [limpet]",
        f"volumes: {{{', '.join(f'{node}: {{}}' for node in NODES)}}}",
        "networks: {limpet: {}}",
    ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''").replace("$", "$$") + "'"


def _haproxy(plan: Plan) -> str:
    servers = [haproxy.Server(each, f"{each}.limpet:{_MQTTS}") for each in NODES]
    most = plan.limits.connections + plan.limits.silent
    return haproxy.conf(f":{_MQTTS}", servers, keepalive_s=_KEEPALIVE_S, connections=most)
