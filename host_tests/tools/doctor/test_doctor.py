"""`limpet doctor` at brokers that run: one that is right, and others that are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from limpet.brokers.setup import open_setup
from limpet.doctor.checks import examine
from limpet.doctor.facts import Facts
from limpet.doctor.finding import Finding
from limpet.doctor.gathering import Asked, gathered
from limpet.identity.provisioning import Setup
from limpet.operating.where import Where
from support.brokers.running import base, fields
from support.brokers.wrong import WrongMosquitto
from support.fleets import fleet
from support.ports import standing_ports

SECONDS = 3.0


@pytest.fixture
def ports() -> tuple[int, int]:
    """One with TLS, one without."""
    first, second = standing_ports(2)
    return first, second


@pytest.fixture
def own(tmp_path: Path, ports: tuple[int, int]) -> Setup:
    """A fleet of two devices, which look for their broker where it is."""
    made = open_setup(fleet(tmp_path / "fleet"))
    for name in ("node-1", "node-2"):
        made.device(fields(name) | {"port": ports[0]})
    return made


def look(setup: Setup, plain_port: int, device: str = "") -> tuple[Facts, dict[str, Finding]]:
    """Look at the fleet's broker; return what is wrong by the check's name."""
    where = Where(setup.layout.root).settled()
    facts, _ = gathered(Asked(where, device, plain_port, SECONDS))
    return facts, {each.check: each for each in examine(facts)}


def test_a_broker_that_is_right(own: Setup, ports: tuple[int, int]) -> None:
    """Nothing but that its devices are not there, and nothing is left behind."""
    broker = WrongMosquitto(own, ports)
    broker.start()
    try:
        facts, found = look(own, ports[1])
        assert set(found) == {"offline"}
        assert {each.name for each in facts.visits} > {"node-1", "node-2"}
        assert all(each.heard for each in facts.visits if each.name in facts.bases)
        assert facts.process
        assert facts.process.pid == broker.pid
        late = broker.operator("limpet/#")
        late.publish(f"{base()}/commands", "{}")
        late.wait_for(f"{base()}/commands")
        assert [each.topic for each in late.messages] == [f"{base()}/commands"]
        again = broker.client("node-1", clean_session=False).connect()
        assert not again.session_present
    finally:
        broker.close()


def test_a_broker_that_is_wrong_in_most_ways(own: Setup, ports: tuple[int, int]) -> None:
    """Each is found."""
    changes = {
        "allow_anonymous false": "allow_anonymous true",
        "use_identity_as_username true": "",
        "use_username_as_clientid true": "",
        "require_certificate true": "require_certificate false\nciphers DEFAULT:@SECLEVEL=0",
        "tls_version tlsv1.2": "tls_version tlsv1.1",
        f"acl_file {own.layout.broker}/acl": "",
    }
    broker = WrongMosquitto(own, ports, changes, more=f"\nlistener {ports[1]} 127.0.0.1\n")
    broker.start()
    try:
        facts, found = look(own, ports[1])
    finally:
        broker.close()
    wanted = {
        "anonymous",
        "plaintext",
        "old-tls",
        "stranger",
        "foreign-read",
        "foreign-write",
        "take-over",
        "offline",
    }
    assert set(found) == wanted, (found, facts)
