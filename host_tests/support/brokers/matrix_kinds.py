"""The kinds of brokers that the access matrix runs on: each made of the set-up that it serves."""

from __future__ import annotations

from collections.abc import Callable

from limpet.brokers.plan import Plan
from limpet.identity.provisioning import Setup
from support.brokers.kinds import Embedded
from support.brokers.matrix import Running
from support.brokers.mosquitto import Mosquitto
from support.brokers.nats import Nats
from support.brokers.rabbitmq import RabbitMQ


class EmbeddedByPlan:
    """The embedded broker, which reads the registry itself."""

    kind = "embedded"

    def __init__(self, setup: Setup) -> None:
        self._broker = Embedded(setup)

    def start(self, plan: Plan) -> int:
        """Start on any free port."""
        self._broker.start()
        return self._broker.port

    def stop(self) -> None:
        """End it."""
        self._broker.close()


class MosquittoByPlan:
    """mosquitto, by the files of a plan and nothing else."""

    kind = "mosquitto"

    def __init__(self, setup: Setup) -> None:
        self._broker = Mosquitto(setup)

    def start(self, plan: Plan) -> int:
        """Write its files, and start by them."""
        self._broker.by(plan)
        return plan.port

    @property
    def pid(self) -> int:
        """The process that runs."""
        return self._broker.pid

    def lines(self) -> list[str]:
        """Return what it has said so far."""
        return list(self._broker.log)

    def stop(self) -> None:
        """End it."""
        self._broker.close()


KINDS: dict[str, Callable[[Setup], Running]] = {
    "embedded": EmbeddedByPlan,
    "mosquitto": MosquittoByPlan,
    "rabbitmq": RabbitMQ,
    "nats": Nats,
}
