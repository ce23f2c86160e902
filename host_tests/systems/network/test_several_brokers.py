"""A node whose settings name more brokers than one: which one it goes to, and that nothing is lost
on the way. Two real brokers, with TLS, that know nothing of one another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from limpet.brokers.setup import open_setup
from limpet.identity.provisioning import Setup
from support.brokers.kinds import of_kind
from support.brokers.mqtt_client import Client
from support.brokers.running import KIND, RunningBroker, fields
from support.fleets import fleet
from support.nodes import (
    FAST,
    TIMEOUT_S,
    Commander,
    Node,
    StartNode,
    Where,
    expanded,
    newest,
    online,
    value,
    wait_for_status,
)
from support.patched import patched
from support.proxies.proxy import Proxy

READINGS = "limpet/+/+/+/+/telemetry/#"


@pytest.fixture
def first(broker: RunningBroker) -> Iterator[Proxy]:
    """The way to one broker."""
    with Proxy(broker.port) as proxy:
        yield proxy


@pytest.fixture
def other(setup: Setup) -> Iterator[RunningBroker]:
    """Run a second broker, empty, of the same authority."""
    running = of_kind(KIND, setup)
    running.start()
    yield running
    running.close()


@pytest.fixture
def second(other: RunningBroker) -> Iterator[Proxy]:
    """The way to the other one."""
    with Proxy(other.port) as proxy:
        yield proxy


@pytest.fixture
def start(node: StartNode) -> Callable[..., Node]:
    """Start a node that knows all of these, in their order of preference."""

    def started(first: Where, *others: Where, **how: Any) -> Node:
        more = [f"127.0.0.1:{each.port}" for each in others]
        return node(first, speed=20, config=FAST | {"more_brokers": more}, **how)

    return started


def _arrived(*operators: Client) -> list[int]:
    found = [message for each in operators for message in each.seen(READINGS)]
    return [reading["seq"] for message in found for reading in expanded(message)]


def _all_arrive(running: Node, last: Client, *others: Client) -> None:
    """Wait until every Reading taken so far is at one of the brokers; new ones come at `last`."""
    running.until("sampler reading")
    wanted = set(range(newest(running.lines) + 1))
    last.wait_for(READINGS, lambda _: wanted <= set(_arrived(last, *others)), TIMEOUT_S)


def _up(running: Node, number: int, since: int = 0) -> int:
    """Wait for a connection, see that it is to the broker of that number, and return how many lines
    there are by then.
    """
    line = running.until("link up", since)
    until = running.lines.index(line)
    told = [each for each in running.lines[:until] if "link next broker=" in each]
    assert int(value(told[-1], "broker")) == number, told
    return until


def test_first_one_is_preferred(
    broker: RunningBroker,
    other: RunningBroker,
    first: Proxy,
    second: Proxy,
    start: Callable[..., Node],
) -> None:
    """Where both are there the node is at the first, whose birth says so, and comes back to it."""
    at_first = broker.operator()
    running = start(first, second)
    assert wait_for_status(at_first, online).json()["broker"] == 1
    since = _up(running, 1)
    first.cut()
    running.until("link down", since)
    _up(running, 1, since + 1)
    _all_arrive(running, at_first)
    assert not second.accepted


def test_first_one_is_away_at_boot(
    other: RunningBroker, first: Proxy, second: Proxy, start: Callable[..., Node]
) -> None:
    """The second is tried at once, takes Commands, and keeps the node when the first is back; the
    first is tried again when that connection ends.
    """
    at_second = other.operator()
    first.refuse()
    running = start(first, second)
    since = _up(running, 2)
    assert int(value(running.said("link down")[0], "retry_ms")) == 0
    assert wait_for_status(at_second, online).json()["broker"] == 2
    assert Commander(at_second).ask("ping")["status"] == "executed"
    first.restore()
    _all_arrive(running, at_second)
    assert not first.accepted
    second.refuse()
    running.until("link down", since)
    _up(running, 1, since + 1)


def test_as_on_a_chip(
    broker: RunningBroker, first: Proxy, second: Proxy, start: Callable[..., Node]
) -> None:
    """In byte code, with the heap and the word size of a chip: it goes to the second, twice."""
    at_first = broker.operator()
    second.refuse()
    running = start(second, first, bytecode=True, heap="128k", arch="i386")
    since = _up(running, 2)
    _all_arrive(running, at_first)
    first.cut()
    running.until("link down", since)
    _up(running, 2, since + 1)
    assert not running.said("Traceback")


def test_code_from_before_takes_the_identity(
    broker: RunningBroker, node: StartNode, tmp_path: Path
) -> None:
    """What a node falls back to knows no further brokers: it takes the identity of one that has
    some, and runs with the settings of its own slot. In there it would refuse them by name.
    """
    before = patched(
        tmp_path / "before",
        ("node/config/config.py", '    ("more_brokers", None, more_brokers),\n', ""),
        ("node/config/config.py", 'if own and values["more_brokers"]:', "if False:"),
        ("node/config/settings.py", 'if found["more_brokers"]:', "if False:"),
        ("app.py", "if cfg.more_brokers:", "if False:"),
    )
    several = broker.image(tmp_path / "several", more_brokers=["two.example"])
    of_before = broker.image(tmp_path / "of-before")
    identity, own = ((several / name).read_bytes() for name in ("identity.json", "settings.json"))
    assert (of_before / "identity.json").read_bytes() == identity
    assert (of_before / "settings.json").read_bytes() != own
    node(broker, firmware=before, files={"identity.json": identity}).until("link up")
    refuses = node(broker, firmware=before, files={"settings.json": own})
    refuses.until("config refused field=more_brokers rule=unknown key")


def test_nothing_is_lost_between_them(
    broker: RunningBroker,
    other: RunningBroker,
    first: Proxy,
    second: Proxy,
    start: Callable[..., Node],
) -> None:
    """The first goes in the middle, then the second, then both: each Reading is at one of them."""
    at_first, at_second = broker.operator(), other.operator()
    running = start(first, second)
    since = _up(running, 1)
    running.until("sampler reading seq=5 ")
    first.refuse()
    since = _up(running, 2, since + 1)
    _all_arrive(running, at_second, at_first)
    second.refuse()
    tries = len(running.said("link down"))
    running.until(lambda line: len(running.said("link down")) >= tries + 6)
    first.restore()
    since = _up(running, 1, since + 1)
    _all_arrive(running, at_first, at_second)


def test_both_away_is_no_busy_loop(first: Proxy, second: Proxy, start: Callable[..., Node]) -> None:
    """Each is asked as rarely as if it were the only one: from 2 s on, doubled, up to a minute."""
    first.refuse()
    second.refuse()
    running = start(first, second)
    running.until(lambda line: "link down" in line and float(line.split()[0]) > 120)
    assert {value(each, "broker") for each in running.said("next broker=")} == {"1", "2"}
    # Of the ceilings 2, 4, 8, 16, 32 and 60 s each has come to a minute by then.
    assert 4 <= len(running.said("link down")) <= 50


def test_broker_of_another_authority_is_passed_over(
    other: RunningBroker, second: Proxy, start: Callable[..., Node], tmp_path: Path
) -> None:
    """A first one that is not ours is refused, for a minute, and does not keep the node from the
    second. No word goes to it.
    """
    theirs = open_setup(fleet(tmp_path / "theirs"))
    theirs.device(fields("node-1"))
    stranger = of_kind(KIND, theirs)
    stranger.start()
    try:
        at_stranger, at_second = stranger.operator(), other.operator()
        running = start(stranger, second)
        _up(running, 2)
        down = running.said("link down")[0]
        assert value(down, "cause") == "certificate-untrusted"
        assert int(value(down, "retry_ms")) == 0
        running.until("sampler reading seq=3 ")
        _all_arrive(running, at_second)
        assert not at_stranger.seen(READINGS)
    finally:
        stranger.close()
