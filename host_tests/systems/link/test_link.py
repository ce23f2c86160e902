"""The Link's policy, as a broker sees it that answers as it is told: a whole node, without TLS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.brokers.codec import Packet, connack, puback, publish, suback
from support.brokers.scripted_broker import Closed, ScriptedBroker, default_answer
from support.brokers.scripted_link import (
    BASE,
    COMMANDS,
    FAST,
    PLAIN,
    STATUS,
    TELEMETRY,
    all_of,
    births,
    echoing,
    is_status,
    reading,
    seqs,
    status,
)
from support.micropython.upy import OWN_TIME, run
from support.nodes import IN_ORDER, Node, StartNode, at, value
from support.patched import patched, patient


def test_what_comes_first(node: StartNode) -> None:
    """CONNECT with the will, SUBSCRIBE to its own status and Commands, the birth, the rest."""
    with ScriptedBroker(echoing()) as broker:
        node(broker, speed=20, config=FAST | IN_ORDER | {"health_s": 0})
        broker.wait_for(reading(1))
    came = [packet for packet in broker.packets if packet.name != "PUBACK"][:6]
    assert [(p.name, p.topic, p.qos, p.retain) for p in came] == [
        ("CONNECT", "", 0, False),
        ("SUBSCRIBE", STATUS, 1, False),
        ("SUBSCRIBE", COMMANDS, 1, False),
        ("PUBLISH", STATUS, 1, True),
        ("PUBLISH", TELEMETRY, 1, False),
        ("PUBLISH", TELEMETRY, 1, False),
    ]
    connect, birth = came[0].connect, status(came[3])
    assert connect["client_id"] == "node-1"
    assert (connect["keepalive"], connect["clean_session"]) == (60, False)
    assert (connect["will_topic"], connect["will_qos"]) == (STATUS.encode(), 1)
    assert connect["will_retain"]
    assert json.loads(connect["will"]) == {
        "v": 1,
        "status": "offline",
        "boot": birth["boot"],
        "session": birth["session"],
        "reason": "lost",
    }
    assert birth["session"] == 1


def test_config_reaches_the_wire(node: StartNode) -> None:
    """keepalive, clean session, QoS of telemetry and of Commands are what the config says."""
    config = {"keepalive_s": 17, "clean_session": True, "telemetry_qos": 0, "command_qos": 2}
    with ScriptedBroker(echoing()) as broker:
        node(broker, speed=20, config=FAST | config)
        broker.wait_for(reading(2))
    connect = broker.of("CONNECT")[0].connect
    assert (connect["keepalive"], connect["clean_session"]) == (17, True)
    assert [p.qos for p in broker.of("SUBSCRIBE")] == [1, 2]
    assert {(p.qos, p.packet_id) for p in broker.of("PUBLISH") if p.topic == TELEMETRY} == {
        (0, None)
    }


@pytest.mark.parametrize(("commit_after_s", "written"), [(2, True), (60, False)])
def test_config_reaches_the_flash(node: StartNode, commit_after_s: int, written: bool) -> None:
    """How long a Reading waits in RAM for its PUBACK is what the config says."""
    with ScriptedBroker(lambda packet: connack(3)) as broker:
        # 9 s have gone by then, and 60 s are 12 real ones.
        running = node(broker, speed=5, config=FAST | {"commit_after_s": commit_after_s})
        running.until("sampler reading seq=4 ")
        assert any(running.root.glob("readings-*/0*")) == written


def lost_in_flight(node: StartNode, present: bool, **how: Any) -> ScriptedBroker:
    """Run a node whose first connection takes 5 Readings and acknowledges none, then breaks."""

    def answer(packet: Packet) -> bytes | None:
        if packet.name == "CONNECT":
            return connack(present=present and packet.connection > 0)
        if packet.connection == 0 and packet.topic == TELEMETRY:
            if status(packet)["seq"] == 4:
                raise Closed
            return b""
        return None

    with ScriptedBroker(echoing(answer)) as broker:
        node(broker, **how)
        broker.wait_for(lambda packet: packet.connection == 1 and reading(6)(packet))
    return broker


def test_resumed_session_sends_again_with_dup(node: StartNode) -> None:
    """Where the broker kept the session, what was in flight comes again as it was, with DUP.

    The birth comes first all the same, and of the new session.
    """
    broker = lost_in_flight(node, present=True, speed=20, config=FAST | IN_ORDER)
    first, second = (
        [p for p in broker.of("PUBLISH") if p.connection == n and p.topic != f"{BASE}/health"]
        for n in (0, 1)
    )
    held = [p for p in first if p.topic == TELEMETRY]
    assert seqs(held) == [0, 1, 2, 3, 4]
    assert second[0].topic == STATUS
    assert status(second[0])["session"] == 2
    again = [p for p in second if p.dup]
    assert again == second[1:6]
    assert [(p.packet_id, p.payload) for p in again] == [(p.packet_id, p.payload) for p in held]
    assert seqs(second)[:7] == [0, 1, 2, 3, 4, 5, 6]


def test_lost_session_sends_again_as_new(node: StartNode) -> None:
    """Where the broker has forgotten, what was in flight comes again as new, without DUP.

    It goes ahead of what is newer; those that were on flash already come after those that were not.
    """
    # Slowly: the newer ones have to be acknowledged before they are put on flash, 2 s later.
    broker = lost_in_flight(node, present=False, speed=4, config=FAST)
    second = [p for p in broker.of("PUBLISH") if p.connection == 1]
    assert second[0].topic == STATUS
    assert set(seqs(second)[:5]) == {0, 1, 2, 3, 4}
    assert seqs(second)[5:7] == [5, 6]
    assert not any(p.dup for p in second)


@pytest.mark.parametrize("present", [True, False], ids=["kept", "forgotten"])
def test_birth_in_flight_comes_again_before_the_next_one(node: StartNode, present: bool) -> None:
    """Where the broker kept the session, a birth without PUBACK comes again as it was: MQTT 3.1.1
    section 4.4. The next one follows, so that it is the one that is retained.
    """

    def answer(packet: Packet) -> bytes | None:
        if packet.name == "CONNECT":
            return connack(present=present and packet.connection > 0)
        if packet.connection == 0 and packet.topic == STATUS and packet.name == "PUBLISH":
            raise Closed
        return None

    with ScriptedBroker(echoing(answer)) as broker:
        node(broker, speed=20, config=FAST)
        broker.wait_for(lambda packet: packet.connection == 1 and packet.topic == TELEMETRY)
    said = births(broker)
    lost = said[0]
    again = [packet for packet in said if packet.dup]
    found = [(packet.packet_id, packet.payload) for packet in again]
    assert found == ([(lost.packet_id, lost.payload)] if present else [])
    assert [status(packet)["session"] for packet in said] == ([1, 1, 2] if present else [1, 2])


def test_birth_tells_of_the_outage(node: StartNode) -> None:
    """After a connection was lost, the next birth says for how long and why."""
    with ScriptedBroker(echoing()) as broker:
        running = node(broker, speed=20, config=FAST)
        broker.wait_for(reading(1))
        broker.answer = echoing(lambda p: connack(3) if p.name == "CONNECT" else None)
        broker.hang_up()
        down = running.until("link down cause=closed")
        running.until(lambda line: "link down" in line and at(line) > at(down) + 3)
        broker.answer = echoing()
        up = running.until("link up", since=running.lines.index(down))
        birth = broker.wait_for(lambda p: is_status(p, "online") and status(p)["session"] > 1)
    outage = status(birth)["outage"]
    assert outage["cause"] == "closed"
    assert abs(outage["s"] - (at(up) - at(down))) <= 1


def test_sessions_are_counted_in_connects(node: StartNode) -> None:
    """`session` counts the CONNECTs of this boot; will and birth of one connection share it."""

    def answer(packet: Packet) -> bytes | None:
        refused = packet.name == "CONNECT" and packet.connection < 2
        return connack(3) if refused else None

    with ScriptedBroker(echoing(answer)) as broker:
        node(broker, speed=20, config=FAST)
        birth = broker.wait_for(lambda p: is_status(p, "online"))
    assert [json.loads(p.connect["will"])["session"] for p in broker.of("CONNECT")] == [1, 2, 3]
    assert status(birth)["session"] == 3
    assert status(birth)["outage"]["cause"] == "unavailable"


def test_thrown_out_after_every_connack_starts_clean(node: StartNode) -> None:
    """After three connections that ended as soon as they were up, it asks for a clean session."""

    def answer(packet: Packet) -> bytes | None:
        if packet.name == "SUBSCRIBE" and packet.connection < 3:
            raise Closed
        return None

    with ScriptedBroker(echoing(answer)) as broker:
        # A connection is short below 5 s: a real one, which a busy machine can keep.
        node(broker, speed=5, config=FAST)
        broker.wait_for(lambda p: p.connection == 3 and reading(0)(p))
    clean = [p.connect["clean_session"] for p in broker.of("CONNECT")]
    assert clean == [False, False, False, True]


def test_birth_that_does_not_come_back_reconnects_clean(node: StartNode) -> None:
    """A broker that lost the subscription: 10 s after the birth the node starts a clean session."""

    def answer(packet: Packet) -> bytes | None:
        # Acknowledged, and not given back: as amqtt does after a foreign CONNECT (facts/amqtt).
        return puback(packet) if packet.topic == STATUS and packet.connection == 0 else None

    with ScriptedBroker(echoing(answer)) as broker:
        running = node(broker, speed=20, config=FAST, ahead=[OWN_TIME])
        up = running.until("link up")
        down = running.until("link down")
        assert value(down, "cause") == "subscription-lost"
        assert 9 < at(down) - at(up) < 20
        broker.wait_for(lambda p: p.connection == 1 and p.topic == TELEMETRY)
        again = running.until("link up", since=running.lines.index(down))
        running.until(lambda line: "sampler reading" in line and at(line) > at(again) + 12)
    assert [p.connect["clean_session"] for p in broker.of("CONNECT")] == [False, True]


def test_readings_wait_until_the_birth_has_come_back(node: StartNode) -> None:
    """A broker that acknowledges may drop all the same: Readings wait for the node's own birth, on
    each connection. Responses do not.
    """
    ping = publish(COMMANDS, b'{"id":"early","action":"ping"}')

    def answer(packet: Packet) -> bytes | None:
        return puback(packet) + ping if packet.topic == STATUS else None

    with ScriptedBroker(answer) as broker:
        running = node(broker, speed=20, config=FAST)
        for number in range(2):
            _wait_on(broker, number, f"{COMMANDS}/response")
            running.until("sampler reading", since=len(running.lines))
            (birth,) = [p for p in births(broker) if p.connection == number]
            mine = [p for p in broker.of("PUBLISH") if p.connection == number]
            assert not [p for p in mine if p.topic not in (STATUS, f"{COMMANDS}/response")]
            broker.send(publish(STATUS, birth.payload))
            _wait_on(broker, number, TELEMETRY)
            broker.hang_up()


def test_readings_of_a_kept_session_wait_too(node: StartNode) -> None:
    """What was in flight is not sent again before this connection's birth has come back; that of
    the connection before, which the session may have kept, proves nothing.
    """
    ping = publish(COMMANDS, b'{"id":"early","action":"ping"}')

    def answer(packet: Packet) -> bytes | None:
        again = packet.connection > 0
        if packet.name == "CONNECT" and again:
            return connack(present=True) + publish(STATUS, births(broker)[0].payload)
        if packet.topic == STATUS and again:
            return puback(packet) + ping
        return b"" if packet.topic == TELEMETRY and not again else None

    with ScriptedBroker(echoing(answer)) as broker:
        running = node(broker, speed=20, config=FAST)
        _wait_on(broker, 0, TELEMETRY)
        held = broker.of("PUBLISH")[-1]
        broker.hang_up()
        _wait_on(broker, 1, f"{COMMANDS}/response")
        running.until("sampler reading", since=len(running.lines))
        assert not [p for p in broker.packets if p.connection and p.topic == TELEMETRY]
        broker.send(publish(STATUS, births(broker)[-1].payload))
        _wait_on(broker, 1, TELEMETRY)
        again = next(p for p in broker.packets if p.connection and p.topic == TELEMETRY)
    assert (again.packet_id, again.dup, again.payload) == (held.packet_id, True, held.payload)


def _wait_on(broker: ScriptedBroker, number: int, topic: str) -> None:
    """Wait for a Message on `topic` over one of the connections."""
    broker.wait_for(lambda packet: packet.connection == number and packet.topic == topic)


@pytest.mark.parametrize(
    "foreign",
    [
        {"v": 1, "status": "offline", "boot": 1, "session": 1, "reason": "lost"},
        {"v": 1, "status": "offline"},
    ],
)
def test_foreign_offline_is_answered_by_a_birth(node: StartNode, foreign: dict[str, Any]) -> None:
    """An `offline` on its own status that is not its doing is followed by its birth again."""
    with ScriptedBroker(echoing()) as broker:
        running = node(broker, speed=20, config=FAST)
        broker.wait_for(reading(1))
        before = at(running.lines[-1])
        broker.send(publish(STATUS, json.dumps(foreign).encode(), flags=1))
        broker.wait_for(lambda p: len(births(broker)) == 2)
        assert at(running.lines[-1]) - before < 300  # and not only when it is due after 600 s
        running.until("sampler reading", since=len(running.lines))
    first, second = (status(p) for p in births(broker))
    assert second == first
    assert len(births(broker)) == 2
    assert len(broker.of("CONNECT")) == 1


@pytest.mark.long
def test_birth_is_said_again_every_ten_minutes(node: StartNode, tmp_path: Path) -> None:
    """A broker may forget what it retained: 10 minutes after a birth it comes again."""
    firmware = patient(tmp_path / "firmware", 100)
    with ScriptedBroker(echoing()) as broker:
        running = node(broker, speed=100, config=PLAIN | {"interval_s": 3600}, firmware=firmware)
        up = at(running.until("link up"))
        broker.wait_for(lambda p: len(births(broker)) == 2)
        running.stop()
        assert 599 < at(running.until("node stopped")) - up < 700
    first, second = (status(p) for p in births(broker))
    assert second == first


def test_goodbye_is_acknowledged_before_disconnect(node: StartNode) -> None:
    """On stop: what is in flight, then the goodbye, its PUBACK, DISCONNECT, and nothing more."""
    with ScriptedBroker(echoing()) as broker:
        running = node(broker, speed=20, config=FAST | IN_ORDER)
        broker.wait_for(reading(2))
        assert running.stop() == 0
        broker.wait_for(lambda p: p.name == "DISCONNECT")
    goodbye, disconnect = [p for p in broker.packets if p.name != "PUBACK"][-2:]
    assert (goodbye.topic, goodbye.qos, goodbye.retain) == (STATUS, 1, True)
    assert status(goodbye)["reason"] == "shutdown"
    assert disconnect.name == "DISCONNECT"
    assert seqs(broker.of("PUBLISH")) == list(range(len(running.said("sampler reading"))))


def test_goodbye_without_answer_leaves_the_word_to_the_will(node: StartNode) -> None:
    """A goodbye that is not acknowledged is followed by no DISCONNECT: the will speaks."""

    def answer(packet: Packet) -> bytes | None:
        return b"" if is_status(packet, "offline") else None

    with ScriptedBroker(echoing(answer)) as broker:
        running = node(broker, speed=20, config=FAST)
        broker.wait_for(reading(1))
        assert running.stop() == 0
        broker.wait_for(lambda p: is_status(p, "offline"))
    assert not broker.of("DISCONNECT")


def test_stop_waits_for_what_is_in_flight_but_not_for_ever(node: StartNode) -> None:
    """With Readings that nobody acknowledges, the goodbye goes out after 5 s all the same."""
    with ScriptedBroker(echoing(lambda p: b"" if p.topic == TELEMETRY else None)) as broker:
        running = node(broker, speed=10, config=FAST, ahead=[OWN_TIME])
        broker.wait_for(reading(1))
        before = at(running.lines[-1])
        assert running.stop() == 0
        assert 4.5 < at(running.until("node stopped")) - before < 12
        broker.wait_for(lambda p: p.name == "DISCONNECT")
    assert status(broker.of("PUBLISH")[-1])["reason"] == "shutdown"


def test_stop_while_down_ends_at_once(node: StartNode) -> None:
    """A node that is not connected has nobody to say goodbye to, and ends cleanly."""
    with ScriptedBroker(lambda packet: connack(4)) as broker:
        running = node(broker, config=PLAIN)
        down = at(running.until("link down"))
        assert running.stop() == 0
        assert at(running.until("node stopped")) - down < 5


@pytest.mark.parametrize("code", [1, 2, 4, 5])
def test_refusals_that_a_person_has_to_mend_wait_a_minute(node: StartNode, code: int) -> None:
    """A CONNACK that no second try will change is not tried again before 60 s have gone by."""
    with ScriptedBroker(lambda packet: connack(code)) as broker:
        running = node(broker, speed=50, config=PLAIN)
        first = running.until("link down")
        assert int(value(first, "retry_ms")) >= 60_000
        again = running.until("link connecting", since=running.lines.index(first))
        assert at(again) - at(first) > 59


def test_other_failures_back_off_with_jitter_up_to_a_minute(node: StartNode) -> None:
    """Waits are drawn from 0 to a ceiling that doubles from 2 s to 60 s."""
    with ScriptedBroker(lambda packet: connack(3)) as broker:
        running = node(broker, speed=500, config=PLAIN | {"interval_s": 3600})
        running.until(lambda line: len(running.said("link down")) >= 10)
    waits = [int(value(line, "retry_ms")) for line in running.said("link down")]
    assert all(wait <= min(60_000, 2000 << n) for n, wait in enumerate(waits))
    assert len(set(waits)) > 5
    assert max(waits) > 2000


def refused(node: StartNode, broker: ScriptedBroker, folder: Path, times: int, **how: int) -> Node:
    """Start a node that draws nearly the longest waits there are, refuse it so many times, and be
    there for it from then on. how: its speed and its interval_s.
    """
    longest = ("app.py", "Backoff(board.random,", "Backoff(lambda: 0.999,")
    speed, config = how.pop("speed"), PLAIN | how
    broker.answer = echoing(lambda p: connack(3) if p.name == "CONNECT" else None)
    firmware = patient(folder / "firmware", speed, longest)
    running = node(broker, speed=speed, config=config, firmware=firmware)
    running.until(lambda line: len(running.said("link down")) >= times)
    broker.answer = echoing()
    return running


def test_time_up_is_counted_as_rest(node: StartNode, tmp_path: Path) -> None:
    """After minutes up the next try comes within 2 s, however many had failed before."""
    with ScriptedBroker() as broker:
        running = refused(node, broker, tmp_path, 4, speed=50, interval_s=30)
        up = running.until("link up")
        running.until(lambda line: "sampler reading" in line and at(line) > at(up) + 240)
        broker.hang_up()
        running.until("link down", since=running.lines.index(up))
    waits = [int(value(line, "retry_ms")) for line in running.said("link down")]
    assert waits[:4] == [1998, 3996, 7992, 15984]
    assert waits[-1] == 1998


def test_back_off_goes_on_over_a_reset(node: StartNode, tmp_path: Path) -> None:
    """After many failures the first try of the next boot waits as well: resets make no storm."""
    with ScriptedBroker() as broker:
        running = refused(node, broker, tmp_path, 5, speed=20, interval_s=3600)
        broker.wait_for(lambda p: p.name == "SUBSCRIBE" and p.topic == COMMANDS)
        broker.send(publish(COMMANDS, b'{"id":"a","action":"reboot"}'))
        again = running.until("node boot=", since=running.lines.index(running.until("id=a")))
        first = running.until("link resolving", since=running.lines.index(again))
    assert at(first) > 59


def test_puback_that_stays_away_reconnects(node: StartNode) -> None:
    """A PUBACK 20 s overdue ends the connection, and the Reading comes again on the next one."""

    def answer(packet: Packet) -> bytes | None:
        return b"" if packet.connection == 0 and reading(3)(packet) else None

    with ScriptedBroker(echoing(answer)) as broker:
        running = node(broker, speed=20, config=FAST)
        down = running.until("link down")
        assert value(down, "cause") == "puback-timeout"
        broker.wait_for(lambda p: p.connection == 1 and reading(3)(p))
        taken = next(line for line in running.lines if "sampler reading seq=3" in line)
        assert 19 < at(down) - at(taken) < 40


def test_pingresp_that_stays_away_reconnects(node: StartNode) -> None:
    """With nothing to say, the PINGREQ at half the keepalive finds the link dead 20 s later."""

    def answer(packet: Packet) -> bytes | None:
        return b"" if packet.name == "PINGREQ" and packet.connection == 0 else None

    with ScriptedBroker(echoing(answer)) as broker:
        config = PLAIN | {"interval_s": 3600, "keepalive_s": 20, "health_s": 0}
        running = node(broker, speed=20, config=config)
        taken = running.until("sampler reading")
        down = running.until("link down")
        assert value(down, "cause") == "ping-timeout"
        assert 10 + 19 < at(down) - at(taken) < 50
        broker.wait_for(lambda p: p.connection == 1 and is_status(p, "online"))
    assert len([p for p in broker.of("PINGREQ") if p.connection == 0]) == 1


def test_window_of_the_config_is_kept(node: StartNode) -> None:
    """No more Messages are in flight than the window, and sampling goes on behind it."""
    with ScriptedBroker(echoing(lambda p: b"" if p.topic == TELEMETRY else None)) as broker:
        running = node(broker, speed=20, config=FAST | {"window": 3})
        broker.wait_for(reading(2))
        running.until("sampler reading seq=7")
    assert seqs(broker.of("PUBLISH")) == [0, 1, 2]


def test_commands_of_qos_2_are_executed_once(node: StartNode) -> None:
    """A Command that comes twice with one packet id, before its PUBREL, is answered once."""
    command = json.dumps({"id": "two", "action": "ping"}).encode()

    def answer(packet: Packet) -> bytes | None:
        if packet.name == "SUBSCRIBE" and packet.topic == COMMANDS:
            again = publish(COMMANDS, command, 2, 77, flags=8)
            return (default_answer(packet)) + publish(COMMANDS, command, 2, 77) + again
        return None

    with ScriptedBroker(echoing(answer)) as broker:
        running = node(broker, config=PLAIN | {"command_qos": 2})
        broker.wait_for(lambda p: p.name == "PUBCOMP")
        broker.wait_for(lambda p: p.topic == f"{COMMANDS}/response")
        running.stop()
    assert len([p for p in broker.of("PUBLISH") if p.topic == f"{COMMANDS}/response"]) == 1


def test_oversized_command_does_not_end_the_connection(node: StartNode) -> None:
    """A Command of 100 KB is acknowledged and answered by its id, and so is one of 1 KB and a byte;
    the next one, of 1 KB, is carried out.
    """
    ping = b'{"id":"after","action":"ping"%s}' % (b" " * (1024 - 30))

    def answer(packet: Packet) -> bytes | None:
        if packet.name == "SUBSCRIBE" and packet.topic == COMMANDS:
            big = publish(COMMANDS, b'{"id":"big","x":"' + b"[" * 100_000, 1, 5)
            more = publish(COMMANDS, ping.replace(b"after", b"more!") + b" ", 1, 6)
            return default_answer(packet) + big + more + publish(COMMANDS, ping, 1, 7)
        return None

    with ScriptedBroker(echoing(answer)) as broker:
        running = node(broker, config=PLAIN)
        broker.wait_for(lambda p: p.topic == f"{COMMANDS}/response" and b'"after"' in p.payload)
    said = [p for p in broker.of("PUBLISH") if p.topic == f"{COMMANDS}/response"]
    assert [status(each).get("code") for each in said] == ["too-long", "too-long", None]
    running.until("command id=big")
    assert [p.packet_id for p in broker.of("PUBACK")][:3] == [5, 6, 7]
    assert len(broker.of("CONNECT")) == 1


def test_refused_subscription_is_said_and_counted(node: StartNode) -> None:
    """A broker that lets the node hear no Commands: a log line at each try, a counter in health."""

    def answer(packet: Packet) -> bytes | None:
        refused = packet.name == "SUBSCRIBE" and packet.topic == COMMANDS
        return suback(packet, 0x87) if refused else None

    with ScriptedBroker(echoing(answer)) as broker:
        running = node(broker, speed=40, config=FAST | {"health_s": 10})
        running.until(f"link refused topic={COMMANDS} code=135")
        broker.wait_for(
            lambda p: p.topic == f"{BASE}/health" and status(p).get("refused_subscriptions", 0) > 1
        )
    assert len(broker.of("CONNECT")) == 1


def test_thrown_out_by_disconnect_is_a_rival(node: StartNode, tmp_path: Path) -> None:
    """A broker that says DISCONNECT to the older of two clients with one id: `closed`, and when
    statuses tell of the other one `client-id-taken`, with its alert, until it is left in peace.
    """
    other = {"v": 1, "status": "online", "boot": 99, "session": 1}

    def answer(packet: Packet) -> bytes | None:
        if packet.topic == TELEMETRY and packet.connection < 3:
            said = json.dumps(other | {"session": packet.connection}).encode()
            return puback(packet) + publish(STATUS, said) + b"\xe0\0"
        return None

    with ScriptedBroker(echoing(answer)) as broker:
        # As above: thrown out within 5 s. The alert comes with the next connection.
        soon = patched(
            tmp_path / "firmware",
            ("node/session/causes.py", "RIVAL: 300000", "RIVAL: 5000"),
            ("node/session/link.py", "_FIGHT_MS = const(900000)", "_FIGHT_MS = const(20000)"),
        )
        running = node(broker, speed=5, config=FAST, firmware=soon)
        running.until("link down cause=client-id-taken")
        for state in ("raised", "cleared"):
            alert = broker.wait_for(
                lambda p, state=state: (  # type: ignore[misc]
                    p.topic == f"{BASE}/alerts" and status(p)["state"] == state
                )
            )
            assert status(alert)["alert"] == "client-id-taken"
    downs = [value(line, "cause") for line in running.said("link down")]
    assert downs[:3] == ["closed", "closed", "client-id-taken"]


SHORT_OF_HEAP = """
from node.session.link import Link

