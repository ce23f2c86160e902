"""The access matrix: one list of cases, the same for each kind of broker that runs here.

For another kind: a class that is a `Running`, and a line in host_tests/broker/test_access.py.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pytest
from limpet.brokers import capacity
from limpet.brokers.embedded.broker import LOOPBACK
from limpet.brokers.plan import Plan
from limpet.brokers.setup import open_setup
from limpet.brokers.written import plan_of
from limpet.identity import consumers
from limpet.identity.authority import Authority, Identity, load
from limpet.identity.layout import Layout
from limpet.identity.provisioning import Setup
from limpet.shared.problem import Problem
from support.brokers.mqtt_client import Client, Message, Refused
from support.brokers.running import fields
from support.fleets import fleet
from support.ports import standing_ports

# node-2 is its neighbour, node-3 of another organisation, node-4 is revoked, node-5 was, and has a
# new certificate, node-9 is unknown.
DEVICE, NEIGHBOUR, STRANGER, REVOKED, UNKNOWN = "node-1", "node-2", "node-3", "node-4", "node-9"
RENEWED = "node-5"
OPERATOR, READER = "operator", "reader"
# The program that tells Home Assistant of the devices, and Home Assistant itself.
TELLER, HASS = "homeassistant", "hass"
ORGANISATION = {STRANGER: "other"}


class Running(Protocol):
    """A broker of one kind, run by the files of a plan.

    kind: what the table calls it, and `limpet broker-config`, where that knows it.
    """

    kind: str

    def start(self, plan: Plan) -> int:
        """Write the files of `plan` into its folder and start by them; return the port, once
        clients are let in there. Raises RuntimeError with what the broker said where it does not.
        """

    def stop(self) -> None:
        """End it, and wait until it has. Twice does no harm."""


def base(device: str) -> str:
    """Return the base topic of a device of the matrix, which may not exist."""
    return "/".join((ORGANISATION.get(device, "limpet"), "home", "desk", "climate", device))


def prepared(root: Path) -> Setup:
    """Make a fleet in `root` with all who appear in the matrix, and who knows whose certificate."""
    setup = open_setup(fleet(root))
    for device in (DEVICE, NEIGHBOUR, STRANGER, REVOKED, RENEWED):
        setup.device(fields(device) | {"org": ORGANISATION.get(device, "limpet")})
    consumers.add(setup, READER, "read")
    consumers.add(setup, TELLER, "discovery")
    consumers.add(setup, HASS, "home-assistant")
    return setup


def plan(setup: Setup, folder: Path) -> Plan:
    """Return the plan of a broker on a free port of loopback, with its files in `folder`."""
    return plan_of(setup.layout, folder, LOOPBACK, standing_ports(1)[0], capacity.limits(10))


@dataclass
class World:
    """What a case may use: clients of all kinds, and one that hears all that there is."""

    setup: Setup
    address: tuple[str, int]
    revoked: Identity
    replaced: Identity  # of RENEWED, the one of before
    foreign: Authority = field(default_factory=lambda: Authority.new("Foreign CA"))
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _clients: list[Client] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._before: list[Message] = []
        self._listen()

    def observe(self) -> None:
        """Have the observer back where the broker has thrown it out."""
        if self.observer.closed:
            self._before += self.observer.messages
            self._listen()

    def observed(self) -> list[Message]:
        """Return all that the observer has heard."""
        return [*self._before, *self.observer.messages]

    def _listen(self) -> None:
        self.observer = self.consumer(OPERATOR).connect()
        for organisation in ("limpet", "other"):
            self.observer.subscribe(f"{organisation}/#")

    @property
    def layout(self) -> Layout:
        """Where the files are."""
        return self.setup.layout

    def text(self) -> str:
        """Return a payload that is like no other."""
        return f"said {next(self._numbers)}"

    def client(
        self,
        name: str = DEVICE,
        identity: Identity | None = None,
        *,
        certificate: bool = True,
        will: tuple[str, str, bool] | None = None,
    ) -> Client:
        """Return a client that calls itself `name`, with a certificate of its own from this CA,
        with another (`identity`), or with none.
        """
        if certificate and identity is None:
            # One at a time: NATS keeps a name out for a second that is taken over again and again.
            for before in self._clients:
                if before.name == name:
                    before.close()
            identity = self.setup.authority.client(name)
        ca = self.layout.ca_certificate
        made = Client(self.address, name, identity if certificate else None, ca, will=will)
        self._clients.append(made)
        return made

    def consumer(self, name: str) -> Client:
        """Return an operator, or another consumer, with the certificate that it was given."""
        return self.client(name, load(*self.layout.operator_pair(name)))

    def close(self) -> None:
        """Close all clients."""
        for client in self._clients:
            with contextlib.suppress(Exception):
                client.close()


@dataclass(frozen=True)
class Case:
    """One row: what somebody tries, whether it may be, and what came of it.

    seen: returns "heard" or "let in" where it was possible, else how it was not: "refused"
    (CONNECT or SUBSCRIBE), "dropped" (acknowledged, and heard by nobody), "thrown out".
    """

    name: str
    allowed: bool
    seen: Callable[[World], str]


@contextlib.contextmanager
def world(running: Running, setup: Setup, folder: Path) -> Iterator[World]:
    """Have the broker run by the fleet of `prepared`, and yield what the cases need."""
    revoked, replaced = _revoked(setup, REVOKED), _revoked(setup, RENEWED)
    setup.renew(RENEWED)
    made = plan(setup, folder)
    try:
        try:
            port = running.start(made)
        except Problem as problem:
            pytest.skip(f"{problem.cause} {problem.remedy}")
        yields = World(setup, (LOOPBACK, port), revoked, replaced)
        try:
            yield yields
        finally:
            yields.close()
    finally:
        running.stop()


def _revoked(setup: Setup, device: str) -> Identity:
    """Return an identity of a device that was given out, and taken back."""
    made = setup.authority.client(device)
    with setup.layout.edited() as registry:
        registry.issued(device, made.serial, made.expires)
    setup.revoke(device)
    return made


def entered(client: Client) -> str:
    """Return whether a client is let in."""
    try:
        client.connect()
    except Refused:
        return "refused"
    return "let in"
