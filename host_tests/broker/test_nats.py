"""NATS, by our files: who is new is let in at a reload, and who is gone is thrown out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from limpet.brokers.embedded.broker import LOOPBACK
from limpet.brokers.plan import Plan
from limpet.brokers.setup import open_setup
from limpet.identity.provisioning import Setup
from limpet.shared.problem import Problem
from support.brokers import matrix
from support.brokers.mqtt_client import Client, Refused
from support.brokers.nats import Nats
from support.brokers.running import base, fields
from support.fleets import fleet


@pytest.fixture
def made(tmp_path: Path) -> Setup:
    """Return a set-up with two devices."""
    setup = open_setup(fleet(tmp_path / "fleet"))
    for device in ("node-1", "node-2"):
        setup.device(fields(device))
    return setup


@pytest.fixture
def running(made: Setup) -> Iterator[Nats]:
    """Give a server, not yet started, and end it."""
    server = Nats(made)
    yield server
    server.stop()


def test_reload_lets_in_and_throws_out(made: Setup, running: Nats) -> None:
    """Without a restart; who stays notices nothing."""
    plan = matrix.plan(made, made.layout.root / "nats")
    try:
        running.start(plan)
    except Problem as problem:
        pytest.skip(f"{problem.cause} {problem.remedy}")
    stays, goes = _client(made, plan, "node-1").connect(), _client(made, plan, "node-2").connect()
    with pytest.raises(Refused):
        _client(made, plan, "node-3").connect()
    made.forget("node-2")
    made.device(fields("node-3"))
    running.reload(Plan(**{**vars(plan), "bases": made.layout.bases()}))
    goes.wait_closed()
    with pytest.raises(Refused):
        _client(made, plan, "node-2").connect()
    comes = _client(made, plan, "node-3").connect()
    stays.subscribe(f"{base()}/commands")
    stays.publish(f"{base()}/telemetry", "still here")
    for client in (stays, goes, comes):
        client.close()


def _client(setup: Setup, plan: Plan, name: str) -> Client:
    identity = setup.authority.client(name)
    return Client((LOOPBACK, plan.port), name, identity, setup.layout.ca_certificate)