class Client:
    clean_session, window, state, handshake_took_ms, answer_ms = False, 8, "up", 1, 20000
    def __getattr__(self, name):
        return lambda *_: 60000
    def room(self):
        return True
    def abort(self):
        self.state = "down"

class Anything:
    network = topic = cause = None
    session = 1
    def __getattr__(self, name):
        return lambda *_: 0

class Told:
    backoff, downs = Anything(), {}
    def up(self, now):
        return None
    def down(self, now, cause, kind):
        self.downs[cause] = self.downs.get(cause, 0) + 1
        return 0

class Source(Anything):
    ready = True
    def peek(self, now):
        raise MemoryError

class Board:
    network = None
    clock = Anything()
    def idf_heap(self):
        return None

Anything.connection = Anything()
client, any, told, quiet = Client(), Anything(), Told(), lambda *_: None
downs = told.downs
Board.network = type("Network", (), {"cause": None, "due": None})()
link = Link(client, Board(), (Source(),), told, quiet)
link.alarm = quiet
link.on_up(True)
link.status = any
any.unheard = lambda now: None
any.ready, any.echo_by = False, None
waits = set()
for now in range(60):
    link.run(now)
    waits.add(link.due - now)
print(waits, downs, client.state)
link.run(60)
print(downs, client.state)
"""


def test_packet_without_heap_for_it_is_not_now() -> None:
    """A MemoryError while a packet is made: tried again a second later, a minute long; then with
    another connection. It is no bug.
    """
    assert run(SHORT_OF_HEAP).splitlines() == ["{1000} {} up", "{'memory': 1} down"]


def test_client_reads_before_a_birth_counts_as_unheard() -> None:
    """Its echo may lie unread: the client, which looks when it is due, is due then."""
    rig, _, _ = SHORT_OF_HEAP.partition("waits = set()")
    script = """
