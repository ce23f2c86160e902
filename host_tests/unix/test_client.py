"""The client alone, under the real interpreter, against a broker that answers as it is told."""

from __future__ import annotations

import contextlib
import re
import struct
import threading
from pathlib import Path

import pytest
from limpet.identity.authority import Authority
from limpet.node_host.umqtt import umqtt_dir
from support.brokers.codec import Packet, connack, puback, publish, suback, unsuback
from support.brokers.scripted_broker import Closed, ScriptedBroker, default_answer, server_context
from support.micropython.client_script import drive, tls_lines


def greeted(*following: bytes, present: bool = False) -> bytes:
    """Return a CONNACK, and what the broker sends right behind it."""
    return connack(present=present) + b"".join(following)


def after_connect(*following: bytes) -> ScriptedBroker:
    """Return a broker that sends `following` right behind its CONNACK."""

    def answer(packet: Packet) -> bytes | None:
        return greeted(*following) if packet.name == "CONNECT" else None

    return ScriptedBroker(answer)


def silent_on(*names: str) -> ScriptedBroker:
    """Return a broker that never answers packets of these kinds."""
    return ScriptedBroker(lambda packet: b"" if packet.name in names else None)


def test_client_is_umqtts_and_takes_its_arguments() -> None:
    """It is a umqtt.robust.MQTTClient, made with umqtt's own arguments by place and by name."""
    script = """
from umqtt import robust
c = MQTTClient("node-1", "broker", 0, "me", "secret", 30, None, {})
print(issubclass(MQTTClient, robust.MQTTClient), c.port, c.user, c.pswd, c.keepalive)
c = MQTTClient(client_id="node-1", server="broker", ssl=object(), user=None, password=None)
print(c.port, c.keepalive)
c.set_last_will("will", "bye", retain=True, qos=1)
"""
    assert drive(0, script) == ["True 1883 me secret 30", "8883 60"]


def test_connect_says_all_that_was_set() -> None:
    """CONNECT carries session, keepalive, will, username and password, whole and in UTF-8."""
    script = """
c = client(user="Zoë", password=b"p\\xc3\\xa4ss", keepalive=300)
c.set_last_will("home/käse", '{"x":"ü"}' + "w" * 200, retain=True, qos=1)
up(c)
c.stop(Time.now)
c = client(keepalive=10)
c.clean_session = True
up(c)
c.stop(Time.now)
"""
    with ScriptedBroker() as broker:
        drive(broker, script)
        broker.wait_for(lambda packet: packet.name == "DISCONNECT" and packet.connection == 1)
    rich, poor = (packet.connect for packet in broker.of("CONNECT"))
    assert rich == {
        "protocol": (b"MQTT", 4),
        "client_id": "node-1",
        "clean_session": False,
        "keepalive": 300,
        "will_qos": 1,
        "will_retain": True,
        "will_topic": "home/käse".encode(),
        "will": '{"x":"ü"}'.encode() + b"w" * 200,
        "username": "Zoë".encode(),
        "password": "päss".encode(),
        "rest": b"",
    }
    assert (poor["clean_session"], poor["will_topic"], poor["username"]) == (True, None, None)
    assert poor["rest"] == b""


def test_one_packet_is_one_tls_record(tmp_path: Path) -> None:
    """Whatever the packet, it is written at once: the broker reads as many records as packets."""
    authority = Authority.new()
    (tmp_path / "ca.der").write_bytes(authority.identity.der())
    script = (
        tls_lines(tmp_path / "ca.der")
        + """
c = client(ssl=context, keepalive=60)
c.subscribe("commands", 1)
c.set_last_will("will", "bye", retain=True, qos=1)
up(c)
for size in (0, 1, 100, 127, 128, 1000, 2000):
    go(c, lambda: c.send("telemetry", b"x" * size, 1) is not None)
    go(c, lambda: c.send("health", b"x" * size, 0) is not None)
answers(c)
Time.now += 30000
go(c, lambda: c.ping_took_ms is not None)
c.stop(Time.now)
"""
    )
    with ScriptedBroker(context=server_context(tmp_path, authority)) as broker:
        drive(broker, script)
        broker.wait_for(lambda packet: packet.name == "DISCONNECT")
    assert [packet.name for packet in broker.packets].count("PUBLISH") == 15
    assert len(broker.reads) == len(broker.packets)


def test_payload_is_written_into_the_packet() -> None:
    """`begin` hands out the packet itself: what is appended to it arrives as the payload, whatever
    its length, and nothing is sent of what is not finished.
    """
    script = """
c = client(window=4)
print(c.begin(b"a", 1))
up(c)
packet = c.begin(b"given up", 1)
packet += b"half of" * 1000
for size in (0, 1, 100, 116, 117, 118, 119, 2000, 20000, 3):
    packet = c.begin(b"in/place", 1, True)
    for _ in range(size):
        packet.append(120)
    print(packet is c._connection._begun, c.finish())
    go(c, lambda: c.room() and not c._connection._in_flight)
packet = c.begin(b"again", 1, False, 7)
packet += b"!"
print(c.finish(), c.begin(b"none", 0) is None)
go(c, lambda: not c._connection._in_flight)
c.max_qos = 0
packet = c.begin(b"none", 1, False, 9)
print(c.finish())
answers_0 = c.send("mark", b"", 0)
c.stop(Time.now)
down(c)
"""
    with ScriptedBroker() as broker:
        said = drive(broker, script)
    assert said == ["None", *[f"True {n}" for n in range(2, 12)], "7 False", "0"]
    sent = broker.of("PUBLISH")
    sizes = (0, 1, 100, 116, 117, 118, 119, 2000, 20000, 3)
    assert [(p.topic, p.qos, p.retain, p.payload) for p in sent[:10]] == [
        ("in/place", 1, True, b"x" * size) for size in sizes
    ]
    assert [(p.topic, p.qos, p.dup, p.packet_id) for p in sent[10:]] == [
        ("again", 1, True, 7),
        ("none", 0, False, None),
        ("mark", 0, False, None),
    ]


