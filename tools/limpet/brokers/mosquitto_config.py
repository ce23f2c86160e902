"""mosquitto's configuration for a set-up: mosquitto.conf and acl, for 2.0.11 to 2.1.

acl_file and password_file are deprecated in 2.1 in favour of plugins that 2.0 lacks; both versions
read them. It will NOT start mosquitto.
"""

import os
import pwd
from pathlib import Path

from limpet import private
from limpet.brokers import broker_rules
from limpet.layout import Layout
from limpet.operating import operators

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
listener {port} {host}
cafile {ca}
certfile {certificate}
keyfile {key}
require_certificate true"""


def write(layout: Layout, host: str, port: int) -> Path:
    """Write both files and return the path of mosquitto.conf.

    To be written again after the first device of another organisation, or the first password.
    """
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
    private.write(layout.broker / ACL, _acl(broker_rules.organisations(layout.bases())).encode())
    private.write(conf, text.encode())
    return conf


def login_port(port: int) -> int:
    """Return the port for clients that log in besides their certificate: the next one."""
    return port + 1


def _listener(layout: Layout, host: str, port: int) -> str:
    return _LISTENER.format(
        port=port,
        host=host,
        ca=layout.ca_certificate,
        certificate=layout.server_certificate,
        key=layout.server_key,
    )


def _acl(orgs: list[str]) -> str:
    lines = ["# %u is the certificate's CN. What is not allowed here is refused."]
    for org in orgs:
        # Site, zone and type are any: a new device needs no new file, and a device's own id is in
        # every one of its topics.
        own = f"{org}/+/+/+/%u"
        lines += [f"pattern write {own}/{suffix}" for suffix in broker_rules.DEVICE_WRITES]
        lines += [f"pattern read {own}/{suffix}" for suffix in broker_rules.DEVICE_READS]
    for name in operators.NAMES:
        lines += ["", f"user {name}", f"topic read {broker_rules.BROKER_FIGURES}"]
        for org in orgs:
            lines += [f"topic read {org}/{suffix}" for suffix in broker_rules.OPERATOR_READS]
            lines += [f"topic write {org}/{suffix}" for suffix in broker_rules.OPERATOR_WRITES]
    return "\n".join(lines) + "\n"