Source.ready, any.echo_by, client.unread, client.due = False, 5000, 0, 30000
link.run(1000)
print(client.due, link.due)
"""
    assert run(rig + script) == "5000 5000\n"


def test_reading_without_heap_for_its_line_is_delivered(node: StartNode, tmp_path: Path) -> None:
    """The Outbox has it before the log does."""
    starved = patched(
        tmp_path / "firmware",
        ("node/readings/telemetry.py", "self._reading.seq,", "self._reading.seq or no_heap(),"),
    )
    with ScriptedBroker(echoing()) as broker:
        node(broker, speed=20, config=FAST, firmware=starved)
        broker.wait_for(all_of(range(3)))


def test_health_comes_at_its_own_pace(node: StartNode) -> None:
    """health is QoS 0, not retained, and comes every `health_s`; its numbers are the node's."""
    with ScriptedBroker(echoing()) as broker:
        config = FAST | {"health_s": 10}
        running: Node = node(broker, speed=20, config=config, ahead=[OWN_TIME])
        broker.wait_for(lambda p: len(_healths(broker)) == 3)
        running.stop()
    first, second, third = (json.loads(p.payload) for p in _healths(broker)[:3])
    assert {(p.qos, p.retain) for p in _healths(broker)} == {(0, False)}
    assert 9 <= second["up"] - first["up"] <= 12
    assert 9 <= third["up"] - second["up"] <= 12
    assert third["reads"] > second["reads"]


def _healths(broker: ScriptedBroker) -> list[Packet]:
    return [p for p in broker.of("PUBLISH") if p.topic == f"{BASE}/health"]


def test_ctrl_c_breaks_into_nothing_but_the_wait() -> None:
    """SIGINT in the middle of a step waits for the next wait: a TLS record is never cut short."""
    script = """
import board, ffi
libc = ffi.open(None)
kill, me = libc.func("i", "kill", "ii"), libc.func("i", "getpid", "")()
wait = board.interruptible(lambda ms: print("waited", ms))
wait(1)
kill(me, 2)
print("step done")
try:
    wait(2)
    print("not interrupted")
except KeyboardInterrupt:
    print("interrupted")
kill(me, 2)
print("held back again")
"""
    assert run(script).splitlines() == ["waited 1", "step done", "interrupted", "held back again"]