def test_long_payload_keeps_no_heap() -> None:
    """The memory of a packet of 2 KB goes when it has gone; a short one's is kept for the next."""
    script = """
import gc
c = client()
up(c)
def heap():
    gc.collect()
    return gc.mem_alloc()
def publish(size):
    packet = c.begin(b"a", 1)
    for _ in range(size // 50):
        packet += fifty
    c.finish()
    go(c, lambda: not c._connection._in_flight)
fifty = b"x" * 50
publish(100)
short = heap()
publish(2000)
print(heap() - short < 500)
packet = c.begin(b"a", 1)
packet += b"given up" * 300
del packet
publish(100)
print(heap() - short < 500)
"""
    with ScriptedBroker() as broker:
        assert drive(broker, script) == ["True", "True"]


def test_packet_that_is_half_written_ends_the_connection_when_the_heap_is_full() -> None:
    """Without heap to remember what TLS has taken already, nothing may follow: it is `memory`."""
    script = """
import umqtt_tls
def full(packet):
    raise MemoryError
for begun in (False, True):
    c = client()
    up(c)
    write = c._transport.write
    written = []
    def half(packet):
        written.append(len(packet))
        return None if begun and len(written) == 1 else len(packet) // 2
    c._transport.write = half
    umqtt_tls.memoryview = full
    print(c.send("a", b"x" * 100, 0))
    down(c)
    print(*seen, len(written))
    del umqtt_tls.memoryview
"""
    with ScriptedBroker() as broker:
        said = drive(broker, script)
    assert said == ["0", "up 0 down memory 1", "0", "up 0 down memory 2"]


@pytest.mark.parametrize("tls", [False, True])
def test_nagle_is_off_once_up_and_not_before(tmp_path: Path, tls: bool) -> None:
    """The second packet of a window does not wait for the ACK of the first, which takes 40 ms.

    Until the broker has let the client in, it does: a refused certificate has to be told of first.
    """
    authority = Authority.new()
    (tmp_path / "ca.der").write_bytes(authority.identity.der())
    script = f"""
{tls_lines(tmp_path / "ca.der") if tls else "context = None"}
import ffi, socket, transport
getsockopt = ffi.open(None).func("i", "getsockopt", "iiiPP")
class Net:
    SOCK_STREAM = socket.SOCK_STREAM
    getaddrinfo = socket.getaddrinfo
    def socket(family):
        Net.made = socket.socket(family)
        return Net.made
transport.socket = Net
def nodelay():
    value, size = bytearray(4), bytearray(b"\\4\\0\\0\\0")
    assert getsockopt(Net.made.fileno(), 6, 1, value, size) == 0
    return value[0]
c = client(ssl=context)
c.start(Time.now)
go(c, lambda: c.state == "greeting")
print(nodelay())
go(c, lambda: c.state == "up")
print(nodelay())
"""
    with ScriptedBroker(context=server_context(tmp_path, authority) if tls else None) as broker:
        assert drive(broker, script) == ["0", "1"]


def test_packet_ids_wrap_and_skip_those_in_flight() -> None:
    """After 65535 comes 1, never 0, and an id that waits for its PUBACK is passed over."""
    script = """
c = client(window=3)
up(c)
print(c.send("a", b"held", 1))                    # 1 stays in flight
c.pid = 65533
print(c.send("a", b"", 1))
go(c, said("ack 65534"))
print(c.send("a", b"", 1))
go(c, said("ack 65535"))
print(c.send("a", b"", 1))
go(c, said("ack 2"))
c.subscribe("b", 1)
idle(c, 2)                                         # 3 is the SUBSCRIBE's, and stays unanswered
c.pid = 2
print(c.send("a", b"", 1))
"""

    def answer(packet: Packet) -> bytes | None:
        return b"" if packet.payload == b"held" or packet.name == "SUBSCRIBE" else None

    with ScriptedBroker(answer) as broker:
        assert drive(broker, script) == ["1", "65534", "65535", "2", "4"]


def test_what_has_come_is_a_reason_to_come_back() -> None:
    """A step in which a PUBACK has come asks for another turn at once, as the caller may have more
    to send; `due` tells when nothing is left to be done but to wait.
    """
    script = """
c = client(keepalive=60, window=1)
up(c)
idle(c)
print(c.step(Time.now), c.due - Time.now)
c.send("a", b"", 1)
print(c.due - Time.now)
turn = 1
while turn:
    c.wait(20000)
    turn = c.step(Time.now)
print(*seen, c.due - Time.now, c.unread, c.step(Time.now))
"""
    with ScriptedBroker() as broker:
        assert drive(broker, script) == ["30000 30000", "20000", "up 0 ack 1 30000 0 30000"]


