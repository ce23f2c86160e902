"""umqtt_simple and umqtt_robust against brokers that answer as they are told; and umqtt itself,
where that shows the difference.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from limpet.identity.authority import Authority
from limpet.node_host.umqtt import umqtt_dir
from limpet.shared.paths import CLIENTS
from support.brokers.codec import Packet, connack, puback, publish, suback
from support.brokers.scripted_broker import Closed, ScriptedBroker, default_answer, server_context
from support.micropython.client_script import tls_lines
from support.micropython.upy import run
from support.ports import closed_port

_RIG = """
import sys, time
from umqtt_{which} import MQTTClient, MQTTException

heard = []

def client(*args, **more):
    c = MQTTClient("node-1", "127.0.0.1", {port}, *args, **more)
    c.DEBUG = True
    c.DELAY = 0
    c.set_callback(lambda topic, msg: heard.append((topic, msg)))
    return c

def told(what, *args, **more):
    try:
        print(what(*args, **more))
    except (OSError, MQTTException) as error:
        print(type(error).__name__, *error.args[-1:])

"""


def play(broker: ScriptedBroker | int, which: str, script: str) -> list[str]:
    """Run `script` with umqtt_`which` against a broker or a port; return the lines it printed."""
    port = broker if isinstance(broker, int) else broker.port
    rig = _RIG.format(port=port, which=which)
    return run(rig + script, path=[CLIENTS, umqtt_dir()]).splitlines()


def silent_on(*names: str) -> ScriptedBroker:
    """Return a broker that never answers packets of these kinds."""
    return ScriptedBroker(lambda packet: b"" if packet.name in names else None)


def test_what_never_comes_has_a_deadline() -> None:
    """Each answer that stays away ends its call with ETIMEDOUT and the name of what was waited for,
    and each call after it, until the next connect().
    """
    script = """
import errno
c = client(answer_ms=300)
told(c.connect)
for each in ({call}, {call}):
    try:
        each()
    except OSError as error:
        print(error.errno == errno.ETIMEDOUT, error.args[1])
print(c.is_conn_issue(), c.sock)
told(c.connect)
c.disconnect()
"""
    for name, call, cause in (
        ("PUBLISH", 'lambda: c.publish("t", "m", qos=1)', "puback-timeout"),
        ("SUBSCRIBE", 'lambda: c.subscribe("t")', "suback-timeout"),
        ("UNSUBSCRIBE", 'lambda: c.unsubscribe("t")', "suback-timeout"),
        ("PINGREQ", "lambda: (c.ping(), c.wait_msg())", "ping-timeout"),
    ):
        with silent_on(name) as broker:
            said = play(broker, "simple", script.format(call=call))
        assert said == ["0", *[f"True {cause}"] * 2, "True None", "0"], name


def test_connect_has_deadlines(mute: int, full: int) -> None:
    """So has each part of connect(); `timeout` is for all of it."""
    script = """
c = client(answer_ms=200)
told(c.connect)
told(c.connect, timeout=0.1)
told(c.connect, False, 0.1)
"""
    assert play(mute, "simple", script) == ["OSError connack-timeout"] * 3
    assert play(full, "simple", script) == ["OSError tcp-timeout"] * 3
    assert play(closed_port(), "simple", script) == ["OSError tcp-refused"] * 3


def test_tls_has_a_deadline(mute: int, ca: Path) -> None:
    """So has a handshake that nobody answers."""
    script = tls_lines(ca) + "told(client(ssl=context, handshake_ms=300).connect)"
    assert play(mute, "simple", script) == ["OSError tls-timeout"]


def test_before_connect_there_is_a_name_for_it() -> None:
    """Who has not connected is told so; so is whoever has said goodbye."""
    script = """
c = client()
for each in (c.ping, c.wait_msg, c.check_msg, lambda: c.publish("t", "m")):
    told(each)
