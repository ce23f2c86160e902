"""The asyncio client, under both Pythons, against brokers that answer as they are told."""

from __future__ import annotations

from pathlib import Path

import pytest
from limpet.identity.authority import Authority
from support.brokers.codec import Packet, connack, puback, publish, suback
from support.brokers.scripted_broker import Closed, ScriptedBroker, default_answer, server_context
from support.micropython.both_ways import PYTHONS, said
from support.ports import closed_port

both = pytest.mark.parametrize("python", PYTHONS)


def client(port: int | ScriptedBroker, more: str = "") -> str:
    """The line that opens a client."""
    number = port if isinstance(port, int) else port.port
    return f'async with Client("node-1", "127.0.0.1", {number}, backoff=soon(), {more}) as client:'


@both
def test_the_whole_of_it(python: str, tmp_path: Path, authority: Authority, ca: Path) -> None:
    """Over TLS: subscribe, publish with either QoS, unsubscribe, say goodbye; a will, if asked."""
    with ScriptedBroker(context=server_context(tmp_path, authority)) as broker:
        script = f"""
async def main():
    context = tls_context(der("ca"))
    {client(broker, 'ssl=context, will=("will", "bye", 1, True), keepalive=77')}
        say(client.state, client.up.is_set(), client.down.is_set())
        await client.up.wait()
        say(client.state, client.up.is_set(), client.down.is_set(), client.present)
        await client.subscribe("käse/+", 1)
        await client.publish("käse/1", "grün", 1)
        await client.publish(b"b", bytes(3), retain=True)
        await client.publish("c", b"x" * 2000, 1, True)
        await client.unsubscribe("käse/+")
    say(client.state, client.down.is_set())
"""
        assert said(python, script, tmp_path) == [
            "down False True",
            "up True False False",
            "down True",
        ]
        packets = [str(packet) for packet in broker.packets]
        (connect,) = broker.of("CONNECT")
        broker.wait_for(lambda packet: packet.name == "DISCONNECT")
    assert packets == [
        *("CONNECT", "SUBSCRIBE 1 käse/+", "PUBLISH 2 käse/1", "PUBLISH b r", "PUBLISH 3 c r"),
        *("UNSUBSCRIBE 4 käse/+", "DISCONNECT"),
    ]
    assert connect.connect["keepalive"] == 77
    assert (connect.connect["will"], connect.connect["will_retain"]) == (b"bye", True)
    assert len(broker.reads) == len(packets), "one packet is one TLS record"


@both
def test_what_is_awaited_is_waited_for_through_outages(python: str, tmp_path: Path) -> None:
    """Refused, cut off, answered with nonsense: each is a state, a cause and another try; what was
    in flight goes out again in the same order, with its ids and DUP where the session is there.
    """
    # In the order of the connections.
    ends = [b"", connack(3), connack(), b"\0garbage", connack(present=True)]
    seen = 0

    def answer(packet: Packet) -> bytes | None:
        nonlocal seen
        if packet.name == "CONNECT":
            said = ends.pop(0)
            if not said or said == connack(3):
                broker.send(said)
                raise Closed
            return said
        if packet.name == "PUBLISH" and len(ends) == 2:
            seen += 1
            if seen == 4:
                raise Closed
            return b""
        return None

    with ScriptedBroker(answer) as broker:
        script = f"""
async def watch(client):
    for _ in range(2):
        await client.up.wait()
        say("up")
        await client.down.wait()
        say("down", client.cause)

async def main():
    {client(broker, "window=4")}
        watching = asyncio.create_task(watch(client))
        await asyncio.gather(*[client.publish("t", str(n), 1) for n in range(6)])
        say("all", client.present)
        watching.cancel()
"""
        assert said(python, script, tmp_path) == ["up", "down closed", "up", "all True"]
        sent = [(p.payload, p.packet_id, p.dup) for p in broker.of("PUBLISH")]
    assert sent == [
        *((b"%d" % n, n + 1, False) for n in range(4)),
        *((b"%d" % n, n + 1, True) for n in range(4)),
        *((b"%d" % n, n + 1, False) for n in (4, 5)),
    ]


