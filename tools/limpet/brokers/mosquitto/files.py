"""mosquitto's files in a set-up, asked where it listens and what it lacks."""

import re

from limpet.brokers.mosquitto.renderer import ACL, CONF, is_address
from limpet.identity.layout import Layout
from limpet.shared.plain import plural

__all__ = ["ACL", "CONF", "certificate_port", "listens", "stale"]


def listens(layout: Layout) -> tuple[str, int] | None:
    """Return address ('' for all) and port of mosquitto.conf; None where there is none."""
    found = re.search(r"^listener (\d{1,5})(?: (\S+))?$", _conf(layout), re.MULTILINE)
    return (found[2] or "", int(found[1])) if found else None


def stale(layout: Layout, host: str, port: int, chosen: bool) -> str | None:
    """Return what mosquitto.conf, where there is one, lacks for who looks for it at `host`. chosen:
    somebody said where it listens, who knows what a name means there.
    """
    if not (text := _conf(layout)):
        return None
    if f"acl_file {layout.broker / ACL}\n" not in text:
        return "names files of another folder"
    at = [f"listener {port} {host}", f"listener {port}"]
    lines = [line.strip() for line in text.splitlines()]
    if chosen and not is_address(host):
        at += [line for line in lines if line.startswith(f"listener {port} ")]
    if not any(line in at for line in lines):
        return f"does not listen on {host}:{port}"
    if layout.passwords.exists() and "password_file " not in text:
        return "asks for no passwords"
    if "crlfile " not in text:
        return "lets in who was revoked"
    sized = re.search(r"^# Sized for ([\d,]{1,12}) devices?\b", text, re.MULTILINE)
    if not sized:
        return "has no limits"
    devices, known = int(sized[1].replace(",", "")), len(layout.bases())
    if known > devices:
        return f"is sized for {plural(devices, 'device')}, and there are {known}"
    return None


def certificate_port(layout: Layout, port: int) -> int:
    """Return where the mosquitto that asks for passwords on `port` asks for none; else `port`."""
    logins = _conf(layout).partition("\npassword_file ")[2]
    return port - 1 if re.search(rf"^listener {port}\b", logins, re.MULTILINE) else port


def _conf(layout: Layout) -> str:
    try:
        return (layout.broker / CONF).read_text("utf-8", "replace")
    except OSError:
        return ""
