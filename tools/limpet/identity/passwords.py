"""The password file of a broker, in mosquitto's own format, so that both brokers read the same one.

A line is `user:$7$iterations$salt$hash`, PBKDF2 with SHA-512, salt and hash in base64 (mosquitto
2.0 and later). No other format is read, and why a password was refused is not said.
"""

import base64
import hashlib
import hmac
import os

from limpet.identity.layout import Layout
from limpet.shared import private

# mosquitto's own default is 101. A broker hashes on its only thread: this many cost it about 10 ms
# per login.
ITERATIONS = 10_000
_SALT_BYTES = 12
_SCHEME = "7"


def set_password(layout: Layout, user: str, password: str) -> None:
    """Enter or replace the password of `user` in the set-up's file."""
    salt = os.urandom(_SALT_BYTES)
    fields = (str(ITERATIONS), _text(salt), _text(_hash(password, salt, ITERATIONS)))
    with layout.changing():
        _write(layout, _entries(layout) | {user: "$".join(("", _SCHEME, *fields))})


def remove(layout: Layout, user: str) -> bool:
    """Take the password of `user` out of the set-up's file; whether there was one."""
    with layout.changing():
        entries = _entries(layout)
        known = entries.pop(user, None) is not None
        if known:
            _write(layout, entries)
    return known


def _write(layout: Layout, entries: dict[str, str]) -> None:
    lines = [f"{name}:{entry}\n" for name, entry in sorted(entries.items())]
    private.write(layout.passwords, "".join(lines).encode())


def right(layout: Layout, user: str, password: str) -> bool:
    """True when `password` is that of `user`; False for anything else, an unknown user included."""
    fields = _entries(layout).get(user, "").split("$")
    if len(fields) != 5 or fields[1] != _SCHEME:
        return False
    expected = base64.b64decode(fields[4])
    given = _hash(password, base64.b64decode(fields[3]), int(fields[2]))
    return hmac.compare_digest(expected, given)


def _entries(layout: Layout) -> dict[str, str]:
    try:
        lines = layout.passwords.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return {}
    return {user: entry for user, _, entry in (line.partition(":") for line in lines)}


def _hash(password: str, salt: bytes, iterations: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