def test_step_after_a_wait_that_has_seen_nothing_looks_at_nothing() -> None:
    """The socket is read where it may have something to say: `wait` says so or was not called, a
    deadline has come, or a packet did not go out whole, which is how a broken connection shows.
    """
    with ScriptedBroker() as broker:
        said = drive(
            broker,
            """
c = client()
up(c)
answers(c)
idle(c)
reads = []
readinto, write = c._transport.readinto, c._transport.write
c._transport.readinto = lambda space: reads.append(1) or readinto(space)
def looked(after=None):
    del reads[:]
    print(c.wait(0), end=" ")
    if after:
        after()
    c.step(Time.now)
    print(len(reads))
looked()
c.step(Time.now)
print("no wait", len(reads))
looked(lambda: setattr(Time, "now", c.due))
answers(c)
def broken(packet):
    c._transport.cause = "closed"
c._transport.write = broken
looked(lambda: c.send("t", b"", 1))
print(c.state, seen[-1])
""",
        )
    assert said == ["False 0", "no wait 1", "False 1", "False 0", "down down closed"]


def test_packet_id_of_a_subscription_is_passed_over() -> None:
    """While SUBACK is away, no message gets the id of its SUBSCRIBE; afterwards one does."""

    def answer(packet: Packet) -> bytes | None:
        if packet.name == "SUBSCRIBE":
            return b""
        if packet.topic == "answer":
            return puback(packet) + suback(broker.of("SUBSCRIBE")[0], 1)
        return None

    script = """
c = client()
c.subscribe("a", 1)
up(c)
for topic in ("first", "answer", "last"):
    c.pid = 65535
    packet_id = c.send(topic, b"", 1)
    print(packet_id)
    go(c, said("ack %d" % packet_id))
    seen.clear()
    idle(c)
"""
    with ScriptedBroker(answer) as broker:
        assert drive(broker, script) == ["2", "2", "1"]


@pytest.mark.parametrize("window", [1, 8, 32])
def test_window_is_never_exceeded(window: int) -> None:
    """QoS 1 stops when the window is full, QoS 0 passes, and each PUBACK makes room for one."""
    script = f"""
c = client(window={window})
up(c)
sent = [c.send("a", b"", 1) for _ in range(40)]
print(len([each for each in sent if each]), c.room(), c.send("a", b"", 0))
go(c, said("ack 1"))
print(len([each for each in [c.send("a", b"", 1) for _ in range(40)] if each]))
"""

    def answer(packet: Packet) -> bytes | None:
        if packet.name != "PUBLISH":
            return None
        # The one QoS 0 says that the window is full: acknowledge the first.
        return b"\x40\x02\x00\x01" if packet.qos == 0 else b""

    with ScriptedBroker(answer) as broker:
        assert drive(broker, script) == [f"{window} False 0", "1"]


def test_acknowledgements_come_in_any_order() -> None:
    """PUBACKs out of order, twice or for nothing are taken as they come and counted once."""
    held: list[Packet] = []

    def answer(packet: Packet) -> bytes | None:
        if packet.name != "PUBLISH":
            return None
        held.append(packet)
        if len(held) < 3:
            return b""
        return (
            b"".join(map(puback, [held[2], held[0], held[0]]))
            + b"\x40\x02\xff\xfe"
            + puback(held[1])
        )

    script = """
c = client()
up(c)
for _ in range(3):
    c.send("a", b"", 1)
go(c, said("ack 2"))
print(seen, c.state)
"""
    with ScriptedBroker(answer) as broker:
        assert drive(broker, script) == ["['up 0', 'ack 3', 'ack 1', 'ack 2'] up"]


def test_dup_is_set_for_a_packet_id_that_is_sent_again() -> None:
    """`send` with an old packet id sends DUP and that id, and counts it in the window."""
    script = """
c = client(window=1)
up(c)
print(c.send("a", b"once", 1))
c.abort()
up(c)
print(seen)
print(c.send("a", b"again", 1, False, 1), c.room())
go(c, said("ack 1"))
print(c.send("a", b"new", 1))
answers(c)
"""
    with ScriptedBroker(
        lambda packet: connack(present=packet.connection > 0) if packet.name == "CONNECT" else None
    ) as broker:
        assert drive(broker, script) == ["1", "['up 1']", "1 False", "2"]
    sent = [(p.payload, p.packet_id, p.dup) for p in broker.of("PUBLISH")[:3]]
    assert sent == [(b"once", 1, False), (b"again", 1, True), (b"new", 2, False)]


def test_session_present_counts_only_where_it_was_asked_for() -> None:
    """A broker that says "session present" to a clean session is not believed."""
    script = """
c = client()
c.clean_session = True
up(c)
print(seen)
"""
    with ScriptedBroker(lambda packet: connack(present=True)) as broker:
        assert drive(broker, script) == ["['up 0']"]


def test_refused_connects_have_names() -> None:
    """Each CONNACK code of MQTT 3.1.1 is a cause of its own, and another code is no MQTT."""
    script = """
c = client()
for _ in range(7):
    up(c)
    print(*seen)
"""
    with ScriptedBroker(
        lambda packet: connack((1, 2, 3, 4, 5, 6, 255)[packet.connection])
    ) as broker:
        assert drive(broker, script) == [
            "down protocol-version",
            "down client-id",
            "down unavailable",
            "down credentials",
            "down not-authorized",
            "down protocol",
            "down protocol",
        ]


