"""The password of the page and the sessions of who has given it.

The password is kept as argon2's hash, for its owner alone, in the fleet's folder; sessions are in
memory, and end with the page. A wrong password costs its address, and all together, one of a few
tries that come back slowly; who is logged in already is not held up by that.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from limpet.page.serving.rates import Rate, Rates
from limpet.shared import private
from limpet.shared.problem import Problem

FILE = "password"
LEAST = 10
MOST = 256
# Of one check: 19 MB and some 50 ms, as OWASP has it; two at once at most.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_AT_ONCE = 2
_WAITING = 8
SESSIONS = 256
# Between two looks whether there is another password.
LOOK_S = 2.0
SESSION_S = 12 * 3600.0
IDLE_S = 2 * 3600.0
# Wrong passwords: so many at once, then one in so many seconds.
OF_ADDRESS = (5, 20.0)
OF_ALL = (30, 2.0)


def set_password(folder: Path, password: str) -> None:
    """Keep a password, in place of the one before. Raises Problem for one that is too short."""
    if not LEAST <= len(password) <= MOST:
        raise Problem(
            f"The password has {len(password)} letters.", f"Take {LEAST} to {MOST} of them."
        )
    private.write(private.folder(folder) / FILE, _HASHER.hash(password).encode() + b"\n")


class TooManyError(Exception):
    """Too many tries: `wait_s` seconds are to be waited."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(wait_s)
        self.wait_s = wait_s


@dataclass
class Session:
    """Of one browser. token: what its requests that change something say."""

    csrf: str
    began: float
    used: float


class Login:
    """file: with the hash, read at each try, so that a new password counts at once."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._of = Rates(*OF_ADDRESS)
        self._all = Rate(*OF_ALL)
        self._checking = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0
        self._hash = self._read()
        self._looked = time.monotonic()

    def _read(self) -> str:
        return private.read(self._file).decode("ascii", "replace").strip()

    def _refresh(self) -> None:
        """Whoever knew the password of before is to give the new one."""
        self._looked = time.monotonic()
        try:
            found = self._read()
        except OSError:
            return  # it is being replaced, or was removed: that of before counts
        if found != self._hash:
            self._hash = found
            self._sessions.clear()

    async def try_password(self, password: str, address: str) -> str | None:
        """Return the key of a new session, None for a wrong password. Raises TooManyError."""
        self._refresh()
        tries = self._of.of(_network(address))
        wait_s = max(tries.wait_s(), self._all.wait_s())
        if wait_s or self._waiting >= _WAITING:
            raise TooManyError(max(wait_s, 1.0))
        tries.take()
        self._all.take()
        self._waiting += 1
        try:
            async with self._checking:
                right = await asyncio.to_thread(self._check, password)
        finally:
            self._waiting -= 1
        if not right:
            return None
        tries.back()
        self._all.back()
        return self._begin()

    def _check(self, password: str) -> bool:
        try:
            return len(password) <= MOST and _HASHER.verify(self._hash, password)
        except (Argon2Error, InvalidHashError, UnicodeEncodeError):
            return False

    def _begin(self) -> str:
        key, now = secrets.token_urlsafe(32), time.monotonic()
        self._sessions[_name(key)] = Session(secrets.token_urlsafe(32), now, now)
        while len(self._sessions) > SESSIONS:
            self._sessions.popitem(last=False)
        return key

    def session(self, key: str | None) -> Session | None:
        """Return the session of a key, if it counts."""
        if not key or len(key) > 100:
            return None
        name, now = _name(key), time.monotonic()
        if now - self._looked > LOOK_S:
            self._refresh()
        found = self._sessions.get(name)
        if found is None:
            return None
        if now - found.began > SESSION_S or now - found.used > IDLE_S:
            del self._sessions[name]
            return None
        found.used = now
        return found

    def end(self, key: str | None) -> None:
        """End a session."""
        if key:
            self._sessions.pop(_name(key), None)


def _name(key: str) -> str:
    """What a session is found by: how long a search takes then says nothing about keys."""
    return hashlib.sha256(key.encode()).hexdigest()


def _network(address: str) -> str:
    """Return whom tries are counted of: an IPv4 address, or the 64 bits that one customer has."""
    try:
        found = ip_address(address.partition("%")[0])  # fe80::1%eth0
    except ValueError:
        return address[:64]
    if isinstance(found, IPv6Address):
        # On [::] who comes by IPv4 is told as ::ffff:192.0.2.1.
        return str(found.ipv4_mapped or found.exploded[:19])
    return str(found)