c.disconnect()
told(c.connect)
c.disconnect()
c.disconnect()
told(c.ping)
print(c.is_conn_issue(), c.last_will)
c.set_last_will("will", "bye", qos=1)
print(c.last_will)
"""
    with ScriptedBroker() as broker:
        said = play(broker, "simple", script)
    assert said == [*["OSError down"] * 4, "0", "OSError down", "True None", *said[-1:]]
    assert said[-1] == "('will', 'bye', False, 1)"


def test_refusals_are_umqtts_exception() -> None:
    """CONNACK's and SUBACK's codes come as MQTTException, which is umqtt's own."""
    codes = [5, 2]

    def answer(packet: Packet) -> bytes | None:
        if packet.name == "CONNECT" and codes:
            return connack(codes.pop())
        return suback(packet, 0x80) if packet.topic == "secret" else None

    script = """
from umqtt import simple
print(MQTTException is simple.MQTTException)
c = client()
told(c.connect)
told(c.connect)
told(c.publish, "t", "m")
told(c.connect)
told(c.subscribe, "secret")
told(c.subscribe, "open")
c.disconnect()
told(c.connect)
c.publish("t", "m", qos=1)
"""
    with ScriptedBroker(answer) as broker:
        said = play(broker, "simple", script)
        asked = [packet.topic for packet in broker.of("SUBSCRIBE")]
    assert said == [
        *("True", "MQTTException 2", "MQTTException 5", "OSError not-authorized", "0"),
        *("MQTTException 128", "None", "0"),
    ]
    assert asked == ["secret", "open", "open"], "a refused one is not asked for again"


def test_connect_goes_by_what_is_set_then() -> None:
    """As in umqtt, attributes that are changed between two connects count; no user is none."""
    script = """
c = client(user="", keepalive=30)
c.connect()
c.user, c.pswd, c.keepalive = "me", "secret", 77
c.set_last_will(b"will", b"bye", True, 1)
c.connect(False)
c.disconnect()
"""
    with ScriptedBroker() as broker:
        play(broker, "robust", script)
        first, second = (packet.connect for packet in broker.of("CONNECT"))
    assert (first["username"], first["keepalive"], first["will"]) == (None, 30, None)
    assert first["clean_session"]
    assert not second["clean_session"]
    assert (second["username"], second["password"]) == (b"me", b"secret")
    assert (second["keepalive"], second["will"]) == (77, b"bye")
    assert (second["will_retain"], second["will_qos"]) == (True, 1)


def test_callbacks_may_do_everything() -> None:
    """A callback that publishes with QoS 1, subscribes and pings does so within the call that has
    handed the message over; none is lost, whatever comes meanwhile.
    """

    def answer(packet: Packet) -> bytes | None:
        if packet.topic == "in":
            return suback(packet, 1) + b"".join(
                publish("in", b"%d" % n, 1, n + 1) for n in range(9)
            )
        if packet.topic == "0":
            return publish("in", b"late", 2, 77) + puback(packet)
        return None

    script = """
def answered(topic, msg):
    print(topic, msg)
    c.publish(msg, b"got it", qos=1)
    if msg == b"3":
        c.subscribe("more")
        c.ping()

c = client()
c.set_callback(answered)
c.connect()
c.subscribe("in", 1)
while c.check_msg() is not None:
    pass
c.disconnect()
"""
    with ScriptedBroker(answer) as broker:
        said = play(broker, "simple", script)
        sent = [packet.topic for packet in broker.of("PUBLISH")]
        acknowledged = [packet.packet_id for packet in broker.of("PUBACK")]
    assert sorted(said) == sorted([*(f"b'in' b'{n}'" for n in range(9)), "b'in' b'late'"])
    assert sorted(sent) == sorted([*map(str, range(9)), "late"])
    assert acknowledged == list(range(1, 10))


def test_long_messages_are_taken() -> None:
    """What is longer than the first buffer is taken whole, up to max_packet; what is longer than
    that is counted, and what follows comes.
    """
    sizes = [0, 400, 511, 512, 513, 3000, 16000, 100, 20000, 5]
    packets = b"".join(publish("t", b"x" * size, 1, n + 1) for n, size in enumerate(sizes))

    def answer(packet: Packet) -> bytes | None:
        return suback(packet, 1) + packets if packet.name == "SUBSCRIBE" else None

    script = """
c = client()
c.connect()
c.subscribe("t", 1)
while len(heard) < 9:
    c.wait_msg()
print([len(msg) for topic, msg in heard], c.oversized)
c.connect()
print(len(c._line._reader.buffer))
"""
    with ScriptedBroker(answer) as broker:
        said = play(broker, "simple", script)
    assert said == [str([size for size in sizes if size != 20000]) + " 1", "256"]


