"""mosquitto's files in a set-up: written, kept up to date, and asked where it listens.

The ACL changes with each device, and mosquitto has to read it again (SIGHUP). Starting mosquitto,
and having it read anything, is left to its owner.
"""

import os
import re
from pathlib import Path

from limpet.brokers.mosquitto import renderer
from limpet.brokers.mosquitto.renderer import ACL
from limpet.identity.layout import Layout
from limpet.shared import private, windows
from limpet.shared.asked import is_utf8
from limpet.shared.problem import Problem

CONF = "mosquitto.conf"


def write(layout: Layout, host: str, port: int) -> Path:
    """Write both files and return the path of mosquitto.conf. Raises Problem.

    host: where it listens, '' for all addresses. To be written again after the first password, and
    when devices look elsewhere; of `acl` refresh takes care.
    """
    windows.refuse("provision --broker-config", "it names a user of the system")
    import pwd

    if not is_utf8(str(layout.root)):
        raise Problem(
            f"mosquitto takes no path that is not UTF-8, as is {layout.root}.",
            "Have the fleet in another folder.",
        )
    private.folder(layout.broker / "mosquitto")
    user = pwd.getpwuid(os.geteuid()).pw_name
    text = renderer.conf(layout, user, host, port, layout.passwords.exists())
    conf = layout.broker / CONF
    private.write(layout.broker / ACL, renderer.acl(layout.bases(), layout.consumers()).encode())
    private.write(conf, text.encode())
    return conf


def refresh(layout: Layout) -> bool:
    """Write the ACL anew where there is one that is not of this registry; whether there was."""
    path = layout.broker / ACL
    if not path.exists():
        return False
    with layout.changing():
        text = renderer.acl(layout.bases(), layout.consumers()).encode()
        if path.read_bytes() == text:
            return False
        private.write(path, text)
    return True


def rules_version(layout: Layout) -> tuple[Path, int] | None:
    """Return the ACL and by which version of the rules it was made; None where there is none."""
    path = layout.broker / ACL
    try:
        return path, renderer.version(path.read_text("utf-8", "replace"))
    except OSError:
        return None


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
    if "crlfile " not in text:
        return "lets in who was revoked"
    return None


def certificate_port(layout: Layout, port: int) -> int:
    """Return where the mosquitto that asks for passwords on `port` asks for none; else `port`."""
    try:
        text = (layout.broker / CONF).read_text("utf-8", "replace")
    except OSError:
        return port
    logins = text.partition("\npassword_file ")[2]
    return port - 1 if re.search(rf"^listener {port}\b", logins, re.MULTILINE) else port
