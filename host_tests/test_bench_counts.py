"""What a Reading, the client and the node may cost, so that it cannot creep: `make bench` in small.

Counts only: they come out the same on a busy machine. A bound is what was measured and a little
more; whoever gets below it lowers it.
"""

from __future__ import annotations

import shutil
import ssl
from pathlib import Path

import pytest
from brokers import RunningBroker
from limpet.bench import heap, instructions, sizes, upstream
from limpet.bench.tree import Tree
from limpet.bench.world import OPENSSL, World
from limpet.brokers.certified_broker import CertifiedBroker
from limpet.micropython.debian import available
from limpet.micropython.interpreter import micropython, version

BOUNDS = {
    # bytes that go up for a Reading: TLS 1.2, headers of records included
    "live": 155,
    "backlog": 11.6,
    # bytes of heap on a 32-bit interpreter
    "client": 14_336,
    "client frozen": 7_950,
    "node joined": 82_500,
    "frozen, up": 55_300,
    "frozen, after a Command": 62_200,
    "bytecode, up": 88_000,
    "bytecode, after a Command": 102_000,
    # bytes of byte code that a node loads at boot
    "mpy at boot": 36_200,
    # thousands of instructions per Reading
    "node instructions": 740,
    "client instructions": 66,
    # turns of the main loop in two minutes without a Reading: the watchdog's, pings, their answers
    "idle turns": 22,
}

tree = Tree()
needs_32_bit = pytest.mark.skipif(not available("i386"), reason="no 32-bit interpreter here")
needs_valgrind = pytest.mark.skipif(not shutil.which("valgrind"), reason="no valgrind here")
# Another version has other instructions.
needs_1_25 = pytest.mark.skipif(version(micropython()) != (1, 25), reason="no MicroPython 1.25")


@pytest.fixture
def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    """A broker that speaks TLS 1.2, as an ESP32 does: in 1.3 a record has another size."""
    made = CertifiedBroker._create_ssl_context

    def limited(listener: object) -> ssl.SSLContext:
        context = made(listener)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        return context

    monkeypatch.setattr(CertifiedBroker, "_create_ssl_context", staticmethod(limited))
    (tmp_path / "openssl.cnf").write_text(OPENSSL)
    monkeypatch.setenv("OPENSSL_CONF", str(tmp_path / "openssl.cnf"))
    broker: RunningBroker = request.getfixturevalue("broker")
    return World(broker.setup, broker, tmp_path)


def test_reading_sent_live_is_one_small_record(world: World) -> None:
    """A Reading that is sent as it is taken goes up in one TLS record, of so many bytes."""
    size, records = upstream.live(world, tree, (5, 25))
    assert records == 1
    assert size <= BOUNDS["live"]


def test_backlog_takes_few_bytes(world: World) -> None:
    """Readings from flash share topics and headers."""
    assert upstream.from_backlog(world, tree, (200, 600)) <= BOUNDS["backlog"]


@needs_32_bit
def test_client_takes_little_heap(world: World) -> None:
    """The client alone, with umqtt below it as every chip has it."""
    assert heap.imported(world, tree, "bytecode", "umqtt_tls") <= BOUNDS["client"]
    assert heap.imported(world, tree, "frozen", "umqtt_tls") <= BOUNDS["client frozen"]


@needs_32_bit
@pytest.mark.parametrize("form", ["frozen", "bytecode"])
@pytest.mark.parametrize("when", ["up", "after a Command"])
def test_node_that_is_up_takes_little_heap(world: World, form: str, when: str) -> None:
    """Up over TLS, and as many Readings wait as RAM has room for."""
    assert heap.up(world, tree, form, command=when != "up") <= BOUNDS[f"{form}, {when}"]


@needs_32_bit
def test_code_keeps_its_budget() -> None:
    """What is loaded at boot, and the heap of a node that has been joined."""
    modules, used = sizes.measure(tree)
    print(sizes.table(modules, used))
    assert sizes.at_boot(modules) <= BOUNDS["mpy at boot"]
    assert used <= BOUNDS["node joined"]


def test_idle_node_sleeps(world: World) -> None:
    """A node with nothing to do wakes for deadlines only."""
    assert instructions.idle_turns(world, tree, 120) <= BOUNDS["idle turns"]


@needs_valgrind
@needs_1_25
def test_reading_takes_few_instructions(world: World) -> None:
    """From the sampler to the PUBACK, one at a time; and in the client alone, with a window."""
    node = instructions.node_one_by_one(world, tree, (20, 120))
    client = instructions.client(world, tree, (50, 350))
    assert node <= BOUNDS["node instructions"]
    assert client <= BOUNDS["client instructions"]
