"""Handshakes that are refused, that stall and that drip: a whole node and a real broker."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from limpet.brokers.setup import open_setup
from limpet.identity.authority import Authority
from support.brokers.kinds import of_kind
from support.brokers.running import KIND, RunningBroker, fields
from support.micropython.upy import OWN_TIME
from support.nodes import FAST, StartNode, assert_right_times, at, value, wait_for_readings
from support.proxies.proxy import Proxy

MINUTE_MS = 60_000


@pytest.fixture
def expired(tmp_path: Path) -> Iterator[RunningBroker]:
    """Run a broker of the kind that BROKER names, whose certificate ended yesterday."""
    made = open_setup(tmp_path / "expired")
    made.device(fields("node-1"))
    names, yesterday = ["127.0.0.1"], datetime.now(UTC) - timedelta(days=1)
    server = made.authority.server(names, now=yesterday, valid=timedelta(seconds=1))
    made.layout.server_certificate.write_bytes(server.pem())
    made.layout.server_key.write_bytes(server.key_pem())
    running = of_kind(KIND, made)
    running.start()
    yield running
    running.close()


def refused(node: StartNode, where: Any, **how: Any) -> tuple[str, bool]:
    """Start a node that must not get in; return the cause, and whether it waits for a minute."""
    running = node(where, **how)
    down = running.until("link down")
    return value(down, "cause"), int(value(down, "retry_ms")) >= MINUTE_MS


def test_wrong_ca_is_refused(broker: RunningBroker, node: StartNode, foreign: Authority) -> None:
    """A broker whose certificate another CA signed is `certificate-untrusted`, for a minute."""
    files = {"ca.der": foreign.identity.der()}
    assert refused(node, broker, files=files) == ("certificate-untrusted", True)


def test_expired_certificate_is_refused(expired: RunningBroker, node: StartNode) -> None:
    """A broker whose certificate has expired is `certificate-expired`, for a minute."""
    files = {"ca.der": expired.authority.identity.der()}
    assert refused(node, expired, files=files) == ("certificate-expired", True)


def test_wrong_host_name_is_refused(broker: RunningBroker, node: StartNode) -> None:
    """A broker whose certificate is for other names is `certificate-name`, for a minute."""
    config = {"server_hostname": "elsewhere.example"}
    assert refused(node, broker, config=config) == ("certificate-name", True)


def test_plaintext_broker_is_refused(broker: RunningBroker, node: StartNode) -> None:
    """A broker that speaks no TLS is told apart."""
    assert refused(node, broker, config={"port": broker.plain_port}) == ("tls-closed", False)


def test_refused_client_certificate_has_a_name(
    broker: RunningBroker, node: StartNode, foreign: Authority
) -> None:
    """A node whose own certificate the broker refuses with an alert says so, for a minute.

    asyncio, and so the embedded broker, closes without one: with TLS 1.3 that is a broker that
    hangs up on a CONNECT, or just before it is sent, and tried again sooner.
    """
    own = foreign.client("node-1")
    files = {"cert.der": own.der(), "key.der": own.key_der()}
    silent = {("closed", False), ("tls-closed", False)}
    expected = silent if broker.kind == "amqtt" else {("tls-refused", True)}
    assert refused(node, broker, files=files) in expected


def test_client_id_of_another_is_refused(broker: RunningBroker, node: StartNode) -> None:
    """A node with another node's certificate is let in under that name, or not at all."""
    other = broker.authority.client("node-2")
    files = {"cert.der": other.der(), "key.der": other.key_der()}
    if broker.kind == "mosquitto":
        # use_username_as_clientid makes it node-2, whose rights do not reach to node-1's topics.
        operator = broker.operator()
        running = node(broker, files=files)
        running.until("link up")
        running.until("sampler reading")
        operator.publish("limpet/home/desk/climate/node-1/commands", {"id": "mark"})
        assert not operator.seen("limpet/home/desk/climate/node-1/status")
    else:
        assert refused(node, broker, files=files) == ("client-id", True)


def test_handshake_that_stalls_for_a_third_of_a_minute_succeeds(
    broker: RunningBroker, node: StartNode
) -> None:
    """With the default deadline of 60 s, a handshake that stalls for 20 s goes through.

    These are seconds of the node's clock, which runs 10 times as fast here: two real seconds. The
    Readings taken meanwhile arrive, each with the time it was taken.
    """
    stalls(broker, node, 20, {})


def test_handshake_that_stalls_for_a_third_of_its_deadline_succeeds(
    broker: RunningBroker, node: StartNode
) -> None:
    """The same with a deadline from the config: 7 s of 21."""
    stalls(broker, node, 7, {"handshake_s": 21})


def stalls(broker: RunningBroker, node: StartNode, seconds: int, config: dict[str, Any]) -> None:
    """Stall a node's handshake for `seconds` of its clock, and until enough Readings were taken,
    which a busy machine makes late; it has to come up by this very one.
    """
    operator = broker.operator()

    def enough(line: str) -> bool:
        late = "sampler reading" in line and at(line) > began + seconds
        return late and int(value(line, "seq")) + 1 >= seconds // 2

    with Proxy(broker.port) as proxy:
        proxy.hold()
        running = node(proxy, speed=10, config=FAST | config)
        began = at(running.until("link securing"))
        running.until(enough)
        proxy.release()
        up = running.until("link up")
        taken = len(running.said("sampler reading"))
        arrived = wait_for_readings(operator, taken + 5)
        assert int(value(up, "handshake_ms")) >= seconds * 1000
        assert not running.said("link down")
        assert proxy.accepted == 1
    assert_right_times(running, arrived)


def test_handshake_that_drips_ends_at_its_deadline(broker: RunningBroker, node: StartNode) -> None:
    """One byte a second is not progress: the deadline is one for the whole handshake."""
    with Proxy(broker.port, speed=20) as proxy:
        proxy.drip(1)
        running = node(proxy, speed=20, config={"handshake_s": 20}, ahead=[OWN_TIME])
        began = at(running.until("link securing"))
        down = running.until("link down")
        assert value(down, "cause") == "tls-timeout"
        # A busy machine may notice late, by seconds of a clock that runs 20 times as fast.
        assert 19 < at(down) - began < 30
        assert len(running.said("sampler reading")) == 2
        proxy.restore()
        running.until("link up")
