"""What the way to the broker does not carry comes in smaller pieces, and what cannot be made
smaller holds nobody up: a broker with a limit for packets, a tunnel with a small MTU.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from limpet.brokers.mosquitto.program import mosquitto
from limpet.identity.provisioning import Setup
from limpet.operating.levers.relay import Connection
from limpet.shared.problem import Problem
from support.brokers.codec import Packet, connack, publish
from support.brokers.mosquitto import Mosquitto
from support.brokers.running import RunningBroker
from support.brokers.scripted_broker import Answer, Closed, ScriptedBroker
from support.brokers.scripted_link import (
    BASE,
    COMMANDS,
    PLAIN,
    STATUS,
    TELEMETRY,
    all_of,
    echoing,
    is_reading,
    seqs,
    status,
)
from support.nodes import Node, StartNode, expanded, value
from support.patched import patched, patient
from support.proxies.proxy import Proxy
from support.stored import STORED, stored


class Narrow(Proxy):
    """A way on which a TLS record above 1,400 bytes is lost, and all that follows it."""

    lost = 0

    async def _pieces(
        self, connection: Connection, way: str, reader: asyncio.StreamReader
    ) -> AsyncIterator[bytes]:
        if way == "down":
            async for piece in super()._pieces(connection, way, reader):
                yield piece
            return
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                head = await reader.readexactly(5)
                record = head + await reader.readexactly(int.from_bytes(head[3:], "big"))
                if len(record) > 1400:
                    self.lost += 1
                    await asyncio.Event().wait()
                yield record


@pytest.fixture
def limited(setup: Setup) -> Iterator[Mosquitto]:
    """mosquitto, not yet started."""
    try:
        mosquitto()
    except Problem as problem:
        pytest.skip(str(problem))
    broker = Mosquitto(setup)
    yield broker
    broker.close()


def of_boot_1(operator: Any) -> list[int]:
    """The numbers of those that have arrived."""
    said = [each for m in operator.seen(f"{TELEMETRY}/#") for each in expanded(m)]
    return [each["seq"] for each in said if each["boot"] == 1]


@pytest.mark.parametrize("packet_max", [1024, 600])
def test_broker_with_a_limit_for_packets(
    limited: Mosquitto, setup: Setup, tmp_path: Path, packet_max: int
) -> None:
    """mosquitto closes when a packet is too long: all Readings come, each once, in few connects."""
    limited.more = f"max_packet_size {packet_max}\n"
    limited.start()
    operator = limited.operator()
    flash = stored(setup, tmp_path / "flash", limited.port)
    with Node(flash, "node-1", speed=5) as node:
        operator.wait_for(f"{TELEMETRY}/#", lambda _: len(of_boot_1(operator)) >= STORED, 60)
        assert len(node.said("cause=too-long")) in (1, 2)
        assert len(node.said("link down")) <= 10
        assert not node.said("cause=undeliverable")
    assert sorted(of_boot_1(operator)) == list(range(STORED))


def test_way_that_swallows_long_records(
    broker: RunningBroker, setup: Setup, tmp_path: Path
) -> None:
    """All Readings come over a tunnel that loses what is above its MTU, and does not say so."""
    operator = broker.operator()
    proxy = Narrow(broker.port)
    with proxy:
        flash = stored(setup, tmp_path / "flash", proxy.port, interval_s=3600)
        # 20 s without PUBACK are 2 s; a busy machine may add to the ends, and does no harm.
        with Node(flash, "node-1", speed=10) as node:
            operator.wait_for(f"{TELEMETRY}/#", lambda _: len(of_boot_1(operator)) >= STORED, 90)
            assert node.said("cause=too-long")
        assert proxy.lost >= 4
    assert set(of_boot_1(operator)) == set(range(STORED))


def closing_on(wanted: Any, present: bool = True) -> Answer:
    """Close when a PUBLISH comes for which `wanted` is true; keep the session if one is kept."""

    def answer(packet: Packet) -> bytes | None:
        if packet.name == "CONNECT":
            return connack(present=present and not packet.connect["clean_session"])
        if packet.name == "PUBLISH" and packet.topic != STATUS and wanted(packet):
            raise Closed
        return None

    return echoing(answer)


def as_mqtt_wants(packets: list[Packet]) -> None:
    """Assert that a packet id that is sent again in the same session carries the same Message."""
    words: dict[int, tuple[str, bytes]] = {}
    for packet in packets:
        if packet.name == "CONNECT" and packet.connect["clean_session"]:
            words.clear()
        elif packet.name == "PUBLISH" and packet.packet_id and packet.topic != STATUS:
            said = packet.topic, packet.payload
            if packet.dup:
                # What came behind the packet that ended a connection, nobody has read.
                assert words.get(packet.packet_id, said) == said
            words[packet.packet_id] = said


def test_pieces_get_as_small_as_one_reading(setup: Setup, tmp_path: Path) -> None:
    """Down to one Reading a Message where need be, without a packet id that means two Messages."""
    with ScriptedBroker(closing_on(lambda p: len(p.payload) > 100)) as broker:
        flash = stored(setup, tmp_path / "flash", broker.port, **PLAIN, interval_s=3600)
        firmware = patient(tmp_path / "firmware", 100)
        with Node(flash, "node-1", speed=100, firmware=firmware) as node:
            broker.wait_for(all_of(range(STORED), 1), 60)
            assert 3 <= len(node.said("cause=too-long")) <= 8
    as_mqtt_wants(broker.packets)
    small = [p for p in broker.packets if is_reading(p) and len(p.payload) <= 100]
    assert set(seqs(small)) >= set(range(STORED))


def test_reading_that_never_gets_through_is_set_aside(setup: Setup, tmp_path: Path) -> None:
    """The broker closes whenever one certain Reading comes: all others arrive, it is counted."""

    def bad(packet: Packet) -> bool:
        return is_reading(packet) and 77 in seqs([packet]) and status(packet)["boot"] == 1

    with ScriptedBroker(closing_on(bad)) as broker:
        config = PLAIN | {"interval_s": 3600, "health_s": 10}
        flash = stored(setup, tmp_path / "flash", broker.port, **config)
        firmware = patient(tmp_path / "firmware", 100)
        with Node(flash, "node-1", speed=100, firmware=firmware) as node:
            node.until("cause=undeliverable")

            def counted(packet: Packet) -> bool:
                if packet.topic != f"{BASE}/health":
                    return False
                said = status(packet)
                return said["queued"] == 0 and said["downs"].get("undeliverable") == 1

            broker.wait_for(counted, 60)
            ends = len(node.said("link down"))
            broker.wait_for(lambda p: len(broker.of("PINGREQ")) > 3, 30)
            assert len(node.said("link down")) == ends
    as_mqtt_wants(broker.packets)
    good = {seq for p in broker.packets if is_reading(p) and not bad(p) for seq in seqs([p])}
    assert good >= set(range(STORED)) - {77}


def test_response_that_never_gets_through_holds_up_nothing(node: StartNode) -> None:
    """Readings come past a Response that ends the connection; the next Response replaces it."""

    def bad(packet: Packet) -> bool:
        return packet.topic == f"{COMMANDS}/response" and b'"long"' in packet.payload

    with ScriptedBroker(closing_on(bad)) as broker:
        running = node(broker, speed=50, config=PLAIN | {"interval_s": 2})
        running.until("link up")
        broker.send(publish(COMMANDS, b'{"id":"long","action":"get_status"}'))
        running.until("cause=undeliverable")
        past = len(broker.packets)
        running.until("link up", since=len(running.lines) - 1)
        broker.wait_for(lambda p: is_reading(p) and p not in broker.packets[:past])
        broker.send(publish(COMMANDS, b'{"id":"short","action":"ping"}'))
        broker.wait_for(lambda p: b'"short"' in p.payload)
    as_mqtt_wants(broker.packets)


def test_nothing_is_given_up_where_nothing_gets_through(setup: Setup, tmp_path: Path) -> None:
    """A broker that closes on every Reading gets them all once it is mended."""
    with ScriptedBroker(closing_on(lambda p: is_reading(p))) as broker:
        flash = stored(setup, tmp_path / "flash", broker.port, **PLAIN, interval_s=3600)
        firmware = patient(tmp_path / "firmware", 200)
        with Node(flash, "node-1", speed=200, firmware=firmware) as node:
            node.until(lambda _: len(node.said("cause=undeliverable")) >= 2)
            broker.answer = closing_on(lambda p: False)
            broker.wait_for(all_of(range(STORED), 1), 60, answered=True)


def test_way_that_is_mended_costs_no_reading(setup: Setup, tmp_path: Path) -> None:
    """Set aside for ends that were not its doing, a Reading is sent once more with the others."""
    with ScriptedBroker(closing_on(lambda p: is_reading(p))) as broker:
        flash = stored(setup, tmp_path / "flash", broker.port, **PLAIN, interval_s=30)
        # An end for want of an answer, once more, is why a Reading is given up.
        firmware = patient(tmp_path / "firmware", 200)
        with Node(flash, "node-1", speed=200, firmware=firmware) as node:
            boot = int(value(node.until("node boot="), "boot"))
            node.until("cause=undeliverable")
            broker.answer = closing_on(lambda p: False)
            many = len(node.said("sampler reading"))
            broker.wait_for(all_of(range(many), boot), 60, answered=True)
            broker.wait_for(all_of(range(STORED), 1), 60, answered=True)


def test_blame_that_cannot_be_loaded_is_no_bug(node: StartNode, tmp_path: Path) -> None:
    """Flash that cannot be read just then: the connection ends as it would, and nothing is held."""
    spoilt = patched(
        tmp_path / "firmware", ("node/session/blame.py", "_CUT = const(2)", "raise OSError(5)")
    )
    with ScriptedBroker(closing_on(lambda p: is_reading(p))) as broker:
        running = node(broker, speed=100, config=PLAIN | {"interval_s": 10}, firmware=spoilt)
        running.until(lambda _: len(running.said("link down")) >= 6)
        broker.answer = closing_on(lambda p: False)
        broker.wait_for(all_of(range(5)), 60, answered=True)
        assert not running.said("node bug")


def test_payload_max_bounds_batches(node: StartNode, setup: Setup, tmp_path: Path) -> None:
    """No batch is longer than the config says; a connection does not have to end for it."""
    with ScriptedBroker(echoing()) as broker:
        config = PLAIN | {"interval_s": 3600, "payload_max": 600}
        flash = stored(setup, tmp_path / "flash", broker.port, **config)
        with Node(flash, "node-1") as running:
            broker.wait_for(all_of(range(STORED), 1), 60)
            assert not running.said("link down")
    sizes = [len(p.payload) for p in broker.packets if is_reading(p)]
    assert 500 < max(sizes) <= 600


def test_batches_on_a_chip_are_a_kb(node: StartNode, setup: Setup, tmp_path: Path) -> None:
    """Where the chip's own heap is what the interpreter's grows by, no packet asks for more."""
    chip = patched(tmp_path / "firmware", ("app.py", "board.idf_heap()", "(1, 1, 1)"))
    with ScriptedBroker(echoing()) as broker:
        flash = stored(setup, tmp_path / "flash", broker.port, **PLAIN, interval_s=3600)
        with Node(flash, "node-1", firmware=chip):
            broker.wait_for(all_of(range(STORED), 1))
    batches = [seqs([p]) for p in broker.packets if is_reading(p)]
    assert max(len(each) for each in batches) == 36


def test_flaky_way_loses_nothing(setup: Setup, tmp_path: Path) -> None:
    """Ends by chance make pieces smaller at worst."""
    count = 0

    def answer(packet: Packet) -> bytes | None:
        nonlocal count
        if is_reading(packet):
            count += 1
            if count % 4:  # three in a row
                raise Closed
        return None

    with ScriptedBroker(echoing(answer)) as broker:
        flash = stored(setup, tmp_path / "flash", broker.port, **PLAIN, interval_s=3600)
        firmware = patient(tmp_path / "firmware", 200)
        with Node(flash, "node-1", speed=200, firmware=firmware) as node:
            broker.wait_for(all_of(range(STORED), 1), 60)
            assert not node.said("cause=undeliverable")
