"""mosquitto's configuration for a set-up: mosquitto.conf and acl, for 2.0.11 to 2.1.

The ACL names every device of the registry: a certificate of this CA alone opens nothing. So it
changes with each device, and mosquitto has to read it again (SIGHUP). acl_file and password_file
are deprecated in 2.1 in favour of plugins that 2.0 lacks; both versions read them. It will NOT
start mosquitto, or make it read anything.
"""

import ipaddress
import os
import pwd
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from limpet.brokers import broker_rules
from limpet.identity import operators
from limpet.identity.layout import Layout
from limpet.shared import private
from limpet.shared.asked import is_utf8
from limpet.shared.firmware import config
from limpet.shared.problem import Problem

CONF = "mosquitto.conf"
ACL = "acl"

_CONF = """\
# Written by `limpet provision --broker-config mosquitto`, for mosquitto 2.0.11 to 2.1.
# The keys are readable by their owner alone: started by root, mosquitto becomes that user.
user {user}
allow_anonymous false
acl_file {folder}/{acl}
persistence true
persistence_location {folder}/mosquitto/
# Else a PUBACK waits until the one before it has been acknowledged by TCP: 40 ms and more.
set_tcp_nodelay true

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
_LISTENER = """\
listener {at}
cafile {ca}
certfile {certificate}
keyfile {key}
require_certificate true"""


def write(layout: Layout, host: str, port: int) -> Path:
    """Write both files and return the path of mosquitto.conf. Raises Problem.

    host: where it listens, '' for all addresses. To be written again after the first password, and
    when devices look elsewhere; of `acl` refresh takes care.
    """
    if not is_utf8(str(layout.root)):
        raise Problem(
            f"mosquitto takes no path that is not UTF-8, as is {layout.root}.", "Use another --out."
        )
    private.folder(layout.broker / "mosquitto")
    text = _CONF.format(
        user=pwd.getpwuid(os.geteuid()).pw_name,
        folder=layout.broker,
        acl=ACL,
        listener=_listener(layout, host, port),
    )
    if layout.passwords.exists():
        listener = _listener(layout, host, login_port(port))
        text += _LOGIN.format(passwords=layout.passwords, listener=listener)
    conf = layout.broker / CONF
    private.write(layout.broker / ACL, _acl(layout.bases()).encode())
    private.write(conf, text.encode())
    return conf


def refresh(layout: Layout) -> bool:
    """Write the ACL anew where there is one that is not of this registry; whether there was."""
    path = layout.broker / ACL
    if not path.exists():
        return False
    with layout.changing():
        text = _acl(layout.bases()).encode()
        if path.read_bytes() == text:
            return False
        private.write(path, text)
    return True


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
    (one, *more) = found
    return one if not more and (config.is_loopback(one) or _is_address(one)) else ""


def stale(layout: Layout, host: str, port: int) -> str | None:
    """Return what mosquitto.conf, where there is one, lacks for who looks for it at `host`."""
    try:
        text = (layout.broker / CONF).read_text("utf-8", "replace")
    except FileNotFoundError:
        return None
    at = (f"listener {port} {host}", f"listener {port}")
    if not any(line.strip() in at for line in text.splitlines()):
        return f"does not listen on {host}:{port}"
    if layout.passwords.exists() and "password_file " not in text:
        return "asks for no passwords"
    return None


def login_port(port: int) -> int:
    """Return the port for clients that log in besides their certificate: the next one."""
    return port + 1


def certificate_port(layout: Layout, port: int) -> int:
    """Return where the mosquitto that asks for passwords on `port` asks for none; else `port`."""
    try:
        text = (layout.broker / CONF).read_text("utf-8", "replace")
    except OSError:
        return port
    logins = text.partition("\npassword_file ")[2]
    return port - 1 if re.search(rf"^listener {port}\b", logins, re.MULTILINE) else port


def _listener(layout: Layout, host: str, port: int) -> str:
    return _LISTENER.format(
        at=f"{port} {host}".rstrip(),
        ca=layout.ca_certificate,
        certificate=layout.server_certificate,
        key=layout.server_key,
    )


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _acl(bases: dict[str, str]) -> str:
    lines = [
        "# Written by limpet from the registry, devices.json. A user is a certificate's CN; who is",
        "# not here, or wants more than this, may connect, say nothing and hear nothing.",
    ]
    for name in (*sorted(bases), *operators.NAMES):
        grant = broker_rules.grant(name, bases)
        assert grant
        lines += ["", f"user {name}"]
        lines += [f"topic write {topic}" for topic in grant.writes]
        lines += [f"topic read {topic}" for topic in grant.reads]
    return "\n".join(lines) + "\n"