def test_pings_at_half_the_keepalive() -> None:
    """After half a keepalive of silence a PINGREQ goes out, not a millisecond before, and once."""
    script = """
c = client(keepalive=60)
up(c)
Time.now += 29999
print(c.step(Time.now))
idle(c)
print(c.ping_took_ms)
Time.now += 1
go(c, lambda: c.ping_took_ms is not None)
print(c.ping_took_ms)
Time.now += 20000
answers(c)
Time.now += 29999
idle(c)
c.stop(Time.now)
"""
    with ScriptedBroker() as broker:
        assert drive(broker, script) == ["1", "None", "0"]
        broker.wait_for(lambda packet: packet.name == "DISCONNECT")
    assert len(broker.of("PINGREQ")) == 1


def test_pings_although_it_talks_when_nothing_comes_back() -> None:
    """QoS 0 alone proves nothing: a client that only speaks asks after half a keepalive too."""
    script = """
c = client(keepalive=60)
up(c)
for _ in range(3):
    Time.now += 10000
    c.send("a", b"", 0)
    idle(c, 3)
go(c, lambda: c.ping_took_ms is not None)
"""
    with ScriptedBroker() as broker:
        drive(broker, script)
    assert len(broker.of("PINGREQ")) == 1


def test_pings_although_it_hears_when_it_has_nothing_to_say() -> None:
    """The broker counts what it is sent: a client that only listens asks after half a keepalive,
    before it is taken for dead.
    """
    script = """
c = client(keepalive=60)
up(c)
for _ in range(3):
    Time.now += 10000
    heard = len(seen)
    go(c, lambda: len(seen) > heard)
go(c, lambda: c.ping_took_ms is not None)
"""

    def talk() -> None:
        with contextlib.suppress(OSError):  # the client has gone
            while not ended.wait(0.02):
                broker.send(publish("a", b"b"))

    def answer(packet: Packet) -> bytes | None:
        if packet.name != "CONNECT":
            return None
        broker.send(connack())  # nothing may come before that
        talking.start()
        return b""

    ended = threading.Event()
    talking = threading.Thread(target=talk, daemon=True)
    with ScriptedBroker(answer) as broker:
        drive(broker, script)
        ended.set()
        talking.join()
    assert len(broker.of("PINGREQ")) == 1


@pytest.mark.parametrize(
    ("lacking", "before", "cause"),
    [
        ("PINGREQ", "Time.now += 30000; idle(c)", "ping-timeout"),
        ("PUBLISH", 'c.send("a", b"", 1); idle(c)', "puback-timeout"),
        ("SUBSCRIBE", 'c.subscribe("a", 1); idle(c)', "suback-timeout"),
        ("UNSUBSCRIBE", 'c.unsubscribe("a"); idle(c)', "suback-timeout"),
    ],
)
def test_dead_link_is_noticed_by_what_stays_away(lacking: str, before: str, cause: str) -> None:
    """20 s without the PINGRESP, PUBACK or SUBACK that is due end the connection, 19.999 do not."""
    script = f"""
c = client()
up(c)
{before}
Time.now += 19999
idle(c)
print(c.state)
Time.now += 1
down(c)
print(*seen)
"""
    with silent_on(lacking) as broker:
        assert drive(broker, script) == ["up", f"up 0 down {cause}"]
    assert len(broker.of(lacking)) == 1


QUEUED = b"".join(publish("commands", b"%d" % n, 1, n) for n in range(1, 9))


@pytest.mark.parametrize(
    ("kind", "before"),
    [
        ("PINGREQ", "Time.now += 30000; c.step(Time.now)"),
        ("PUBLISH", 'c.send("a", b"", 1)'),
        ("SUBSCRIBE", 'c.subscribe("a", 1); c.step(Time.now)'),
    ],
)
def test_answer_that_lies_unread_has_come(kind: str, before: str) -> None:
    """Eight Commands that take the node 4 s each lie before an answer that is due within 20 s.

    Each has a step of its own, and its PUBACK has gone before the node begins with it.
    """
    script = f"""
c = client()
up(c)
def told(topic, payload, retained, dup):
    Time.now += 4000
    seen.append("%s %s" % (str(payload, "utf-8"), c.send("done", payload)))
c.on_message = told
{before}
c.wait(20000)
Time.now += 20000
counts = [len(seen)]
while c.step(Time.now) == 0 and len(counts) < 100:
    counts.append(len(seen))
print(c.state, *seen)
print(*counts)
"""

    def answer(packet: Packet) -> bytes | None:
        queued = packet.name == kind and packet.topic != "done"
        return QUEUED + default_answer(packet) if queued else None

    with ScriptedBroker(answer) as broker:
        said, counts = drive(broker, script)
        broker.wait_for(lambda packet: packet.payload == b"8")
    acked = ["ack 1"] if kind == "PUBLISH" else []
    assert said.split(" ", 3)[:3] == ["up", "up", "0"]
    assert said.split(" ", 3)[3] == " ".join([*(f"{n} 0" for n in range(1, 9)), *acked])
    assert counts.split()[:9] == [str(n) for n in range(1, 10)]
    order = [str(packet) for packet in broker.of("PUBACK", "PUBLISH") if packet.topic != "a"]
    assert order == [word for n in range(1, 9) for word in (f"PUBACK {n}", "PUBLISH done")]


