"""Who is locked out, on both brokers: at once, for good, and until there is a new certificate; and
a consumer that only reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key
from limpet.brokers.setup import open_setup
from limpet.identity import consumers
from limpet.identity.authority import Identity, load, load_certificate
from limpet.identity.operators import operator_identity
from support.brokers.kinds import of_kind
from support.brokers.mqtt_client import Client, Refused
from support.brokers.running import RunningBroker, base, fields
from support.fleets import fleet

NAME = "leaver"
COMMANDS, TELEMETRY = f"{base(NAME)}/commands", f"{base(NAME)}/telemetry"
# mosquitto ends the handshake of who is revoked; the embedded broker says why at CONNECT.
LOCKED_OUT = "closed|Not authorized"


@pytest.fixture(params=["amqtt", "mosquitto"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningBroker]:
    """Run a broker of each kind, for a set-up of its own with two devices."""
    made = open_setup(fleet(tmp_path / "dev"))
    for name in (NAME, "node-1"):
        made.device(fields(name))
    running = of_kind(request.param, made)
    running.start()
    yield running
    running.close()


def device(broker: RunningBroker, name: str = NAME) -> Client:
    """Return a client with the certificate that the device has now."""
    folder = broker.setup.layout.device(name)
    key = load_der_private_key((folder / "key.der").read_bytes(), None)
    certificate = load_certificate(folder / "cert.der")
    identity = Identity(cast(EllipticCurvePrivateKey, key), certificate)
    return broker.client(name, identity=identity)


def test_a_revoked_device_is_refused_until_it_has_a_new_certificate(
    either: RunningBroker,
) -> None:
    """Its certificate never counts again, not after the renewal either; the others' stay good."""
    old = device(either)
    device(either).connect().close()
    assert either.setup.revoke(NAME)
    assert not either.setup.revoke(NAME)
    either.reload()
    with pytest.raises(Refused, match=LOCKED_OUT):
        old.connect()
    either.client("node-1").connect().close()
    either.setup.renew(NAME)
    either.reload()
    with pytest.raises(Refused, match=LOCKED_OUT):
        old.connect()
    operator, back = either.operator(), device(either).connect()
    back.publish(TELEMETRY, "back")
    assert operator.wait_for(TELEMETRY).payload == b"back"


def test_two_revocations_one_after_the_other(either: RunningBroker) -> None:
    """Each counts: what a broker has read of the list before is not what it goes by."""
    clients = [device(either, name) for name in (NAME, "node-1")]
    for name in (NAME, "node-1"):
        either.setup.revoke(name)
        either.reload()
    for client in clients:
        with pytest.raises(Refused, match=LOCKED_OUT):
            client.connect()


def test_the_live_session_of_a_revoked_device(either: RunningBroker) -> None:
    """It ends: by the embedded broker at once, by mosquitto when that is started anew."""
    operator, live = either.operator(), device(either).connect()
    live.subscribe(COMMANDS)
    live.publish(TELEMETRY, "before")
    operator.wait_for(TELEMETRY)
    either.setup.revoke(NAME)
    either.reload()
    live.wait_closed()
    assert [each.payload for each in operator.seen(TELEMETRY)] == [b"before"]
    assert live.messages == []


def test_a_reader_hears_and_says_nothing(either: RunningBroker) -> None:
    """What it publishes is acknowledged and dropped; taken out of the fleet, it is locked out."""
    setup = either.setup
    assert consumers.add(setup, "grafana", "read")
    assert not consumers.add(setup, "grafana", "read")
    either.reload()
    lease = operator_identity(setup.layout.root, "grafana")
    identity = load(lease.key, lease.cert)
    reader = either.client("grafana", identity=identity).connect()
    assert reader.subscribe("limpet/#") == 1
    live = device(either).connect()
    live.subscribe(COMMANDS)
    live.publish(TELEMETRY, "heard")
    assert reader.wait_for(TELEMETRY).payload == b"heard"
    reader.publish(COMMANDS, "from a reader")
    either.operator(None).publish(COMMANDS, "from an operator")
    live.wait_for(COMMANDS, lambda message: message.payload == b"from an operator")
    assert len(live.messages) == 1
    reader.close()
    consumers.remove(setup, "grafana")
    either.reload()
    with pytest.raises(Refused, match=LOCKED_OUT):
        either.client("grafana", identity=identity).connect()
