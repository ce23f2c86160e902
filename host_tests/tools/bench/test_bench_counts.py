"""What a Reading, the client and the node may cost, so that it cannot creep: `make bench` in small.

Counts only: they come out the same on a busy machine. A bound is what was measured and a little
more; whoever gets below it lowers it. What is counted must not hang on who is scheduled when: a
broker answers in batches of a fixed size, or one by one while the node's clock stands still.
"""

from __future__ import annotations

import shutil
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from limpet.brokers.embedded.certified_broker import CertifiedBroker
from limpet.node_host.debian import available
from limpet.node_host.interpreter import micropython, version
from limpet_bench import clients, garbage, heap, instructions, profile, rates, sizes, upstream
from limpet_bench.tree import Tree
from limpet_bench.world import OPENSSL, World
from support.brokers.codec import Packet, puback
from support.brokers.running import RunningBroker
from support.brokers.scripted_broker import ScriptedBroker, server_context

BOUNDS = {
    # bytes that go up for a Reading: TLS 1.2, headers of records included
    "live": 155,
    "backlog": 11.6,
    # bytes of heap on a 32-bit interpreter
    "client": 11_750,
    "client frozen": 5_900,
    # of the clients for other people's programs, up over TLS
    "mqtt_async": 28_200,
    "umqtt_robust": 27_500,
    "node joined": 68_400,
    "frozen, up": 47_250,
    "frozen, after a Command": 53_300,
    "bytecode, up": 75_350,
    "bytecode, after a Command": 86_900,
    # and of garbage that a Reading leaves there, from its sensor to its PUBACK
    "garbage": 265,
    # bytes of byte code that a node loads at boot
    "mpy at boot": 36_000,
    # names that MicroPython keeps for all of them: 620 are in the table
    "names": 612,
    # thousands of instructions per Reading, without its line of the log
    "node instructions": 300,
    # and per second without a Reading, a clock that jumps
    "idle instructions": 21.5,
    "client instructions": 56,
    "client instructions, no TLS": 46,
    # turns of the main loop in two minutes without a Reading: the watchdog's, pings, their answers
    "idle turns": 22,
}

ANSWERS = {"executed": 6, "rejected": 1}

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
@pytest.mark.parametrize("which", [clients.ASYNC, clients.DROP_IN])
def test_clients_for_others_take_no_more_heap(world: World, which: str) -> None:
    """From .mpy files as mpy-cross makes them of the sources, as somebody else's chip has them."""
    [up] = [row for row in clients.heap(world, which) if row.what.endswith("up")]
    assert up.median <= BOUNDS[which]


@needs_32_bit
@pytest.mark.parametrize("form", ["frozen", "bytecode"])
@pytest.mark.parametrize("when", ["up", "after a Command"])
def test_node_that_is_up_takes_little_heap(world: World, form: str, when: str) -> None:
    """Up over TLS, and as many Readings wait as RAM has room for."""
    assert heap.up(world, tree, form, command=when != "up") <= BOUNDS[f"{form}, {when}"]


@needs_32_bit
def test_reading_leaves_little_garbage(world: World) -> None:
    """The rest of the heap has to be searched for the next one's room, and collected."""
    assert garbage.per_reading(world, tree, 44) <= BOUNDS["garbage"]


@needs_32_bit
@pytest.mark.parametrize("what", sorted({*garbage.PARTS, *profile.PARTS}))
def test_each_part_of_the_profile_is_there(world: World, what: str) -> None:
    """The script asks the node for it; one that is called otherwise today would stay unmeasured."""
    assert garbage.part(world, tree, what, 4) >= 0


@needs_32_bit
def test_code_keeps_its_budget() -> None:
    """What is loaded at boot, and the heap of a node that has been joined."""
    modules, used = sizes.measure(tree)
    print(sizes.table(modules, used))
    assert sizes.at_boot(modules) <= BOUNDS["mpy at boot"]
    assert used <= BOUNDS["node joined"]


@needs_32_bit
def test_names_fit_into_their_table(world: World) -> None:
    """Whatever a node imports while it is up: the next larger table is a piece of 4.5 KB, which no
    heap has any more then. The laptop's own names are counted here, in place of a chip's.
    """
    assert sizes.names(tree, world.flash(), sizes.on_use(tree)) <= BOUNDS["names"]


@pytest.mark.long
@needs_32_bit
def test_life_of_a_node_needs_no_long_piece(world: World) -> None:
    """Once it is up: Commands, an outage, a commit to flash, a backlog, each in a heap that has no
    more than 1 KB in a row.
    """
    settings, how = {"do": "pieces"}, {"form": "bytecode", "arch": "i386", "heap": "256k"}
    said = tree.run("bench_node", world.flash(), settings, **how)
    assert said.pop("downs").pop("closed") == 1
    assert said == {"bugs": 0, "errors": 0, "commits": 1, "dropped": 0, "answers": ANSWERS}


def test_idle_node_sleeps(world: World) -> None:
    """A node with nothing to do wakes for deadlines only."""
    assert instructions.idle_turns(world, tree, 120) <= BOUNDS["idle turns"]


@pytest.mark.long
@needs_valgrind
@needs_1_25
def test_reading_takes_few_instructions(world: World) -> None:
    """From the sampler to the PUBACK, one at a time."""
    node = instructions.node_one_by_one(world, tree, (20, 120), logged=False)
    assert node <= BOUNDS["node instructions"]


@pytest.mark.long
@needs_valgrind
@needs_1_25
def test_idle_second_takes_few_instructions(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up, and nothing to do: what the turns of the main loop take."""
    monkeypatch.setattr(instructions, "_IDLE_S", (60, 360))
    each_second = instructions.idle(world, tree)
    assert each_second <= BOUNDS["idle instructions"]


def in_batches(size: int) -> Callable[[Packet], bytes | None]:
    """What a broker answers that acknowledges so many at once, in one write.

    One that acknowledges as it reads leaves it to the scheduler how many the client finds: 61
    thousand instructions per Message with all of a window at once, 113 thousand one by one.
    """
    held: list[bytes] = []

    def answer(packet: Packet) -> bytes | None:
        if packet.name != "PUBLISH":
            return None
        held.append(puback(packet))
        if len(held) < size:
            return b""
        said = b"".join(held)
        held.clear()
        return said

    return answer


@needs_valgrind
@needs_1_25
@pytest.mark.parametrize("tls", [True, False], ids=["tls", "plain"])
def test_message_takes_few_instructions(world: World, tls: bool, tmp_path: Path) -> None:
    """In the client alone, with a window of 16; and without what Mbed TLS takes of it."""
    context = server_context(tmp_path, world.setup.authority) if tls else None
    if context:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    # Far apart: two handshakes differ by as much as 15 Messages take.
    counts = (5 * rates.WINDOW, 65 * rates.WINDOW)
    with ScriptedBroker(in_batches(rates.WINDOW), context) as broker:
        found = instructions.client(world, tree, counts, port=broker.port, plain=not tls)
    assert found <= BOUNDS["client instructions" if tls else "client instructions, no TLS"]