def test_greeting_that_lies_unread_has_come() -> None:
    """CONNACK was there in time; the node was not."""
    script = """
c = client()
c.start(Time.now)
go(c, lambda: c.state == "greeting")
c.wait(20000)
Time.now += 60000
c.step(Time.now)
print(*seen)
"""
    with ScriptedBroker() as broker:
        assert drive(broker, script) == ["up 0"]


def test_umqtt_without_ssl_params_will_do(tmp_path: Path) -> None:
    """umqtt.simple 1.4 and 1.5 (firmware 1.23 and 1.24) take no ssl_params: the client keeps them.

    A copy of the index's umqtt stands for them whose constructor ends before that argument.
    """
    old = {path.name: path.read_text() for path in (umqtt_dir() / "umqtt").glob("*.py")}
    simple = re.sub(r",\s*ssl_params=\{\}", "", old["simple.py"])
    simple = simple.replace("self.ssl_params = ssl_params", "pass")
    assert simple.count("ssl_params") == 1  # in connect(), which is not called
    (tmp_path / "umqtt").mkdir()
    (tmp_path / "umqtt" / "simple.py").write_text(simple)
    (tmp_path / "umqtt" / "robust.py").write_text(old["robust.py"])
    script = """
c = client(ssl_params={"server_hostname": "other"})
print(c.ssl_params, c.port)
up(c)
print(*seen)
"""
    with ScriptedBroker() as broker:
        said = drive(broker, script, umqtt=tmp_path)
    assert said == [f"{{'server_hostname': 'other'}} {broker.port}", "up 0"]


def test_flood_does_not_put_deadlines_off() -> None:
    """A broker that sends without end, but no PUBACK, is left when the PUBACK is overdue, and does
    not lie behind what the buffers on the way may hold.
    """
    flood = publish("x", b"y" * 1000) * 400
    script = """
c = client()
up(c)
c.on_message = lambda *_: None
c.send("a", b"", 1)
c.wait(20000)
Time.now += 20000
steps = 0
while c.state == "up":
    steps += 1
    c.step(Time.now)
print(*seen, steps <= 251)
"""
    with ScriptedBroker(lambda packet: flood if packet.name == "PUBLISH" else None) as broker:
        assert drive(broker, script) == ["up 0 down puback-timeout True"]


def test_subscribes_at_every_connect() -> None:
    """SUBSCRIBE goes out at each connect, be the session present or not, with the QoS asked for."""
    script = """
c = client()
c.subscribe("first", 1)
c.subscribe("second", 2)
for _ in range(3):
    up(c)
    answers(c)
    c.abort()
"""
    with ScriptedBroker(
        lambda packet: connack(present=packet.connection == 2) if packet.name == "CONNECT" else None
    ) as broker:
        drive(broker, script)
    asked = [(p.connection, p.topic, p.qos) for p in broker.of("SUBSCRIBE")]
    assert asked == [(n, *each) for n in range(3) for each in (("first", 1), ("second", 2))]


def test_subscription_is_taken_back() -> None:
    """UNSUBSCRIBE goes out at once, what comes until UNSUBACK is heard, and the next connect
    subscribes to the others only; to this one again once that is asked for.
    """

    def answer(packet: Packet) -> bytes | None:
        if packet.name == "UNSUBSCRIBE":
            return publish("first", b"late") + unsuback(packet)
        return None

    script = """
c = client()
c.subscribe("first", 1)
c.subscribe("second", 1)
up(c)
c.unsubscribe("first")
answers(c)
print(*seen, len(c._subscriptions))
c.abort()
up(c)
answers(c)
c.subscribe("first", 0)
answers(c)
"""
    with ScriptedBroker(answer) as broker:
        assert drive(broker, script) == ["up 0 first late r0 d0 1"]
    asked = [(p.connection, p.name, p.topic) for p in broker.of("SUBSCRIBE", "UNSUBSCRIBE")]
    assert asked == [
        (0, "SUBSCRIBE", "first"),
        (0, "SUBSCRIBE", "second"),
        (0, "UNSUBSCRIBE", "first"),
        (1, "SUBSCRIBE", "second"),
        (1, "SUBSCRIBE", "first"),
    ]


@pytest.mark.parametrize("call", ['subscribe("a", 1)', 'unsubscribe("a")'])
def test_subscription_asked_for_ahead_of_a_puback_goes_out_at_once(call: str) -> None:
    """A PUBACK that is read between the call and the packet does not put the packet off to the
    next deadline: the message that follows would overtake it.
    """
    script = f"""
c = client()
up(c)
packet_id = c.send("first", b"", 1)
print(c.wait(60000))
c.{call}
c.step(Time.now)
print("ack %d" % packet_id in seen)
answers(c)
"""
    with ScriptedBroker() as broker:
        assert drive(broker, script) == ["True", "True"]
    sent = [p.topic for p in broker.of("PUBLISH", "SUBSCRIBE", "UNSUBSCRIBE")]
    assert sent == ["first", "a", "mark"]