def test_ping_keeps_a_silent_wait_alive() -> None:
    """With keepalive, wait_msg() pings by itself; an answer to the program's own ping ends it."""
    script = """
c = client(keepalive=1)
c.connect()
c.subscribe("t")
print(c.wait_msg())
c.ping()
print(c.wait_msg())
"""

    def answer(packet: Packet) -> bytes | None:
        if packet.name == "PINGREQ" and len(broker.of("PINGREQ")) == 3:
            return default_answer(packet) + publish("t", b"now")
        return None

    with ScriptedBroker(answer) as broker:
        assert play(broker, "robust", script) == ["48", "None"]


def test_ssl_as_umqtt_took_it(tmp_path: Path, authority: Authority, ca: Path) -> None:
    """ssl=True with ssl_params: with cadata the server is verified, without it a word is said; an
    SSLContext is taken as it is; a parameter that wrap_socket() does not know is a TypeError.
    """
    script = f"""
cadata = open({str(ca)!r}, "rb").read()
for params in (
    {{}},
    {{"server_hostname": "127.0.0.1", "cert_reqs": 0}},
    {{"cadata": cadata}},
    {{"cadata": cadata, "server_hostname": "elsewhere.example"}},
):
    c = client(user="me", password="secret", keepalive=60, ssl=True, ssl_params=params)
    told(c.connect)
    if not c.is_conn_issue():
        c.publish("t", "m")
        c.disconnect()
import tls
c = client(ssl=tls.SSLContext(tls.PROTOCOL_TLS_CLIENT))
c.ssl.load_verify_locations(cadata)
told(c.connect)
try:
    client(ssl=True, ssl_params={{"cafile": "x"}}).connect()
except TypeError as error:
    print(error)
"""
    with ScriptedBroker(context=server_context(tmp_path, authority)) as broker:
        said = play(broker, "simple", script)
    warned = "mqtt: TLS without cadata in ssl_params: anybody may pass for the broker"
    assert said == [
        *(warned, "0", warned, "0", "0", "OSError certificate-name", "0"),
        "ssl_params knows no cafile",
    ]


def test_robust_sends_again_until_acknowledged() -> None:
    """A PUBACK that the end of the connection has swallowed: the message goes out again, with the
    same id and DUP where the session is there, as a new one where it is not.
    """
    for present in (True, False):
        closes = [1, 1]

        def answer(packet: Packet, present: bool = present, closes: list[int] = closes) -> bytes:
            if packet.name == "PUBLISH" and closes:
                closes.pop()
                raise Closed
            return connack(present=present) if packet.name == "CONNECT" else default_answer(packet)

        script = """
c = client()
c.connect(False)
told(c.publish, "t", "m", False, 1)
"""
        with ScriptedBroker(answer) as broker:
            said = play(broker, "robust", script)
            sent = [(packet.packet_id, packet.dup) for packet in broker.of("PUBLISH")]
        assert said == [*["mqtt: OSError(104, 'closed')"] * 2, "None"]
        wanted = [(1, False), (1, True), (1, True)] if present else [(n, False) for n in (1, 2, 3)]
        assert sent == wanted


def test_umqtt_robust_loses_that_message() -> None:
    """The same program with umqtt.robust: it connects again and waits for ever for the PUBACK of
    what it does not send again.
    """
    closes = [1]

    def answer(packet: Packet) -> bytes | None:
        if packet.name == "PUBLISH" and closes:
            closes.pop()
            raise Closed
        if packet.name == "CONNECT" and not closes:
            # So that it ends: PUBACK's place is taken by what no umqtt survives.
            return connack() + b"\x90\x03\x00\x01"
        return None

    script = """
from umqtt.robust import MQTTClient
c = MQTTClient("node-1", "127.0.0.1", PORT)
c.DELAY = 0
c.connect(False)
c.sock.setblocking(True)
c.publish("t", "m", False, 1)
"""
    with ScriptedBroker(answer) as broker:
        run(
            f"PORT = {broker.port}\n"
            + script.replace(
                "c.publish", "import _thread\n_thread.start_new_thread(c.publish, "
            ).replace('("t", "m", False, 1)', '("t", "m", False, 1))')
            + "import time\ntime.sleep(1)\n",
            path=[CLIENTS, umqtt_dir()],
        )
        sent = len(broker.of("PUBLISH"))
        assert len(broker.of("CONNECT")) == 2
    assert sent == 1, "it was sent once, and never acknowledged"


