"""The client alone against servers that stall, lie and talk nonsense: a named cause, in time."""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from limpet.identity.authority import Authority
from support.brokers.codec import Packet, connack, publish
from support.brokers.scripted_broker import ScriptedBroker, server_context
from support.micropython.client_script import drive, tls_lines
from support.ports import closed_port

# design.md's budget for one step on the unix port, DNS aside.
LONGEST_STEP_MS = 50

# Every cause there is; whatever a server says has to end in one of them, or in nothing at all.
CAUSES = {"protocol", "closed", "client-id", "credentials", "not-authorized", "protocol-version"}
CAUSES |= {"unavailable"}


def test_tcp_has_a_deadline(full: int) -> None:
    """A host that does not answer the SYN is given up after 20 s with `tcp-timeout`."""
    script = """
c = client()
c.start(Time.now)
idle(c)
print(c.state)
Time.now += 19999
idle(c)
print(c.state)
Time.now += 1
down(c)
print(*seen)
"""
    assert drive(full, script) == ["connecting", "connecting", "down tcp-timeout"]


def test_tls_deadline_is_one_for_the_whole_handshake(mute: int, ca: Path) -> None:
    """A server that never answers the ClientHello is given up after `handshake_ms`: 60 s."""
    script = (
        tls_lines(ca)
        + """
for more, allowed in (({}, 60000), ({"handshake_ms": 5000}, 5000)):
    c = client(ssl=context, **more)
    seen.clear()
    c.start(Time.now)
    idle(c)
    print(c.state)
    Time.now += allowed - 1
    idle(c)
    print(c.state)
    Time.now += 1
    down(c)
    print(*seen)
"""
    )
    assert drive(mute, script) == ["securing", "securing", "down tls-timeout"] * 2


def test_connack_that_stays_away_is_given_up() -> None:
    """20 s after TLS is through, a missing CONNACK ends the try with `connack-timeout`."""
    script = """
c = client()
c.start(Time.now)
go(c, lambda: c.state == "greeting")
Time.now += 19999
idle(c)
print(c.state)
Time.now += 1
down(c)
print(*seen)
"""
    with ScriptedBroker(lambda packet: b"") as broker:
        assert drive(broker, script) == ["greeting", "down connack-timeout"]


def test_what_is_not_there_has_a_name() -> None:
    """A closed port is `tcp-refused`, a name that cannot be is `dns`: at once."""
    script = """
c = client()
up(c)
print(*seen)
c = client(host="x" * 70)   # no label of a name is that long: nobody has to be asked
up(c)
print(*seen)
"""
    assert drive(closed_port(), script) == ["down tcp-refused", "down dns"]


def names(*ports: int) -> str:
    """Lines after which the broker's name has an address for each of these ports of loopback."""
    return f"""
import transport
real = transport.resolve
transport.resolve = lambda net, host, port, kind: [
    each for p in {ports} or (port,) for each in real(net, host, p, kind)
]
"""


def test_second_address_is_tried() -> None:
    """Where a host has two addresses and the first one refuses, the second one is connected to."""
    with ScriptedBroker() as broker:
        script = names(closed_port(), broker.port) + "c = client()\nup(c)\nprint(*seen)"
        assert drive(broker, script) == ["up 0"]


def test_each_address_has_a_deadline_of_its_own(full: int) -> None:
    """An address that swallows SYNs has 20 s, not less; then the second one has as long, and the
    last one's cause is told.
    """
    script = """
for ports in ((FULL, BROKER), (FULL, FULL, CLOSED)):
    c = client()
    addresses = ports
    seen.clear()
    c.start(Time.now)
    for port in ports[:-1]:
        idle(c)
        Time.now += 19999
        idle(c)
        print(c.state, *seen)
        Time.now += 1
    go(c, lambda: c.state in ("up", "down"))
    print(*seen)
    c.abort()
"""
    with ScriptedBroker() as broker:
        script = script.replace("FULL", str(full)).replace("BROKER", str(broker.port))
        script = script.replace("CLOSED", str(closed_port()))
        script = names().replace("() or (port,)", "addresses") + script
        assert drive(broker, script) == [
            "connecting",
            "up 0",
            "connecting",
            "connecting",
            "down tcp-refused",
        ]


