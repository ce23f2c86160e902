"""Brokers whose figures are asked for and followed: one of each kind, started once per worker."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from limpet.brokers.embedded.broker import LOOPBACK
from limpet.brokers.plan import Plan
from limpet.doctor.figures import Numbers
from limpet.doctor.live.monitor import Monitor
from limpet.identity.authority import Authority
from limpet.identity.provisioning import Setup
from limpet.shared.problem import Problem
from support.brokers import matrix
from support.brokers.matrix_kinds import KINDS, MosquittoByPlan
from support.brokers.mqtt_client import Client, Refused
from support.brokers.rabbitmq import RabbitMQ
from support.ports import standing_ports

WAIT_S = 60.0


@dataclass
class Followed:
    """A broker that runs by `plan`, with its figures at `url`, where it has such a page."""

    setup: Setup
    plan: Plan
    running: matrix.Running

    @property
    def root(self) -> Path:
        """Its fleet."""
        return self.setup.layout.root

    @property
    def url(self) -> str | None:
        """Where its figures are."""
        port = self.plan.figures_port
        return f"http://{LOOPBACK}:{port}" if port else None

    def client(self, name: str) -> Client:
        """Return a client with a certificate of its name, not yet connected."""
        identity = self.setup.authority.client(name)
        ca = self.setup.layout.ca_certificate
        return Client((LOOPBACK, self.plan.port), name, identity, ca)

    def says_something(self) -> Client:
        """Have a device say something, and return it."""
        client = self.client(matrix.DEVICE).connect()
        client.publish(f"{matrix.base(matrix.DEVICE)}/telemetry", "1")
        return client

    def refuse(self, name: str) -> None:
        """Have somebody refused."""
        client = self.client(name)
        with pytest.raises(Refused):
            client.connect()
        client.close()

    def refuse_by_tls(self) -> None:
        """Have somebody refused whose certificate is of another authority."""
        identity = Authority.new("Foreign CA").client(matrix.DEVICE)
        ca = self.setup.layout.ca_certificate
        client = Client((LOOPBACK, self.plan.port), matrix.DEVICE, identity, ca)
        with pytest.raises(Refused):
            client.connect()
        client.close()

    @contextlib.contextmanager
    def log(self, folder: Path) -> Iterator[Path | None]:
        """Yield its log as a file that grows; None where its page tells all."""
        if self.running.kind == "nats":
            yield None
            return
        path, ended = folder / "log", threading.Event()
        path.touch()

        def copy(told: int) -> None:
            while not ended.wait(0.1):
                lines = self._lines()
                with path.open("a") as file:
                    file.writelines(f"{line}\n" for line in lines[told:])
                told = len(lines)

        thread = threading.Thread(target=copy, args=(len(self._lines()),))
        thread.start()
        try:
            yield path
        finally:
            ended.set()
            thread.join()

    def _lines(self) -> list[str]:
        if isinstance(self.running, RabbitMQ):
            return list(self.running.served.lines)
        assert isinstance(self.running, MosquittoByPlan)
        return self.running.lines()

    def page_says(self, wanted: Callable[[Numbers], bool]) -> bool:
        """Whether its page says that within WAIT_S."""
        assert self.url
        page, until = Monitor(self.url), time.monotonic() + WAIT_S
        while not wanted(page.numbers()):
            if time.monotonic() > until:
                return False
            time.sleep(0.2)
        return True


@pytest.fixture(scope="session")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Followed]]:
    """Hold the brokers that `served_by` has started, and end them."""
    found: dict[str, Followed] = {"": _prepared(tmp_path_factory.mktemp("followed"))}
    yield found
    for each in found.values():
        each.running.stop()


def served_by(followed: dict[str, Followed], kind: str) -> Followed:
    """Return the broker of a kind, started if need be; skips where it cannot be had."""
    if kind not in followed:
        first = followed[""]
        folder = first.plan.folder / kind
        plan = matrix.plan(first.setup, folder)
        if kind != "mosquitto":
            plan = replace(plan, figures_port=standing_ports(1)[0])
        running = KINDS[kind](first.setup)
        followed[kind] = Followed(first.setup, plan, running)
        try:
            running.start(plan)
        except Problem as problem:
            pytest.skip(f"{problem.cause} {problem.remedy}")
    return followed[kind]


def _prepared(folder: Path) -> Followed:
    setup = matrix.prepared(folder / "fleet")
    return Followed(setup, matrix.plan(setup, folder), KINDS["embedded"](setup))