@pytest.mark.parametrize("present", [True, False])
def test_session_that_is_kept_knows_of_no_subscription_that_was_taken_back(present: bool) -> None:
    """Where UNSUBACK has not come, or the client was not up, a kept session is asked at the next
    connect, and once; a new one has nothing to be taken back. The same for one of an earlier boot.
    """

    def answer(packet: Packet) -> bytes | None:
        if packet.name == "CONNECT":
            return connack(present=present and packet.connection > 0)
        return b"" if packet.name == "UNSUBSCRIBE" and packet.connection == 0 else None

    script = """
c = client()
c.subscribe("up", 1)
c.subscribe("down", 1)
up(c)
c.unsubscribe("up")
idle(c)
c.abort()
c.unsubscribe("down")
c.unsubscribe("never")
for _ in range(2):
    up(c)
    answers(c)
    c.abort()
print(len(c._subscriptions))
"""
    with ScriptedBroker(answer) as broker:
        assert drive(broker, script) == ["0"]
    asked = [(p.connection, p.topic) for p in broker.of("UNSUBSCRIBE")]
    again = [(1, "up"), (1, "down"), (1, "never")] if present else []
    assert asked == [(0, "up"), *again]
    assert {p.connection for p in broker.of("SUBSCRIBE")} == {0}


def test_subscription_is_taken_back_while_it_is_asked_for() -> None:
    """A SUBACK that comes for a topic that has been taken back since is no answer to that."""

    def answer(packet: Packet) -> bytes | None:
        if packet.name == "SUBSCRIBE":
            return b""
        if packet.name == "UNSUBSCRIBE":
            (asked,) = broker.of("SUBSCRIBE")
            return suback(asked, 1)
        return None

    script = """
c = client(keepalive=0)
c.subscribe("a", 1)
up(c)
c.unsubscribe("a")
answers(c)
Time.now += 20000
down(c)
print(*seen)
"""
    with ScriptedBroker(answer) as broker:
        assert drive(broker, script) == ["up 0 down suback-timeout"]


@pytest.mark.parametrize("code", [3, 0x80, 0x87])
def test_refused_subscription_is_counted_and_tried_again(code: int) -> None:
    """SUBACK 0x80 ends nothing: it is told, counted, and asked again a minute later until granted.

    Any other code that is no QoS means the same: MQTT 5 has some, and some brokers do not tell.
    """

    def answer(packet: Packet) -> bytes | None:
        if packet.name == "SUBSCRIBE" and len(broker.of("SUBSCRIBE")) < 3:
            return suback(packet, code)
        return None

    script = """
c = client(keepalive=0)
c.on_refused = lambda topic, code: print(topic, code)
c.subscribe("commands", 1)
up(c)
answers(c)
for _ in range(4):
    print(c.refused_subscriptions, c.state)
    Time.now += 59999
    answers(c)
    Time.now += 1
    answers(c)
"""
    with ScriptedBroker(answer) as broker:
        told = f"commands {code}"
        assert drive(broker, script) == [told, "1 up", told, "2 up", "2 up", "2 up"]
    assert len(broker.of("SUBSCRIBE")) == 3


@pytest.mark.parametrize(("qos", "answer"), [(0, None), (1, "PUBACK"), (2, "PUBREC")])
def test_oversized_publish_is_skipped_and_the_connection_lives(
    qos: int, answer: str | None
) -> None:
    """A PUBLISH over `max_packet` is acknowledged and counted, and its front told; the next one
    arrives.
    """
    script = """
c = client(max_packet=512)
c.on_oversized = lambda topic, front, retained, dup: print(
    topic, len(front), front[:1], retained, dup)
up(c)
go(c, said("a small r0 d0"))
print(c.oversized, seen, c.state)
answers(c)
"""
    with after_connect(
        publish("a", b"x" * 100_000, qos, 7),
        publish("a", b"y" * 509, 0),  # 4 bytes of it in front: one too many
        publish("a", b"small", 0),
    ) as broker:
        assert drive(broker, script) == [
            f"a {503 if qos else 505} b'x' False False",
            "a 506 b'y' False False",
            "2 ['up 0', 'a small r0 d0'] up",
        ]
    assert [(p.name, p.packet_id) for p in broker.of("PUBACK", "PUBREC")] == (
        [(answer, 7)] if answer else []
    )


def test_no_more_is_copied_than_max_payload() -> None:
    """Of a payload that is longer the front is told, of a topic that is longer nothing."""
    script = """
c = client(max_packet=512, max_payload=100)
c.on_oversized = lambda topic, front, retained, dup: print(len(topic), len(front), front[:1])
up(c)
go(c, said("a  r0 d0"))
print(c.oversized, [len(each) for each in seen[1:]], c.state)
"""
    with after_connect(
        publish("a" * 100, b"x" * 100, 1, 6),
        publish("a", b"y" * 101, 1, 7),
        publish("a" * 101, b"z", 1, 8),
        publish("a", b""),
    ) as broker:
        whole = len(" r0 d0") + 201
        assert drive(broker, script) == ["1 100 b'y'", "0 1 b'z'", f"2 [{whole}, 8] up"]
    assert [p.packet_id for p in broker.of("PUBACK")] == [6, 7, 8]