def test_address_that_says_nothing_is_not_the_first_one_again(mute: int) -> None:
    """Where the first address lets TCP in and then says nothing, the next try begins with the
    second one, and so do all that follow while it is the right one.
    """
    with ScriptedBroker() as broker:
        script = (
            names(mute, broker.port)
            + """
c = client()
c.start(Time.now)
go(c, lambda: c.state == "greeting")
Time.now += 20000
down(c)
for _ in range(3):
    print(*seen)
    up(c)
    print(*seen, len(c._transport.addresses))
    c.abort()
    seen.clear()
"""
        )
        said = drive(broker, script)
    # One that is left to be tried: it was the first of two.
    assert said == ["down connack-timeout", "up 0 1", "", "up 0 1", "", "up 0 1"]


# A step is measured inside the interpreter, in its own time (upy.OWN_TIME). What else this machine
# does may lengthen any one run all the same, but a call that blocks lengthens all of them: so the
# best of five counts.
_MEASURE = """
def measured(rounds, ended):
    longest = 0
    for _ in range(rounds):
        began = time.ticks_us()
        wait = c.step(Time.now)
        longest = max(longest, time.ticks_diff(time.ticks_us(), began))
        if ended():
            break
        c.wait(min(wait, 2))
        Time.now += 20
    return longest

best = []
for each in range(5):
    c = make()
    c.start(Time.now)
    best.append(measured(50, lambda: False))
    state = c.state
    c.abort()
print(state, min(best))
"""


def _steps(lines: list[str]) -> str:
    """Return the state in which the script ended, after a check of its longest step."""
    state, longest_us = lines[-1].split()
    assert int(longest_us) < LONGEST_STEP_MS * 1000
    return state


def test_step_does_not_wait_for_tcp(full: int) -> None:
    """No step takes over 50 ms while TCP waits for an answer."""
    assert _steps(drive(full, "make = client" + _MEASURE)) == "connecting"


def test_step_does_not_wait_for_tls(mute: int, ca: Path) -> None:
    """No step takes over 50 ms while the handshake stalls, the first one of arithmetic included."""
    script = tls_lines(ca) + "make = lambda: client(ssl=context)" + _MEASURE
    assert _steps(drive(mute, script)) == "securing"


def test_step_does_not_wait_for_the_greeting(
    tmp_path: Path, authority: Authority, ca: Path
) -> None:
    """No step takes over 50 ms through a whole handshake and a CONNACK that stays away."""
    script = tls_lines(ca) + "make = lambda: client(ssl=context)" + _MEASURE
    with ScriptedBroker(lambda _: b"", server_context(tmp_path, authority)) as broker:
        assert _steps(drive(broker, script)) == "greeting"


def test_step_does_not_wait_for_a_reader(tmp_path: Path, authority: Authority, ca: Path) -> None:
    """No step and no `send` takes over 50 ms while a broker does not read, and TCP is full."""
    script = (
        tls_lines(ca)
        + """
best = []
payload = b"x" * 50000
for each in range(3):
    c = client(ssl=context)
    up(c)
    longest = taken = 0
    for _ in range(400):
        began = time.ticks_us()
        taken += c.send("big", payload, 0) is not None
        c.step(Time.now)
        longest = max(longest, time.ticks_diff(time.ticks_us(), began))
    best.append(longest)
    state = "full" if taken < 400 else "taken"
    c.abort()
print(state, min(best))
"""
    )

    def deaf(packet: Packet) -> bytes | None:
        if packet.name == "PUBLISH":
            released.recv(1)
        return None

    released, release = socket.socketpair()
    context = server_context(tmp_path, authority)
    with release, ScriptedBroker(deaf, context, read_size=2048) as broker:
        assert _steps(drive(broker, script, heap="16m")) == "full"
    released.close()