def test_robust_survives_what_a_broker_does() -> None:
    """Refused, thrown out, answered with nonsense, let in and dropped: each try is followed by the
    next, subscriptions come back, and the message is delivered in the end.
    """
    ends = [b"\x20\x02\x00\x03", b"\0garbage", b"\x20\x02", b"", connack() + b"\x40", connack()]

    def answer(packet: Packet) -> bytes | None:
        if packet.name == "CONNECT" and packet.connection and ends:
            said = ends.pop()
            if said == connack():
                return said
            broker.send(said)
            raise Closed
        if packet.name == "PUBLISH" and packet.connection < 6:
            raise Closed
        return None

    script = """
c = client()
c.connect()
c.subscribe("t", 1)
c.publish("t", "m", False, 1)
print("delivered")
"""
    with ScriptedBroker(answer) as broker:
        said = play(broker, "robust", script)
        broker.wait_for(lambda packet: packet.name == "SUBSCRIBE" and packet.connection == 7)
    assert said[-1] == "delivered"
    assert any("MQTTException(3" in line for line in said)
    assert not ends


def test_robust_is_umqtts_to_override() -> None:
    """delay() gets the number of the try and may end it by raising; log() gets every error; what
    connect() raises the first time is the program's.
    """
    script = """
class Mine(MQTTClient):
    def delay(self, i):
        print("delay", i)
        if i == 3:
            raise KeyboardInterrupt

    def log(self, in_reconnect, e):
        print("log", in_reconnect, e.args[1])

c = Mine("node-1", "127.0.0.1", PORT)
told(c.connect)
try:
    c.publish("t", "m")
except KeyboardInterrupt:
    print("ended")
c.disconnect()
"""
    port = closed_port()
    assert play(port, "robust", f"PORT = {port}\n" + script) == [
        *("OSError tcp-refused", "log False tcp-refused"),
        *("log True tcp-refused", "delay 1") * 1,
        *("log True tcp-refused", "delay 2"),
        *("log True tcp-refused", "delay 3"),
        "ended",
    ]


def test_robust_waits_longer_each_time() -> None:
    """Between two tries it waits at random: up to DELAY at first, up to a minute in the end; and a
    connection that nothing comes of counts as one more that failed.
    """
    script = """
import umqtt_robust
slept = []

class Time:
    sleep_ms = slept.append

umqtt_robust.time = Time
c = client()
c.DELAY = 2
for i in range(1, 30):
    for _ in range(40):
        c.delay(i)
    print(min(slept) >= 0 and max(slept), end=" ")
    slept.clear()
print()
"""
    (line,) = play(1, "robust", script)
    longest = [int(each) for each in line.split()]
    assert all(each < min(60000, 2000 << n) for n, each in enumerate(longest))
    assert longest[0] > 500
    assert max(longest) > 30000


def test_connect_of_a_subclass_that_publishes_does_not_recurse() -> None:
    """An overriding connect() that publishes, at a broker that lets nobody in for a while: each try
    is one call deep.
    """

    def answer(packet: Packet) -> bytes | None:
        if packet.name == "CONNECT" and 0 < packet.connection < 60:
            raise Closed
        if packet.name == "PUBLISH" and packet.topic == "t" and packet.connection == 0:
            raise Closed
        return None

    script = """
class Mine(MQTTClient):
    def connect(self, clean_session=True):
        try:
            return super().connect(clean_session)
        finally:
            self.publish("status", "online")

c = Mine("node-1", "127.0.0.1", PORT)
c.DELAY = 0
c.connect()
c.publish("t", "m", False, 1)
print("delivered")
c.disconnect()
"""
    with ScriptedBroker(answer) as broker:
        assert play(broker, "robust", f"PORT = {broker.port}\n" + script) == ["delivered"]
        assert [p.topic for p in broker.of("PUBLISH")] == ["status", "t", "status", "t"]


@pytest.mark.parametrize("qos", [0, 1])
def test_closed_meanwhile_is_seen_before_publishing(qos: int) -> None:
    """Where the broker has closed while the program slept, nothing is written into the void: QoS 0
    arrives, too, by the next connection.
    """
    script = f"""
c = client()
c.connect()
c.subscribe("t")
time.sleep_ms(300)
c.publish("t", "m", False, {qos})
c.disconnect()
"""

    def answer(packet: Packet) -> bytes | None:
        if packet.name == "SUBSCRIBE" and packet.connection == 0:
            broker.send(suback(packet, 0))
            raise Closed
        return None

    with ScriptedBroker(answer) as broker:
        play(broker, "robust", script)
        broker.wait_for(lambda packet: packet.name == "DISCONNECT")
        assert [packet.connection for packet in broker.of("PUBLISH")] == [1]