def test_publish_without_heap_for_it_is_oversized() -> None:
    """A PUBLISH that there is no heap for is acknowledged, counted and told; nothing is raised."""
    script = """
c = client()
def told(*what):
    print(*what)
    c._reader._view = memoryview(c._reader.buffer)
c.on_oversized = told
class Full:
    def __getitem__(self, which):
        raise MemoryError
packet = c._reader.packet
def once(count=0):
    first = packet(count)
    if first == 0x33:
        c._reader._view, c._reader.packet = Full(), packet
    return first
c._reader.packet = once
up(c)
go(c, lambda: c.oversized)
answers(c)
print(c.oversized, seen, c.state)
"""
    with after_connect(publish("a", b"x", 1, 7, flags=1)) as broker:
        assert drive(broker, script) == [" None True False", "1 ['up 0'] up"]
    assert [p.packet_id for p in broker.of("PUBACK")] == [7]


def test_publish_that_just_fits_is_taken() -> None:
    """A PUBLISH of exactly `max_packet` bytes is delivered."""
    script = """
c = client(max_packet=512)
up(c)
go(c, lambda: len(seen) == 2)
print(c.oversized, len(seen[1]))
"""
    with after_connect(publish("a", b"y" * 506)) as broker:
        assert drive(broker, script) == [f"0 {len('a  r0 d0') + 506}"]


def test_qos_2_is_received_once() -> None:
    """A QoS 2 PUBLISH that comes again before its PUBREL, even over a reconnect, is one message."""
    two = publish("a", b"two", 2, 5)
    again = publish("a", b"two", 2, 5, flags=8)

    def answer(packet: Packet) -> bytes | None:
        if packet.name == "CONNECT":
            return greeted(two, again) if packet.connection == 0 else greeted(again, present=True)
        if packet.name == "PUBREC" and packet.connection == 0:
            return b""  # the PUBREL is left to the second connection
        if packet.name == "PUBCOMP" and len(broker.of("PUBCOMP")) == 1:
            return publish("a", b"new", 2, 5)
        return None

    script = """
c = client()
up(c)
answers(c)
print(seen)
c.abort()
up(c)
go(c, said("a new r0 d0"))
answers(c)
print(seen)
"""
    with ScriptedBroker(answer) as broker:
        assert drive(broker, script) == ["['up 0', 'a two r0 d0']", "['up 1', 'a new r0 d0']"]


def test_qos_2_ids_are_forgotten_with_the_session() -> None:
    """A broker without the session begins its ids anew: the same id is another message."""
    script = """
c = client()
for _ in range(2):
    up(c)
    go(c, said("a two r0 d0"))
    answers(c)
    c.abort()
print(*seen)
"""
    with ScriptedBroker(
        lambda packet: (
            greeted(publish("a", b"two", 2, 5))
            if packet.name == "CONNECT"
            else b""
            if packet.name == "PUBREC"
            else None
        )
    ) as broker:
        assert drive(broker, script) == ["up 0 a two r0 d0"]


def test_qos_1_is_acknowledged_with_its_flags() -> None:
    """A QoS 1 PUBLISH is acknowledged with its id, and the callback told of RETAIN and DUP."""
    script = """
c = client()
up(c)
go(c, lambda: len(seen) == 4)
print(seen[1:])
answers(c)
"""
    with after_connect(
        publish("a", b"1", 1, 300), publish("b", b"2", 1, 301, flags=9), publish("c", b"3", flags=1)
    ) as broker:
        assert drive(broker, script) == ["['a 1 r0 d0', 'b 2 r1 d1', 'c 3 r1 d0']"]
    assert [p.packet_id for p in broker.of("PUBACK")] == [300, 301]


def test_text_beyond_ascii_goes_both_ways() -> None:
    """Topics and payloads of str go out as UTF-8, lengths in bytes, and arrive as such."""
    script = """
c = client()
c.subscribe("grüße/#", 1)
up(c)
c.send("grüße/früh", "24,4 °C 🌡", 1)
go(c, said("grüße/spät 20 °C r0 d0"))
print(*seen)
"""

    def answer(packet: Packet) -> bytes | None:
        if packet.name == "PUBLISH":
            return puback(packet) + publish("grüße/spät", "20 °C".encode())
        return None

    with ScriptedBroker(answer) as broker:
        assert drive(broker, script) == ["up 0 ack 2 grüße/spät 20 °C r0 d0"]
    (sent,) = broker.of("PUBLISH")
    assert (sent.topic, sent.payload.decode()) == ("grüße/früh", "24,4 °C 🌡")
    assert broker.of("SUBSCRIBE")[0].topic == "grüße/#"


def test_packets_that_come_in_pieces_are_put_together() -> None:
    """However the bytes are cut, each packet is handled once and whole."""
    stream = b"".join(publish("a", b"%d" % n, n % 2, n + 1) for n in range(40))
    pieces: list[bytes] = []
    while stream:
        size = 1 + len(pieces) % 11  # so that cuts fall on every byte of a packet
        pieces.append(stream[:size])
        stream = stream[size:]

    def answer(packet: Packet) -> bytes | None:
        return pieces[int(packet.payload)] if packet.name == "PUBLISH" else None

    script = f"""
c = client()
up(c)
for n in range({len(pieces)}):
    while c.send("next", b"%d" % n, 0) is None:
        idle(c, 1)
    idle(c, 2)
go(c, lambda: len(seen) == 41)
print(seen[1:] == ["a %d r0 d0" % i for i in range(40)])
"""
    with ScriptedBroker(answer) as broker:
        assert drive(broker, script) == ["True"]