def _broken() -> dict[str, bytes]:
    """Return what no broker may send once it has greeted, by what is wrong with it."""
    return {
        "a second CONNACK": connack(),
        "a client's packet": b"\xc0\x00",
        "reserved type 0": b"\x00\x00",
        "reserved type 15": b"\xf0\x00",
        "a length of five bytes": b"\x30\xff\xff\xff\xff\x7f",
        "a length that never ends": b"\x30\xff\xff\xff\xff\xff",
        "QoS 3": struct.pack(">BBH", 0x36, 5, 1) + b"a\0\1",
        "an empty topic": b"\x30\x02\x00\x00",
        "a topic longer than its packet": b"\x30\x05\x00\x09abc",
        "a PUBLISH without a topic": b"\x30\x00",
        "a QoS 1 PUBLISH without an id": b"\x32\x03\x00\x01a",
        "a QoS 1 PUBLISH with the id 0": b"\x32\x05\x00\x01a\x00\x00",
        "a topic that is no UTF-8": b"\x30\x05\x00\x02\xc3\x28x",
        "a PUBACK without an id": b"\x40\x01\x00",
        "a PUBACK of 3000 bytes": b"\x40\xb8\x17" + bytes(3000),
        "an oversized topic": b"\x30\xb8\x17\x0b\xb0" + b"t" * 3000,
    }


@pytest.mark.parametrize("what", _broken())
def test_nonsense_ends_the_connection(what: str) -> None:
    """A packet that MQTT does not know ends the connection with the cause `protocol`, at once."""
    script = """
c = client()
up(c)
down(c)
print(*seen)
"""
    with ScriptedBroker(
        lambda packet: connack() + _broken()[what] if packet.name == "CONNECT" else None
    ) as broker:
        assert drive(broker, script) == ["up 0 down protocol"]


def test_disconnect_is_a_close() -> None:
    """Who says DISCONNECT before it closes, as for MQTT 5, has closed: it is not nonsense."""
    script = """
c = client()
up(c)
down(c)
print(*seen)
"""
    with ScriptedBroker(
        lambda packet: connack() + b"\xe0\0" if packet.name == "CONNECT" else None
    ) as broker:
        assert drive(broker, script) == ["up 0 down closed"]


@pytest.mark.parametrize(
    "greeting",
    [
        b"\x20\x03\x00\x00\x00",
        b"\x20\x01\x00",
        publish("a", b""),
        b"HTTP/1.1 400 Bad Request\r\n" + b"-" * 99,
    ],
)
def test_greeting_that_is_no_connack_ends_the_try(greeting: bytes) -> None:
    """Whatever comes instead of a CONNACK of two bytes is `protocol`."""
    script = """
c = client()
up(c)
print(*seen)
"""
    with ScriptedBroker(lambda packet: greeting) as broker:
        assert drive(broker, script) == ["down protocol"]


def test_every_truncated_answer_ends_with_closed() -> None:
    """Cut after any byte, what the broker says gives `closed` and no half of a message."""
    whole = connack() + publish("topic", b"payload", 1, 9) + b"\xd0\x00" + b"\x90\x03\x00\x01\x01"

    def answer(packet: Packet) -> bytes | None:
        return whole[: packet.connection] if packet.name == "CONNECT" else b""

    class Cutting(ScriptedBroker):
        def _take(self, client: socket.socket, packet: Packet) -> None:
            super()._take(client, packet)
            client.shutdown(socket.SHUT_WR)

    script = f"""
c = client()
for cut in range({len(whole)}):
    seen.clear()
    c.start(Time.now)
    down(c)
    print(*seen)
"""
    start = len(connack())
    message = start + len(publish("topic", b"payload", 1, 9))
    with Cutting(answer) as broker:
        said = drive(broker, script)
    assert said == [
        "up 0 " * (cut >= start) + "topic payload r0 d0 " * (cut >= message) + "down closed"
        for cut in range(len(whole))
    ]


@pytest.mark.parametrize("seed", range(3))
def test_noise_never_raises(seed: int) -> None:
    """Random bytes, and real packets with bytes changed, end in a known cause or in patience."""
    rng = random.Random(seed)
    good = (
        publish("a", b"b" * 20, 1, 5) + b"\xd0\x00" + publish("c", b"d", 2, 6) + b"\x62\x02\x00\x06"
    )
    noises = []
    for n in range(60):
        noise = bytearray(rng.randbytes(rng.randrange(1, 60)) if n % 2 else good)
        for _ in range(n % 4):
            noise[rng.randrange(len(noise))] = rng.randrange(256)
        noises.append((connack() if n % 3 else b"") + noise)

    script = f"""
c = client()
c.on_message = lambda topic, payload, retained, dup: None
for _ in range({len(noises)}):
    seen.clear()
    c.start(Time.now)
    go(c, lambda: c.state in ("greeting", "down"))
    idle(c, 4)
    for _ in range(4):  # CONNACK, SUBACK, PINGREQ, PINGRESP: as late as a busy machine brings them
        Time.now += 90000   # whatever it waits for now is overdue
        idle(c, 2)
    print(seen[-1])
    c.abort()
"""
    with ScriptedBroker(
        lambda packet: noises[packet.connection] if packet.name == "CONNECT" else b""
    ) as broker:
        said = drive(broker, script)
    assert len(said) == len(noises)
    patience = {"ping-timeout", "connack-timeout"}
    assert {line.removeprefix("down ") for line in said} <= CAUSES | patience
    assert "down protocol" in said


