"""NATS and RabbitMQ for tests that take a broker as they find it: one server, without a cluster."""

from __future__ import annotations

import shutil

import pytest
from limpet.brokers import capacity
from limpet.brokers.written import plan_of
from limpet.identity.provisioning import Setup
from limpet.shared.problem import Problem
from support.brokers.nats import Nats
from support.brokers.rabbitmq import RabbitMQ
from support.brokers.running import RunningBroker
from support.ports import standing_ports


class Alone(RunningBroker):
    """A broker of `kind`, empty. What it keeps outlives `stop` and `crash`."""

    def __init__(self, setup: Setup, kind: str) -> None:
        super().__init__(setup)
        self.kind = kind
        self._server = Nats(setup) if kind == "nats" else RabbitMQ(setup)
        self._folder = setup.layout.root / "brokers" / kind
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start on the port of last time, or on a free one; skip where it cannot be had."""
        self._held.release()
        self.port = self.port or standing_ports(1)[0]
        limits = capacity.limits(len(self.setup.layout.bases()))
        plan = plan_of(self.setup.layout, self._folder, self.host, self.port, limits)
        try:
            self._server.start(plan)
        except Problem as problem:
            pytest.skip(f"{problem.cause} {problem.remedy}")

    def stop(self) -> None:
        """End it."""
        self._server.stop()
        self._held.hold(self.port)

    def crash(self) -> None:
        """End it as a machine that loses its power."""
        self._server.kill()
        self.stop()
