"""What the proxies can do to a whole node, each word once; and that it goes on after any of it."""

from __future__ import annotations

import json
import queue
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.brokers.codec import Packet
from support.brokers.running import RunningBroker
from support.micropython.upy import OWN_TIME
from support.nodes import FAST, Commander, Node, StartNode, at, newest, value, wait_for_readings
from support.patched import patient
from support.proxies.packet_proxy import PacketProxy, Word
from support.proxies.proxy import Proxy

# 20 s without an answer are one real second, which a busy machine may not take for anything else.
SPEED = 20
LIMIT_S = 60.0


class Seen:
    """What passes a packet proxy, in order, for tests that wait for some of it."""

    def __init__(self) -> None:
        self.all: list[tuple[str, Packet]] = []
        self._queue: queue.Queue[tuple[str, Packet]] = queue.Queue()

    def __call__(self, way: str, packet: Packet) -> None:
        """Note a packet: the proxy's `watch`."""
        self._queue.put((way, packet))

    def until(self, wanted: Callable[[str, Packet], object]) -> Packet:
        """Wait for a packet that was not looked at yet; queue.Empty when it does not come."""
        while True:
            self.all.append(self._queue.get(timeout=LIMIT_S))
            if wanted(*self.all[-1]):
                return self.all[-1][1]


@pytest.fixture
def seen() -> Seen:
    """What the proxy of this test sees."""
    return Seen()


@pytest.fixture
def speed() -> float:
    """How fast the node's clock runs, where a test does not say otherwise."""
    return SPEED


@pytest.fixture
def proxy(broker: RunningBroker, seen: Seen, speed: float) -> Iterator[PacketProxy]:
    """A packet proxy in front of the broker."""
    with PacketProxy(broker, speed=speed, watch=seen) as opened:
        yield opened


@pytest.fixture
def running(proxy: PacketProxy, node: StartNode, seen: Seen, speed: float, tmp_path: Path) -> Node:
    """A node that publishes through it, is up, and has heard its own birth."""
    # Some tests wait for the node's own 20 s, one real second; at another speed none does.
    how: dict[str, Any] = {}
    if speed > SPEED:
        how["firmware"] = patient(tmp_path / "firmware", speed)
    started = node(proxy, speed=speed, config=FAST, ahead=[OWN_TIME], **how)
    started.until("sampler reading seq=0 ")
    # Nothing is on its way any more: a fault must not hit what a test does not speak of.
    missing = ["SUBACK", "SUBACK", "PUBLISH"]  # the last one is the birth, come back
    while missing:
        missing.remove(seen.until(lambda way, one: way == "down" and one.name in missing).name)
    return started


def happened(word: Word) -> None:
    """Wait until it has."""
    assert word.happened.wait(LIMIT_S)


def throw_out(proxy: PacketProxy, running: Node) -> int:
    """Close the node's connection; return the number of the line in which it says so."""
    since = len(running.lines)
    proxy.close()
    down = running.until("link down", since)
    assert value(down, "cause") == "closed"
    return running.lines.index(down)


def sequence(packet: Packet) -> int:
    """Return the number of the (first) Reading in a telemetry PUBLISH."""
    said: int = json.loads(packet.payload)["seq"]
    return said


def is_telemetry(way: str, packet: Packet) -> bool:
    """Whether it is one on its way up."""
    return way == "up" and packet.topic.endswith("/telemetry")


def goes_on(broker: RunningBroker, running: Node) -> None:
    """Wait for the next Readings at the broker, and a Response: nothing is stuck."""
    operator = broker.operator()
    first = newest(running.lines) + 2
    wait_for_readings(operator, first + 2, since=first)
    assert Commander(operator).ask("ping")["status"] == "executed"
    assert not running.said("node bug")


def test_dropped_puback_brings_the_reading_again(
    broker: RunningBroker, proxy: PacketProxy, seen: Seen, running: Node
) -> None:
    """A PUBACK that never comes ends the connection 20 s later; the PUBLISH comes with DUP."""
    seen.until(lambda way, packet: way == "delivered" and is_telemetry("up", packet))
    happened(proxy.drop_puback())
    assert value(running.until("link down"), "cause") == "puback-timeout"
    again = seen.until(lambda way, packet: is_telemetry(way, packet) and packet.dup)
    assert [p.payload for way, p in seen.all if is_telemetry(way, p)].count(again.payload) == 2
    goes_on(broker, running)


def test_pubacks_doubled_late_strange_and_out_of_order_change_nothing(
    broker: RunningBroker, proxy: PacketProxy, seen: Seen, running: Node
) -> None:
    """Each acknowledges once what it names, and the connection stays: nothing is sent twice."""
    happened(proxy.double_puback())
    happened(proxy.delay_puback(5))
    happened(proxy.stray_puback())
    happened(proxy.reorder_pubacks(3))
    goes_on(broker, running)
    last = newest(running.lines)
    seen.until(lambda way, packet: is_telemetry(way, packet) and sequence(packet) >= last)
    # In whatever order: one that waits for 2 s, 100 real ms, goes by way of the flash.
    numbers = [sequence(packet) for way, packet in seen.all if is_telemetry(way, packet)]
    assert len(set(numbers)) == len(numbers) > last - 3
    assert not running.said("link down")