@both
def test_no_answer_ends_the_connection(python: str, tmp_path: Path) -> None:
    """An answer that stays away is a cause, and the next connection gets the message."""

    def answer(packet: Packet) -> bytes | None:
        silent = packet.connection == 0 and packet.name == "PUBLISH"
        return b"" if silent else None

    with ScriptedBroker(answer) as broker:
        script = f"""
async def main():
    {client(broker, "answer_ms=300")}
        await client.publish("t", "1", 1)
        say(client.cause)
"""
        assert said(python, script, tmp_path) == ["puback-timeout"]
        assert [packet.connection for packet in broker.of("PUBLISH")] == [0, 1]


@both
def test_refused_subscription_is_an_error(python: str, tmp_path: Path) -> None:
    """OSError, EACCES; it is not asked for again, and others are made at the next connect."""

    def answer(packet: Packet) -> bytes | None:
        if packet.name == "PUBLISH" and packet.connection == 0:
            raise Closed
        return suback(packet, 0x80) if packet.topic == "secret" else None

    with ScriptedBroker(answer) as broker:
        script = f"""
import errno
async def main():
    {client(broker)}
        try:
            await client.subscribe("secret", 1)
        except OSError as error:
            say(error.args[0] == errno.EACCES, error.args[1])
        await client.subscribe("open")
        await client.subscribe("open", 1)
        await client.subscribe("gone")
        await client.unsubscribe("gone")
        await client.publish("t", "1", 1)
"""
        assert said(python, script, tmp_path) == ["True refused"]
        broker.wait_for(lambda packet: packet.name == "DISCONNECT")
        asked = [(p.connection, p.topic, p.qos) for p in broker.of("SUBSCRIBE")]
    assert asked == [
        (0, "secret", 1),
        (0, "open", 0),
        (0, "open", 1),
        (0, "gone", 0),
        (1, "open", 1),
    ]


@both
def test_queue_drops_the_oldest_and_says_so(python: str, tmp_path: Path) -> None:
    """What is not taken in time makes room for what is newer: it is counted, and told."""

    def answer(packet: Packet) -> bytes | None:
        if packet.name == "SUBSCRIBE":
            many = [publish("t", b"%d" % n, n % 3, n + 1, flags=n == 9) for n in range(10)]
            return suback(packet, 2) + b"".join(many)
        return None

    with ScriptedBroker(answer) as broker:
        script = f"""
async def main():
    {client(broker, 'queue=4, on_dropped=lambda topic, payload: say("dropped", topic, payload)')}
        await client.subscribe("t", 2)
        for _ in range(1000):
            await sleep_ms(5)
            if client.dropped == 6:
                break
        async for topic, payload, retained in client:
            say(topic, payload, retained)
            if retained:
                break
        say(client.dropped)
"""
        lines = said(python, script, tmp_path)
    assert lines == [
        *(f"dropped t b'{n}'" for n in range(6)),
        *(f"t b'{n}' {n == 9}" for n in range(6, 10)),
        "6",
    ]


@both
def test_who_gives_up_is_let_go(python: str, tmp_path: Path) -> None:
    """A publish that is cancelled is not sent later; one that is on its way is not sent again; the
    end of the client ends all that is awaited.
    """

    def answer(packet: Packet) -> bytes | None:
        if packet.name == "PUBLISH" and packet.payload == b"lost":
            return b""
        return None

    with ScriptedBroker(answer) as broker:
        script = f"""
async def tried(what):
    try:
        await asyncio.wait_for(what, 0.3)
    except asyncio.TimeoutError:
        say("given up")

async def hangs(what):
    try:
        await what
    except OSError as error:
        say(error.args[1])

async def listens(client):
    async for _ in client:
        pass
    say("end of messages")

async def main():
    {client(closed_port())}
        await tried(client.publish("t", "never", 1))
        await tried(client.publish("t", "never"))
        await tried(client.subscribe("never"))
        say(len(client._messages), len(client._asked))
    {client(broker, "window=2")}
        await tried(client.publish("t", "lost", 1))
        waiting = [asyncio.create_task(listens(client)),
                   asyncio.create_task(hangs(client.publish("t", "lost", 1)))]
        await client.publish("t", "arrives")
        await sleep_ms(50)
    for each in waiting:
        await each
    await hangs(client.publish("t", "late"))
"""
        lines = said(python, script, tmp_path)
        sent = [p.payload for p in broker.of("PUBLISH")]
    assert lines[:4] == [*["given up"] * 3, "0 0"]
    assert lines[4:5] == ["given up"]
    assert sorted(lines[5:7]) == ["closed", "end of messages"]
    assert lines[7:] == ["closed"]
    assert sorted(sent) == [b"arrives", b"lost", b"lost"]


