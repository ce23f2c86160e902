"""What `limpet doctor` has seen of a fleet and its broker: the values that checks are made of.

Nothing here is judged, and what was not seen is empty or None. Times are Unix seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from limpet.brokers import capacity
from limpet.brokers.capacity import Limits
from limpet.doctor.probe import Seen
from limpet.identity import device_config
from limpet.identity.registry import Role
from limpet.shared.problem import Problem


@dataclass(frozen=True)
class Certificate:
    """A certificate: whose it is, in words, and what has to be done to have a new one.

    names: hosts and addresses that it is good for, of a broker's. serial: in hexadecimal.
    """

    whose: str
    start: float
    end: float
    renew: str
    names: tuple[str, ...] = ()
    serial: str = ""


@dataclass(frozen=True)
class Own:
    """A device as the fleet has it. base: None where the registry does not know it, or not any
    more. config: as the node would take it. problem: why that cannot be had.
    """

    name: str
    base: str | None
    config: Any = None
    problem: Problem | None = None


@dataclass(frozen=True)
class OldFile:
    """A broker's file that is not by the registry and the rules of now."""

    cause: str
    remedy: str


@dataclass(frozen=True)
class Door:
    """A port of the broker, as somebody finds it who has nothing to show.

    tls: whether it was asked with TLS. speaks: it answers MQTT, if only with a refusal. admits:
    it lets in. old_tls: the version below 1.2 that it takes, None where that was not seen.
    """

    port: int
    tls: bool
    speaks: bool = False
    admits: bool = False
    old_tls: str | None = None
    shown: Certificate | None = None


@dataclass(frozen=True)
class Message:
    """A Message as it arrived, its payload cut short where it is long."""

    topic: str
    payload: bytes
    qos: int
    retained: bool
    at: float


@dataclass(frozen=True)
class Visit:
    """A connection with somebody's certificate, to see what that one may.

    name: the CN. admitted: let in; why: the broker's word where not. read: topics that came.
    wrote: topics on which an operator heard what it said. asked: its own topic on which it spoke;
    heard: whether that came to an operator. ended: the connection was closed meanwhile.
    """

    name: str
    admitted: bool
    why: str = ""
    read: tuple[str, ...] = ()
    wrote: tuple[str, ...] = ()
    asked: str = ""
    heard: bool = False
    ended: bool = False


@dataclass(frozen=True)
class Process:
    """The broker's process on this machine: how many files it has open, and how many it may."""

    pid: int
    files: int
    most: int


@dataclass(frozen=True)
class Logged:
    """What the broker's log says of clients, by name. keepalives: seconds, as they came last.
    taken: how often one took the place of the other within the last hour. zero: a filter for which
    the last subscription asked for QoS 0.
    """

    keepalives: Mapping[str, int] = field(default_factory=dict)
    taken: Mapping[str, int] = field(default_factory=dict)
    zero: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Facts:
    """All of it.

    host: where the broker is, by name or address. address: the host's, as it was resolved.
    consumers, devices, revoked: of the registry and the folder. messages: what arrived while
    `listened_s` passed, as an operator hears it. granted: the QoS that was granted where 1 was
    asked for; returned: that of a Message, as it came, which was published with 1. takes_over:
    whether a client took the place of another one by naming it.
    """

    now: float
    host: str = ""
    port: int = 0
    address: str = ""
    server_name: str | None = None
    consumers: Mapping[str, Role] = field(default_factory=dict)
    devices: tuple[Own, ...] = ()
    revoked: tuple[str, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    old_files: tuple[OldFile, ...] = ()
    limits: Limits = field(default_factory=lambda: capacity.limits(0))
    seen: Seen | None = None
    doors: tuple[Door, ...] = ()
    visits: tuple[Visit, ...] = ()
    messages: tuple[Message, ...] = ()
    listened_s: float = 0.0
    granted: int | None = None
    returned: int | None = None
    takes_over: bool | None = None
    process: Process | None = None
    logged: Logged = Logged()

    @property
    def bases(self) -> dict[str, str]:
        """Return the base topic of each device that is let in, by its id."""
        return {each.name: each.base for each in self.devices if each.base is not None}

    def is_for(self, config: Any) -> bool:
        """Whether a device with this config looks for a broker here."""
        return any(self.is_at(config, each) for each in device_config.brokers(config))

    def is_at(self, config: Any, where: tuple[str, int]) -> bool:
        """Whether this is what that device finds at a host and port: of mosquitto's two ports that
        for logins is the next one.
        """
        ports = (self.port, self.port + 1) if config.username else (self.port,)
        return where[0] == self.host and where[1] in ports

    @property
    def where(self) -> str:
        """Return the broker in words."""
        return f"{self.host}:{self.port}" if self.host else "no broker"