def test_flood_does_not_keep_a_step_busy() -> None:
    """A broker that sends without end gets its turn, and the caller gets back in between."""
    script = """
c = client()
heard = 0
def hear(topic, payload, retained, dup):
    global heard
    heard += 1
c.on_message = hear
up(c)
longest = 0
while heard < 5000:
    began = time.ticks_us()
    c.step(Time.now)
    longest = max(longest, time.ticks_diff(time.ticks_us(), began))
    c.wait(10)
answers(c)
print(c.state, longest)
"""
    flood = b"".join(publish("a", b"x" * 10, 1, 1 + n % 60000) for n in range(5000))
    with ScriptedBroker(
        lambda packet: connack() + flood if packet.name == "CONNECT" else None
    ) as broker:
        assert min(int(drive(broker, script)[0].split()[1]) for _ in range(3)) < 50_000
    assert {len(broker.of("PUBACK")), len(broker.of("CONNECT"))} == {15_000, 3}


def test_qos_2_ids_are_bounded() -> None:
    """A broker that never releases its QoS 2 messages is `protocol` after 32 of them."""
    flood = b"".join(publish("a", b"x", 2, n) for n in range(1, 40))
    script = """
c = client()
up(c)
down(c)
print(len(seen), seen[-1])
"""
    with ScriptedBroker(
        lambda packet: connack() + flood if packet.name == "CONNECT" else b""
    ) as broker:
        assert drive(broker, script) == ["34 down protocol"]


def test_alert_while_up_is_no_refusal(tmp_path: Path, authority: Authority, ca: Path) -> None:
    """A fatal alert ends a connection as `tls-broken`; only before CONNACK is it `tls-refused`."""
    script = (
        tls_lines(ca)
        + """
c = client(ssl=context)
up(c)
c._transport._raw.write(b"\\x17\\x03\\x03\\x00\\x20" + b"?" * 32)  # no record of this connection
down(c)
print(*seen)
"""
    )
    with ScriptedBroker(context=server_context(tmp_path, authority)) as broker:
        assert drive(broker, script) == ["up 0 down tls-broken"]


class NoTls(ScriptedBroker):
    """A server that answers a ClientHello with `words` and closes."""

    def __init__(self, words: bytes) -> None:
        super().__init__()
        self._words = words

    def _serve(self, number: int, client: socket.socket) -> None:
        client.recv(4096)
        client.sendall(self._words)
        client.close()


@pytest.mark.parametrize(
    ("what", "cause"),
    [
        ("foreign", "certificate-untrusted"),
        ("expired", "certificate-expired"),
        ("name", "certificate-name"),
        ("plain", "tls-plaintext"),
        ("none", "tls-closed"),
    ],
)
def test_bad_tls_has_a_name(
    tmp_path: Path, authority: Authority, ca: Path, what: str, cause: str
) -> None:
    """What is wrong with a server's TLS is told apart, before anything was said to it."""
    script = (
        tls_lines(ca)
        + """
c = client(ssl=context, user="node-1", password="secret")
up(c)
print(*seen)
"""
    )
    makers: dict[str, Callable[[], ScriptedBroker]] = {
        "foreign": lambda: ScriptedBroker(context=server_context(tmp_path, Authority.new())),
        "expired": lambda: ScriptedBroker(
            context=server_context(tmp_path, authority, valid=timedelta(days=-1))
        ),
        "name": lambda: ScriptedBroker(context=server_context(tmp_path, authority, "b.example")),
        "plain": lambda: NoTls(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        "none": lambda: NoTls(b""),
    }
    with makers[what]() as broker:
        assert drive(broker, script) == [f"down {cause}"]
    assert not broker.packets