@both
def test_before_is_awaited_before_each_try(python: str, tmp_path: Path) -> None:
    """Wi-Fi can be seen to there: an OSError is a try that failed, and anything else ends all."""

    def answer(packet: Packet) -> bytes | None:
        if packet.name == "PUBLISH":
            raise Closed
        return None

    with ScriptedBroker(answer) as broker:
        script = f"""
tries = 0

async def wifi():
    global tries
    tries += 1
    await sleep_ms(1)
    if tries == 1:
        raise OSError("no Wi-Fi")
    if tries == 3:
        raise RuntimeError("a bug")

async def main():
    {client(broker, "before=wifi")}
        await client.up.wait()
        say(tries, client.cause)
        try:
            await client.publish("t", "1", 1)
        except RuntimeError as error:
            say(error)
"""
        lines = said(python, script, tmp_path)
    assert lines[0] == "2 before"
    assert "a bug" in lines


@both
def test_other_tasks_run_meanwhile(python: str, tmp_path: Path, authority: Authority) -> None:
    """While it connects over TLS, publishes and is flooded, a task that wants to run every
    millisecond does so again and again: none waits for longer than a step.
    """
    authority_file = tmp_path / "ca.der"
    authority_file.write_bytes(authority.identity.der())

    def answer(packet: Packet) -> bytes | None:
        flood = b"".join(publish("in", b"x" * 100) for _ in range(20))
        return flood + default_answer(packet) if packet.name == "PUBLISH" else None

    with ScriptedBroker(answer, context=server_context(tmp_path, authority)) as broker:
        script = f"""
longest = 0

async def measured():
    global longest
    last = ticks_ms()
    while True:
        await sleep_ms(1)
        now = ticks_ms()
        longest = max(longest, ticks_diff(now, last))
        last = now

async def main():
    context = tls_context(der("ca"))
    beside = asyncio.create_task(measured())
    {client(broker, "ssl=context, queue=1000")}
        await asyncio.gather(*[client.publish("t", "x" * 100, 1) for _ in range(100)])
    beside.cancel()
    say(longest, client.dropped > 500)
"""
        (line,) = said(python, script, tmp_path, own_time=True)
    longest, dropped = line.split()
    assert dropped == "True"
    if python == "micropython":
        assert int(longest) <= 60, "design.md's budget for one step, and what it was asked for"


@both
def test_it_sleeps_while_nothing_happens(python: str, tmp_path: Path) -> None:
    """Up and idle for two seconds: the client is stepped a few times, not hundreds of times."""
    with ScriptedBroker() as broker:
        script = f"""
async def main():
    {client(broker)}
        await client.up.wait()
        await sleep_ms(100)
        steps = 0
        step = client._link.step
        def counted(now):
            nonlocal steps
            steps += 1
            return step(now)
        client._link.step = counted
        await sleep_ms(2000)
        say(steps)
"""
        (steps,) = said(python, script, tmp_path)
    assert int(steps) <= 10


@both
def test_a_puback_wakes_at_once(python: str, tmp_path: Path) -> None:
    """One by one, 300 messages at a broker on the same machine take far less than a tick each."""
    with ScriptedBroker(lambda p: puback(p) if p.name == "PUBLISH" else None) as broker:
        script = f"""
async def main():
    {client(broker)}
        await client.up.wait()
        began = ticks_ms()
        for _ in range(300):
            await client.publish("t", "x", 1)
        say(ticks_diff(ticks_ms(), began) < 15000)
"""
        assert said(python, script, tmp_path) == ["True"]
