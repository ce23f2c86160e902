"""The password file of a broker, in mosquitto's own format, so that both brokers read the same one.

A line is `user:$7$iterations$salt$hash`, PBKDF2 with SHA-512, salt and hash in base64 (mosquitto
2.0 and later). No other format is read, and why a password was refused is not said.
"""

import base64
import hashlib
import hmac
import os
import secrets

from limpet.identity.layout import Layout
from limpet.shared import private

# mosquitto's own default is 101. A broker hashes on its only thread: this many cost it about 10 ms
# per login.
ITERATIONS = 10_000
_SALT_BYTES = 12
_SCHEME = "7"


def set_password(layout: Layout, user: str, password: str) -> None:
    """Enter or replace the password of `user` in the set-up's file."""
    set_entries(layout, {user: entry(password)})


def entry(password: str) -> str:
    """Return what the file says of a password. It takes some 10 ms."""
    salt = os.urandom(_SALT_BYTES)
    fields = (str(ITERATIONS), _text(salt), _text(_hash(password, salt, ITERATIONS)))
    return "$".join(("", _SCHEME, *fields))


def set_entries(layout: Layout, entries: dict[str, str | None]) -> None:
    """Enter or replace what `entry` has made, by user, in the set-up's file at once; None: take it
    out.
    """
    if entries:
        with layout.changing():
            found = _entries(layout) | entries
            _write(layout, {user: said for user, said in found.items() if said is not None})


def generated() -> str:
    """Return a password that nobody guesses, for a machine: 24 bytes of chance."""
    return secrets.token_urlsafe(24)


def remove(layout: Layout, user: str) -> bool:
    """Take the password of `user` out of the set-up's file; whether there was one."""
    known = user in _entries(layout)
    if known:
        set_entries(layout, {user: None})
    return known


def _write(layout: Layout, entries: dict[str, str]) -> None:
    lines = [f"{name}:{said}\n" for name, said in sorted(entries.items())]
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
    return {user: said for user, _, said in (line.partition(":") for line in lines)}


def _hash(password: str, salt: bytes, iterations: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
