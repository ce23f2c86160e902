"""Three brokers that are one, behind HAProxy: started on loopback, killed and brought back."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

from limpet.brokers import capacity
from limpet.brokers.embedded.broker import LOOPBACK
from limpet.brokers.haproxy import renderer as haproxy_renderer
from limpet.brokers.haproxy.program import haproxy
from limpet.brokers.haproxy.renderer import Server
from limpet.brokers.nats import renderer as nats_renderer
from limpet.brokers.nats.renderer import Member
from limpet.brokers.plan import Plan
from limpet.brokers.written import plan_of
from limpet.identity.authority import load
from limpet.identity.operators import operator_identity
from limpet.identity.provisioning import Setup
from limpet.shared import private
from support.brokers.mqtt_client import Client
from support.brokers.nats import Nats
from support.brokers.rabbitmq import Home, RabbitMQ
from support.brokers.running import RunningBroker
from support.brokers.served import Served
from support.ports import standing_ports

MEMBERS = 3
KINDS = ("nats", "rabbitmq")
# Seconds; the least that a node's config allows, so that what is silent is found out soon.
KEEPALIVE_S = 10
# Each member has to hold all clients while it is the only one that is reached.
_SERVICES = 8


class Cluster(RunningBroker):
    """A cluster of `kind` in `folder`; `port` is HAProxy's."""

    def __init__(self, setup: Setup, kind: str, folder: Path) -> None:
        super().__init__(setup)
        self.kind = kind
        shutil.rmtree(folder, ignore_errors=True)
        self._folder = private.folder(folder)
        self._proxy = Served("haproxy")
        self._home: Home | None = None
        self.members: list[Nats | RabbitMQ] = []
        self.plans: list[Plan] = []
        self._health: list[int] = [0] * MEMBERS

    def start(self) -> None:
        """Start all members and wait for them; then HAProxy. Raises Problem, RuntimeError."""
        self._make()
        for member, plan in zip(self.members, self.plans, strict=True):
            member.begin(plan)
        for each in self.members:
            each.ready()
        self._start_proxy()

    def kill(self, number: int) -> None:
        """Take the power of a member away."""
        self.members[number].kill()

    def revive(self, number: int) -> None:
        """Start a member again with the state that it had, and wait for nothing."""
        self.members[number].begin(self.plans[number])

    def stop(self) -> None:
        """End all that was started."""
        self._proxy.stop()
        for each in self.members:
            each.kill()  # nobody wants it back, and saying goodbye to the others takes a while
        if self._home:
            self._home.stop()

    def crash(self) -> None:
        """As stop."""
        self.stop()

    def member_operator(self, port: int) -> Client:
        """Return an operator that is connected to one member, past HAProxy."""
        lease = operator_identity(self.setup.layout.root)
        self._leases.append(lease)
        ca = self.setup.layout.ca_certificate
        client = Client((self.host, port), lease.name, load(lease.key, lease.cert), ca)
        self._clients.append(client)
        return client.connect()

    def memory_mb(self) -> list[int]:
        """Return what each member has in memory, in MB."""
        found = []
        for each in self.members:
            text = Path(f"/proc/{each.served.pid}/status").read_text()
            found.append(int(text.partition("VmRSS:")[2].split()[0]) // 1024)
        return found

    def _make(self) -> None:
        bases = self.setup.layout.bases()
        limits = capacity.limits(len(bases), services=_SERVICES)
        ports = iter(standing_ports(3 * MEMBERS + 1))
        self.port = next(ports)
        layout = self.setup.layout
        for number in range(MEMBERS):
            folder = self._folder / f"member-{number + 1}"
            self.plans.append(plan_of(layout, folder, LOOPBACK, next(ports), limits))
        if self.kind == "nats":
            self._make_nats([next(ports) for _ in range(MEMBERS)], list(ports))
        else:
            self._home = Home(self._folder / "home")
            self._home.start()
            names = [f"limpet-{number + 1}@localhost" for number in range(MEMBERS)]
            self.members = [RabbitMQ(self.setup, name, self._home, names) for name in names]

    def _make_nats(self, routes: list[int], monitors: list[int]) -> None:
        secret = secrets.token_hex(16)
        where = [f"{LOOPBACK}:{port}" for port in routes]
        self._health = monitors[:MEMBERS]
        for number in range(MEMBERS):
            name = f"limpet-{number + 1}"
            member = Member(name, where[number], where, secret, monitors[number])
            self.members.append(Nats(self.setup, member))

    def _start_proxy(self) -> None:
        servers = [
            Server(f"member-{number + 1}", f"{LOOPBACK}:{plan.port}", self._health[number])
            for number, plan in enumerate(self.plans)
        ]
        text = haproxy_renderer.conf(
            f"{LOOPBACK}:{self.port}",
            servers,
            keepalive_s=KEEPALIVE_S,
            connections=self.plans[0].limits.connections + self.plans[0].limits.silent,
            path=nats_renderer.HEALTH if self.kind == "nats" else "",
        )
        conf = self._folder / haproxy_renderer.CONF
        private.write(conf, text.encode())
        self._proxy.start([*haproxy(), "-f", str(conf)])
