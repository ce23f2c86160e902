"""mosquitto's configuration as text: mosquitto.conf and acl, for 2.0.11 to 2.1.

The ACL names every device of the registry: a certificate of this CA alone opens nothing. acl_file
and password_file are deprecated in 2.1 in favour of plugins that 2.0 lacks; both versions read
them. Pure: no file is read or written.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Any

from limpet.brokers import rules
from limpet.identity.layout import Layout
from limpet.identity.registry import Role
from limpet.shared import firmware

ACL = "acl"

# What an ACL says of the version of the rules that it is made by.
_RULES = "# rules "

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
# Which certificates are revoked. mosquitto reads it, and all of the above, again at SIGHUP.
crlfile {crl}
require_certificate true"""


def conf(layout: Layout, user: str, host: str, port: int, logins: bool) -> str:
    """Return mosquitto.conf for the set-up `layout`.

    user: whom mosquitto becomes when root starts it. host: where it listens, '' for all addresses.
    logins: whether the port after `port` asks for passwords.
    """
    text = _CONF.format(
        user=user, folder=layout.broker, acl=ACL, listener=_listener(layout, host, port)
    )
    if logins:
        listener = _listener(layout, host, login_port(port))
        text += _LOGIN.format(passwords=layout.passwords, listener=listener)
    return text


def acl(bases: Mapping[str, str], consumers: Mapping[str, Role]) -> str:
    """Return the ACL. bases and consumers: base topic of each device, and what each consumer may
    do, by name, as Layout has them.
    """
    lines = [
        "# Written by limpet from the registry, devices.json. A user is a certificate's CN; who is",
        "# not here, or wants more than this, may connect, say nothing and hear nothing.",
        f"{_RULES}{rules.VERSION}",
    ]
    for name in (*sorted(bases), *consumers):
        grant = rules.grant(name, bases, consumers)
        assert grant
        lines += ["", f"user {name}"]
        lines += [f"topic write {topic}" for topic in grant.writes]
        lines += [f"topic read {topic}" for topic in grant.reads]
    return "\n".join(lines) + "\n"


def version(text: str) -> int:
    """Return by which version of the rules an ACL was made."""
    found = re.search(rf"^{_RULES}(\d+)$", text, re.MULTILINE)
    return int(found[1]) if found else 1


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
    return one if not more and (firmware.rules.is_loopback(one) or _is_address(one)) else ""


def login_port(port: int) -> int:
    """Return the port for clients that log in besides their certificate: the next one."""
    return port + 1


def _listener(layout: Layout, host: str, port: int) -> str:
    return _LISTENER.format(
        at=f"{port} {host}".rstrip(),
        ca=layout.ca_certificate,
        certificate=layout.server_certificate,
        key=layout.server_key,
        crl=layout.crl,
    )


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