def test_delayed_puback_is_overtaken(
    broker: RunningBroker, proxy: PacketProxy, running: Node
) -> None:
    """The next Reading goes out although an older one is not acknowledged for 30 s: too late."""
    happened(proxy.delay_puback(30))
    taken = newest(running.lines)
    assert value(running.until("link down"), "cause") == "puback-timeout"
    assert newest(running.lines) > taken + 4
    goes_on(broker, running)


@pytest.mark.parametrize("size", [0, 3])
def test_truncated_connack(
    broker: RunningBroker, proxy: PacketProxy, running: Node, size: int
) -> None:
    """Whatever part of a CONNACK comes before the end, it lets nobody in."""
    word = proxy.truncate_connack(size)
    gone = throw_out(proxy, running)
    happened(word)
    greeting = running.lines.index(running.until("link greeting", gone))
    down = running.until("link down", greeting)
    assert value(down, "cause") == "closed"
    assert not any("link up" in line for line in running.lines[gone : running.lines.index(down)])
    goes_on(broker, running)


@pytest.mark.parametrize("speed", [100], ids=["fast"])  # most of them wait for a minute
@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (1, "protocol-version"),
        (2, "client-id"),
        (3, "unavailable"),
        (4, "credentials"),
        (5, "not-authorized"),
    ],
)
def test_connack_codes(
    broker: RunningBroker, proxy: PacketProxy, running: Node, code: int, cause: str
) -> None:
    """Each return code has its cause, and a later try succeeds."""
    word = proxy.refuse_connect(code)
    throw_out(proxy, running)
    running.until(f"link down cause={cause} ")
    happened(word)
    goes_on(broker, running)


@pytest.mark.parametrize("speed", [40], ids=["fast"])
def test_refused_subscribe_is_asked_again(
    broker: RunningBroker, proxy: PacketProxy, seen: Seen, running: Node
) -> None:
    """What is answered by 0x80 is asked for again a minute later, on the same connection."""
    word = proxy.refuse_subscribe()
    throw_out(proxy, running)
    happened(word)
    asked = "SUBSCRIBE"
    seen.until(lambda way, packet: packet.name == "CONNACK")
    refused = seen.until(lambda way, packet: packet.name == asked)
    told = at(running.lines[-1])
    seen.until(lambda way, packet: packet.name == asked and packet.topic == refused.topic)
    assert 50 < at(running.lines[-1]) - told < 90
    goes_on(broker, running)


def test_close_on_subscribe(broker: RunningBroker, proxy: PacketProxy, running: Node) -> None:
    """A connection that ends with the SUBSCRIBE is tried again."""
    word = proxy.close_on_subscribe()
    gone = throw_out(proxy, running)
    happened(word)
    assert value(running.until("link down", gone + 1), "cause") == "closed"
    goes_on(broker, running)


def test_garbage_ends_the_connection(
    broker: RunningBroker, proxy: PacketProxy, running: Node
) -> None:
    """What is no packet cannot be trusted from there on."""
    happened(proxy.garbage())
    assert value(running.until("link down"), "cause") == "protocol"
    goes_on(broker, running)


def test_lying_length_is_noticed(broker: RunningBroker, proxy: PacketProxy, running: Node) -> None:
    """A packet that swallows all that follows swallows PUBACKs too, which tells within 20 s."""
    happened(proxy.lie_about_length())
    told = at(running.lines[-1])
    down = running.until("link down")
    assert value(down, "cause") == "puback-timeout"
    assert at(down) - told < 40
    goes_on(broker, running)


def test_unasked_publish_is_acknowledged_and_left_alone(
    broker: RunningBroker, proxy: PacketProxy, seen: Seen, running: Node
) -> None:
    """A Command on a topic of somebody else's is not carried out, and costs no connection."""
    payload = b'{"id":"stranger","action":"reboot"}'
    happened(proxy.publish_unasked("limpet/home/desk/climate/node-2/commands", payload))
    seen.until(lambda way, packet: way == "up" and packet.name == "PUBACK")
    goes_on(broker, running)
    assert not running.said("stranger")
    assert len(running.said("node boot=")) == 1
    assert not running.said("link down")


def test_black_hole_and_close(broker: RunningBroker, proxy: PacketProxy, running: Node) -> None:
    """Packets that vanish while TLS lives are missed; a close is noticed at once."""
    proxy.black_hole()
    assert value(running.until("link down"), "cause") == "puback-timeout"
    running.until("link down cause=connack-timeout")
    proxy.restore()
    goes_on(broker, running)
    throw_out(proxy, running)
    goes_on(broker, running)


def test_bytes_reset_cut_short_and_late(
    broker: RunningBroker, node: StartNode, tmp_path: Path
) -> None:
    """A TCP reset, an end in the middle of a record, delay and jitter: all is delivered."""
    operator = broker.operator()
    firmware = patient(tmp_path / "firmware", SPEED)
    with Proxy(broker.port, SPEED) as proxy:
        running = node(proxy, speed=SPEED, config=FAST, firmware=firmware)
        wait_for_readings(operator, 2)
        proxy.reset()
        down = running.lines.index(running.until("link down cause=closed"))
        down = running.lines.index(running.until("link up", down))
        proxy.close_after(77)
        down = running.lines.index(running.until("link down cause=closed", down))
        proxy.restore()
        running.until("link up", down)
        proxy.delay(1, jitter=1)
        late = newest(running.lines)
        wait_for_readings(operator, late + 5)
        proxy.restore()
        wait_for_readings(operator, newest(running.lines) + 3)
    assert {value(line, "cause") for line in running.said("link down")} == {"closed"}
