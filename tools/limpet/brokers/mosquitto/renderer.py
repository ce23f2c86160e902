"""mosquitto's configuration as text: mosquitto.conf, acl and a systemd unit, for 2.0.11 to 2.1.

The ACL names every device of the registry: a certificate of this CA alone opens nothing. acl_file
and password_file are deprecated in 2.1 in favour of plugins that 2.0 lacks; both versions read
them. Pure: no file is read or written.
"""

import ipaddress
import shlex
from collections.abc import Iterable
from typing import Any

from limpet.brokers.plan import Plan, made_from, sized
from limpet.shared import firmware

CONF = "mosquitto.conf"
ACL = "acl"
UNIT = "limpet-broker.service"
STATE = ("mosquitto",)
# No SIGHUP: by it 2.0 forgets who may read what of all who are away, drops what it has acknowledged
# for them, and lists their sessions twice as ones that expire; the one too many ends sessions of
# others later. 2.1 does not.
RELOAD = "read its files anew: sudo systemctl restart limpet-broker (no reload, no SIGHUP)"
PROGRAM = "/usr/sbin/mosquitto"

_CONF = """\
# Written by `limpet broker-config mosquitto`, for mosquitto 2.0.11 to 2.1.
# Sized for {sized}.
# After a change of any file restart it; no SIGHUP: by that 2.0 drops what is for clients that are
# away, though it acknowledges it, and ends sessions that are new. A restart keeps them all.
# The keys are readable by their owner alone: started by root, mosquitto becomes that user.
user {user}
allow_anonymous false
allow_zero_length_clientid false
acl_file {folder}/{acl}

# What it acknowledged is on the disk within five minutes, and when it ends.
persistence true
persistence_location {folder}/{state}/
autosave_interval 300
persistent_client_expiration {session_days}d

# Else a PUBACK waits until the one before it has been acknowledged by TCP: 40 ms and more.
set_tcp_nodelay true
max_packet_size {packet_bytes}
max_inflight_messages {inflight}
# Of one client that is away, or slow. What comes on top is dropped, and counted in $SYS.
max_queued_messages {queued_messages}
max_queued_bytes {queued_bytes}
# Beyond it mosquitto refuses what needs memory, instead of being ended by the system.
memory_limit {memory_bytes}

# Who comes, who goes, and who is refused and why.
log_dest stderr
log_type error
log_type warning
log_type notice
log_type information
connection_messages true

# The certificate's CN is the username, and the username is the client id, whatever a client says
# of itself. Without the last line one device could take over another's session.
{listener}
use_identity_as_username true
use_username_as_clientid true
"""
_LOGIN = """
# Where the CN is the username, no password is asked: so logins have a listener of their own. A
# certificate of this CA is required here too, but mosquitto cannot compare its CN with the
# username: who knows another device's password is that device. The embedded broker compares.
password_file {passwords}
{listener}
use_username_as_clientid true
"""
# Sockets that have not said yet who they are count as well: hence the room for them.
_LISTENER = """\
listener {at}
max_connections {connections}
tls_version tlsv1.2
cafile {ca}
certfile {certificate}
keyfile {key}
# Which certificates are revoked. Read at the start, as all of the above.
crlfile {crl}
require_certificate true"""

_UNIT = """\
# Written by `limpet broker-config mosquitto`. Where Debian has put mosquitto is taken for granted.
# It cannot be reloaded, on purpose: mosquitto.conf says why. Restart it.
[Unit]
Description=MQTT broker of a Limpet fleet
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
ExecStart={program} -c "{folder_as_word}/{conf}"
User={user}
Restart=always
RestartSec=2
LimitNOFILE={open_files}
UMask=0077
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome={home}
PrivateTmp={private_tmp}
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
ReadWritePaths="{folder_as_path}/{state}"

[Install]
WantedBy=multi-user.target
"""


def render(plan: Plan) -> dict[str, str]:
    """Return the text of each file by its name."""
    return {CONF: _conf(plan), ACL: _acl(plan), UNIT: _unit(plan)}


def start(plan: Plan) -> list[str]:
    """Return the commands that start it as a service; Debian's own mosquitto is another one."""
    return [
        "sudo apt-get install mosquitto && sudo systemctl disable --now mosquitto",
        f"sudo systemctl enable --now {shlex.quote(str(plan.folder / UNIT))}",
        "systemctl status limpet-broker",
    ]


def _conf(plan: Plan) -> str:
    limits = vars(plan.limits)
    listener = _listener(plan, plan.port)
    text = _CONF.format(
        user=plan.user,
        folder=plan.folder,
        acl=ACL,
        state=STATE[0],
        listener=listener,
        sized=sized(plan.limits),
        **limits,
    )
    if plan.passwords:
        listener = _listener(plan, login_port(plan.port))
        text += _LOGIN.format(passwords=plan.password_file, listener=listener)
    return text


def _listener(plan: Plan, port: int) -> str:
    return _LISTENER.format(
        at=f"{port} {plan.listen}".rstrip(),
        connections=plan.limits.connections + plan.limits.silent,
        ca=plan.ca,
        certificate=plan.certificate,
        key=plan.key,
        crl=plan.crl,
    )


def _acl(plan: Plan) -> str:
    lines = [
        "# Written by limpet from the registry, devices.json. A user is a certificate's CN; who is",
        "# not here, or wants more than this, may connect, say nothing and hear nothing.",
        f"# {made_from(plan)}",
    ]
    for name, grant in plan.grants():
        lines += ["", f"user {name}"]
        lines += [f"topic write {topic}" for topic in grant.writes]
        lines += [f"topic read {topic}" for topic in grant.reads]
    return "\n".join(lines) + "\n"


def _unit(plan: Plan) -> str:
    top = plan.folder.parts[1:2]
    # systemd's own signs in a path: % is a specifier everywhere, $ a variable in a command.
    path = str(plan.folder).replace("\\", "\\\\").replace("%", "%%")
    return _UNIT.format(
        program=PROGRAM,
        folder_as_path=path,
        folder_as_word=path.replace("$", "$$"),
        conf=CONF,
        user=plan.user,
        open_files=plan.limits.open_files,
        home="read-only" if top in (("home",), ("root",), ("run",)) else "yes",
        private_tmp="no" if top == ("tmp",) else "yes",
        state=STATE[0],
    )


def where(configs: Iterable[Any], port: int) -> str:
    """Return the address on which a broker on `port`, and on the next one for logins, is found by
    all devices whose checked config looks for it there; '' for all addresses: a name may mean
    another one here than where the device asks.
    """
    logins = (port, login_port(port))
    found = {
        each.broker
        for each in configs
        if each.port == port or (each.username is not None and each.port in logins)
    }
    (one, *more) = found or {""}
    return one if not more and (firmware.rules.is_loopback(one) or is_address(one)) else ""


def login_port(port: int) -> int:
    """Return the port for clients that log in besides their certificate: the next one."""
    return port + 1


def is_address(host: str) -> bool:
    """True for an IP address, False for a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