def test_nothing_is_lost_under_a_slow_reader(tmp_path: Path) -> None:
    """Payloads far larger than what TCP takes at once arrive whole, in order, over TLS too."""
    authority = Authority.new()
    (tmp_path / "ca.der").write_bytes(authority.identity.der())
    script = (
        tls_lines(tmp_path / "ca.der")
        + """
c = client(ssl=context)
up(c)
waits = 0
write = c._transport.write
def counting(data):
    global waits
    taken = write(data)
    waits += taken is None
    return taken
c._transport.write = counting
for each in range(6):
    payload = bytes([each, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]) * 160000
    go(c, lambda: c.send("big", payload, 1) is not None)
go(c, said("ack 6"))
print(waits > 0)
"""
    )
    context = server_context(tmp_path, authority)
    with ScriptedBroker(context=context, read_size=2048) as broker:
        assert drive(broker, script, heap="32m") == ["True"]
    sent = [packet.payload for packet in broker.of("PUBLISH")]
    assert sent == [bytes([n, *range(1, 11)]) * 160_000 for n in range(6)]


def test_stop_disconnects_and_abort_does_not() -> None:
    """`stop` says DISCONNECT, so that the will is dropped; `abort` closes without a word."""
    script = """
c = client()
up(c)
c.stop(Time.now)
print(seen, c.state, c.send("a", b"", 1))
down(c)
up(c)
c.abort()
print(seen, c.state)
up(c)
answers(c)
"""
    with ScriptedBroker() as broker:
        assert drive(broker, script) == ["['up 0'] leaving None", "['up 0'] down"]
    assert [(p.connection, p.name) for p in broker.of("DISCONNECT")] == [(0, "DISCONNECT")]


def test_close_by_the_broker_is_told_once() -> None:
    """A connection that the broker closes is told once, with the cause `closed`."""

    def answer(packet: Packet) -> bytes | None:
        if packet.name == "PUBLISH":
            raise Closed
        return None

    script = """
c = client()
up(c)
c.send("a", b"", 1)
down(c)
idle(c)
print(seen)
"""
    with ScriptedBroker(answer) as broker:
        assert drive(broker, script) == ["['up 0', 'down closed']"]


def test_callback_may_stop_the_client() -> None:
    """`stop` and `abort` from within a callback end the connection and leave nothing behind."""
    script = """
for how in ("stop", "abort"):
    c = client()
    c.on_message = lambda *_: c.stop(Time.now) if how == "stop" else c.abort()
    up(c)
    down(c)
    idle(c)
    print(seen, c.state)
    c.on_message = lambda *_: seen.append("heard")
    up(c)
    go(c, lambda: seen.count("heard") == 2)
    c.abort()
"""
    with after_connect(publish("a", b""), publish("a", b"")) as broker:
        assert drive(broker, script) == ["['up 0'] down"] * 2


def test_callback_that_fails_does_not_get_the_message_again() -> None:
    """An exception of the caller's own leaves `step`; the next one goes on behind the message."""
    script = """
c = client()
def fail(topic, payload, retained, dup):
    seen.append(str(payload, "utf-8"))
    raise KeyError("a bug")
c.on_message = fail
c.start(Time.now)
bugs = 0
while bugs < 3:
    try:
        c.step(Time.now)
        c.wait(10)
    except KeyError:
        bugs += 1
print(seen, c.state)
answers(c)
"""
    with after_connect(*(publish("a", b"%d" % n, 1, n) for n in (1, 2, 3))) as broker:
        assert drive(broker, script) == ["['up 0', '1', '2', '3'] up"]
    assert [p.packet_id for p in broker.of("PUBACK")] == [1, 2, 3]


def test_default_answers_are_mqtt() -> None:
    """The scripted broker itself: what it answers by default is what MQTT 3.1.1 lays down."""
    packet = Packet(0, "PUBLISH", qos=1, packet_id=0x1234)
    assert default_answer(packet) == struct.pack(">BBH", 0x40, 2, 0x1234)
    assert publish("a", b"x" * 126, 1, 2)[:7] == b"\x32\x83\x01\x00\x01a\x00"


def test_message_and_its_acknowledgement_allocate_nothing() -> None:
    """From `send` to `on_ack` the heap is left alone, whatever the payload's length below 256."""
    script = """
import gc
class Echo:
    cause = packet_id = None
    def write(self, packet):
        self.packet_id = packet[5] << 8 | packet[6] if packet[0] == 0x32 else None
        return len(packet)
    def readinto(self, space):
        packet_id, self.packet_id = self.packet_id, None
        if packet_id is None:
            return None
        space[0] = 0x40
        space[1] = 2
        space[2] = packet_id >> 8
        space[3] = packet_id & 255
        return 4
acks = 0
def on_ack(packet_id):
    global acks
    acks += 1
c = client()
up(c)
c.on_ack = on_ack
c._transport.close()
c._transport = Echo()
payloads = [b"x" * size for size in (0, 40, 100)]
def publish():
    for payload in payloads:
        c.send(b"a", payload, 1)
        c.step(Time.now)
publish()
gc.collect()
gc.disable()
before = gc.mem_alloc()
for _ in range(50):
    publish()
print(gc.mem_alloc() - before, acks)
"""
    with ScriptedBroker() as broker:
        assert drive(broker, script) == ["0 153"]
