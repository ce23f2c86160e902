"""The registry of a set-up as its file has it: which devices and consumers there are, and which
certificates are revoked. Pure: text in, values out; layout.py reads and writes the file.

    {"v": 2,
     "devices": {"node-1": {"base": "limpet/home/desk/climate/node-1", "added": TIME,
                            "auth": "mtls", "revoked": null, "certificates": {"2f0a...": TIME}}},
     "consumers": {"grafana": {"role": "read", "added": TIME, "certificates": {...}}},
     "revoked": {"2f0a...": {"name": "node-1", "at": TIME, "until": TIME}}}

A registry from before that is {"node-1": "limpet/home/desk/climate/node-1"}, read as before. Times
are UTC, ISO 8601, to the second; a certificate is its serial number in hexadecimal.
"""

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, Self, get_args

from limpet.shared.firmware import config

VERSION = 2

Auth = Literal["mtls", "password"]
# What a program may do; brokers/rules.py says what each of them means.
Role = Literal["operate", "read", "discovery", "home-assistant"]

# The operators of every set-up, which the tools lease: a live view, a watch or two, a send, and
# room; each costs two small files. No device and no consumer is called so.
FIRST = "operator"
OPERATORS = (FIRST, *(f"{FIRST}-{number}" for number in range(2, 9)))


class BadRegistryError(ValueError):
    """A text that is no registry."""


class NewerError(BadRegistryError):
    """A registry that only a later Limpet can read; `args[0]` is its version."""


@dataclass(frozen=True)
class Device:
    """What brokers have to know of a device.

    added: when; None of one from before that was noted. auth: "mtls" by its certificate,
    "password" by a password besides. revoked: since when nobody lets it in; None: it is let in.
    certificates: the serial numbers of all that it was given, and until when each is good.
    """

    base: str
    added: str | None = None
    auth: Auth = "mtls"
    revoked: str | None = None
    certificates: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Consumer:
    """A program that is no device, and its role: "operate" may send Commands, "read" says nothing,
    "discovery" tells Home Assistant which devices there are, "home-assistant" is that itself.
    """

    role: Role
    added: str | None = None
    certificates: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Revoked:
    """A certificate that counts no more: whose it was, since when, until when it had been good."""

    name: str
    at: str
    until: str


@dataclass
class Registry:
    """All of it. Its dicts may be changed, and are written when Layout.edited ends."""

    devices: dict[str, Device] = field(default_factory=dict)
    consumers: dict[str, Consumer] = field(default_factory=dict)
    revoked: dict[str, Revoked] = field(default_factory=dict)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Return the registry of a file. Raises NewerError, or BadRegistryError."""
        try:
            found = json.loads(data)
        except (ValueError, RecursionError):
            raise BadRegistryError from None
        if not isinstance(found, dict):
            raise BadRegistryError
        version = found.get("v")
        if type(version) is not int:  # a device of the old format may be called v
            devices = {name: Device(base) for name, base in found.items() if _is_base(base)}
            return cls(devices)._checked(len(found))
        if version > VERSION:
            raise NewerError(version)
        try:
            return cls(
                {name: Device(**each) for name, each in found["devices"].items()},
                {name: Consumer(**each) for name, each in found["consumers"].items()},
                {serial: Revoked(**each) for serial, each in found["revoked"].items()},
            )._checked(len(found["devices"]))
        except (AttributeError, KeyError, TypeError):
            raise BadRegistryError from None

    def text(self) -> bytes:
        """Return it as its file: sorted, so that a change is a small one to git."""
        said: dict[str, Any] = {"v": VERSION}
        for part in ("devices", "consumers", "revoked"):
            said[part] = {name: asdict(each) for name, each in sorted(getattr(self, part).items())}
        return (json.dumps(said, indent=1) + "\n").encode()

    def revoke(self, name: str, at: datetime | None = None) -> None:
        """Have all certificates of a device or a consumer count no more, from `at` (now) on."""
        since = stamp(at)
        owner: Device | Consumer | None = self.devices.get(name) or self.consumers.get(name)
        if owner is None:
            return
        for serial, until in owner.certificates.items():
            self.revoked.setdefault(serial, Revoked(name, since, until))
        if isinstance(owner, Device):
            again = owner.revoked or since
            self.devices[name] = replace(owner, revoked=again, certificates={})
        else:
            self.consumers[name] = replace(owner, certificates={})

    def issued(self, name: str, serial: str, until: datetime) -> None:
        """Note a certificate that a device or a consumer was given: a device that was revoked is
        let in again, with this one alone.
        """
        good = {serial: stamp(until)}
        if name in self.devices:
            device = self.devices[name]
            self.devices[name] = replace(
                device, revoked=None, certificates=device.certificates | good
            )
        elif name in self.consumers:
            consumer = self.consumers[name]
            self.consumers[name] = replace(consumer, certificates=consumer.certificates | good)

    def _checked(self, count: int) -> Self:
        """Return self where all of it may be believed, `count` devices; raises BadRegistryError."""
        good = len(self.devices) == count and all(_good(*each) for each in self.devices.items())
        for name, consumer in self.consumers.items():
            good &= not config.fault("device_id", name) and consumer.role in get_args(Role)
            good &= _is_serials(consumer.certificates)
        good &= _is_serials({serial: each.until for serial, each in self.revoked.items()})
        if not good:
            raise BadRegistryError
        return self


def stamp(when: datetime | None = None) -> str:
    """Return a time, now where none is given, as the registry has it."""
    return f"{(when or datetime.now(UTC)).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _good(device_id: str, device: Device) -> bool:
    """Whether a registry may say so. An id names a folder that `fleet remove` deletes, and it has
    to be one in devices/.
    """
    if config.fault("device_id", device_id) or not _is_base(device.base):
        return False
    dates = (device.added, device.revoked)
    if not all(each is None or isinstance(each, str) for each in dates):
        return False
    return device.auth in get_args(Auth) and _is_serials(device.certificates)


def _is_base(base: Any) -> bool:
    """A wildcard in it would give the device another's topics."""
    return isinstance(base, str) and not set("+#") & set(base)


def _is_serials(found: Any) -> bool:
    """Whether these are serial numbers in hexadecimal, each with a time."""
    if not isinstance(found, dict):
        return False
    try:
        return all(int(serial, 16) > 0 and _is_time(until) for serial, until in found.items())
    except ValueError:
        return False


def _is_time(text: Any) -> bool:
    return isinstance(text, str) and datetime.fromisoformat(text).tzinfo is not None
