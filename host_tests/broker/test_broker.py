"""Who gets in, and who may say and hear what: the embedded broker, and mosquitto as provisioned.

A broker that refuses a publish with QoS 1 still acknowledges it (MQTT 3.1.1 has no other answer).
So "nothing arrives" is asserted by a permitted Message that is sent afterwards and does arrive.
"""

from __future__ import annotations

import json
import shutil
import socket
import struct

import paho.mqtt.client as mqtt
import pytest
from limpet.brokers.setup import open_setup
from limpet.identity.authority import Authority
from limpet.shared import private
from support.brokers.mqtt_client import TIMEOUT_S, Client, Message, Refused
from support.brokers.running import KIND, PASSWORD, RunningBroker, base, fields

amqtt_only = pytest.mark.skipif(KIND != "amqtt", reason="the embedded broker's own answer")

OWN = (
    "telemetry",
    "telemetry/backlog",
    "status",
    "health",
    "alerts",
    "commands/response",
    "commands/response/req-1",
    "config/reported",
)
NOT_OWN = (
    f"{base()}/commands",
    f"{base()}/config/desired",
    f"{base()}/elsewhere",
    f"{base()}/commands/response/a/b",
    base(),
    f"{base('node-2')}/telemetry",
    f"{base('node-2')}/telemetry/backlog",
    f"{base('node-2')}/status",
    f"{base('node-2')}/commands",
    "limpet/home/desk/climate/node-10/telemetry",
    "other/home/desk/climate/node-1/telemetry",
    "limpet/time",
)


def arrived_after(operator: Client, sender: Client, topic: str) -> list[Message]:
    """Return all that arrived until a Message that `sender` sends to `topic` now did."""
    sender.publish(topic, "the last one")
    operator.wait_for(topic, lambda message: message.payload == b"the last one")
    return [message for message in operator.messages if message.payload != b"the last one"]


def test_device_with_its_certificate_gets_in(broker: RunningBroker) -> None:
    """A device's certificate is enough, and its name is its client id."""
    assert broker.client().connect().session_present is False


def test_no_certificate(broker: RunningBroker) -> None:
    """A client without a certificate does not get as far as MQTT."""
    with pytest.raises(Refused, match="closed"):
        broker.client(certificate=False).connect()


def test_foreign_certificate(broker: RunningBroker, foreign: Authority) -> None:
    """A certificate with a device's name from another CA opens nothing."""
    with pytest.raises(Refused, match="closed"):
        broker.client(identity=foreign.client("node-1")).connect()


def test_server_certificate_is_no_client(broker: RunningBroker) -> None:
    """The broker's own kind of certificate, with a device's name, is not one for clients."""
    with pytest.raises(Refused, match="closed"):
        broker.client(identity=broker.authority.server(["node-1"])).connect()


@amqtt_only
def test_unregistered_name(broker: RunningBroker) -> None:
    """A name of the right CA that was never provisioned, or was taken out again, is refused."""
    with pytest.raises(Refused, match="Not authorized"):
        broker.client("node-99").connect()


def test_device_taken_out_of_the_registry(broker: RunningBroker) -> None:
    """Its certificate is good for another nine years, and opens nothing any more."""
    layout = broker.setup.layout
    broker.setup.device(fields("leaver"))
    broker.reload()
    operator = broker.operator()
    leaver = broker.client("leaver").connect()
    leaver.publish(f"{base('leaver')}/telemetry", "1")
    operator.wait_for(f"{base('leaver')}/telemetry")
    bases = layout.bases()
    del bases["leaver"]
    private.write(layout.registry, json.dumps(bases).encode())
    shutil.rmtree(layout.device("leaver"))
    open_setup(layout.root)  # as every `limpet provision` does, for whichever device
    broker.reload()
    leaver = broker.client("leaver")
    if broker.kind == "amqtt":
        with pytest.raises(Refused, match="Not authorized"):
            leaver.connect()
        return
    operator = broker.operator()
    # mosquitto lets in whoever has a certificate of the CA, and what it says is for nobody.
    leaver.connect().subscribe(f"{base('leaver')}/commands")
    leaver.publish(f"{base('leaver')}/telemetry", "2")
    operator.publish(f"{base('leaver')}/commands", "3")
    device = broker.client().connect()
    came = arrived_after(operator, device, f"{base()}/telemetry")
    assert [each.payload for each in came if each.topic.startswith(base("leaver"))] == [b"3"]
    assert leaver.messages == []


@amqtt_only
def test_registry_that_cannot_be_read(broker: RunningBroker) -> None:
    """Nobody is let in as long as it is not known who is who; it is no end for the broker."""
    registry = broker.setup.layout.registry
    text = registry.read_bytes()
    registry.write_bytes(b"{")
    try:
        with pytest.raises(Refused, match="unavailable"):
            broker.client().connect()
    finally:
        registry.write_bytes(text)
    broker.client().connect()


def test_plain_listener_lets_nobody_in(broker: RunningBroker) -> None:
    """The listener without TLS, there for tests of nodes, accepts no CONNECT."""
    for name in ("node-1", "operator"):
        with pytest.raises(Refused):
            Client((broker.host, broker.plain_port), name, None, None).connect()


def test_client_id_of_another(broker: RunningBroker) -> None:
    """Who gives another's client id neither throws it out nor gets its session or its topics."""
    operator = broker.operator()
    victim = broker.client("node-1", clean_session=False).connect()
    victim.subscribe(f"{base('node-1')}/commands")
    for clean in (True, False):
        thief = broker.client("node-2", name="node-1", clean_session=clean)
        if broker.kind == "amqtt":
            with pytest.raises(Refused, match="Client identifier not valid"):
                thief.connect()
        else:  # mosquitto lets it in under its own name
            assert not thief.connect().session_present
            thief.publish(f"{base('node-1')}/telemetry", "forged")
    operator.publish(f"{base('node-1')}/commands", "still there?")
    victim.wait_for(f"{base('node-1')}/commands")
    assert not victim.closed
    assert arrived_after(operator, victim, f"{base('node-1')}/telemetry")[1:] == []


def test_device_writes_its_own_topics(broker: RunningBroker) -> None:
    """Everything that a node has to say reaches a subscriber."""
    operator = broker.operator()
    device = broker.client().connect()
    for suffix in OWN:
        device.publish(f"{base()}/{suffix}", suffix)
        assert operator.wait_for(f"{base()}/{suffix}").payload == suffix.encode()


@pytest.mark.parametrize("qos", [0, 1])
def test_device_writes_nothing_else(broker: RunningBroker, qos: int) -> None:
    """What a device sends to any other topic, another device's included, reaches nobody."""
    operator = broker.operator()
    other = broker.client("node-2").connect()
    other.subscribe(f"{base('node-2')}/commands")
    device = broker.client().connect()
    for topic in NOT_OWN:
        device.publish(topic, "forged", qos=qos, retain=True)
    assert arrived_after(operator, device, f"{base()}/telemetry") == []
    assert other.messages == []
    # Nor was it kept for those who come later.
    late = broker.operator()
    assert arrived_after(late, device, f"{base()}/telemetry") == []


def test_dollar_topic(broker: RunningBroker) -> None:
    """A publish to `$...` does no harm: the client goes on being heard, and its will is sent."""
    operator = broker.operator()
    device = broker.client(will=(f"{base()}/status", "gone", True)).connect()
    device.publish("$SYS/broker/clients/total", "forged")
    assert arrived_after(operator, device, f"{base()}/telemetry") == []
    device.drop()
    assert operator.wait_for(f"{base()}/status").payload == b"gone"


def test_device_reads_its_own(broker: RunningBroker) -> None:
    """Commands, the desired config and its own status reach a device."""
    operator = broker.operator(subscribe=None)
    device = broker.client().connect()
    for suffix in ("commands", "config/desired", "status"):
        assert device.subscribe(f"{base()}/{suffix}") == 1
    operator.publish(f"{base()}/commands", "command")
    operator.publish(f"{base()}/config/desired", "desired", retain=True)
    device.publish(f"{base()}/status", "online", retain=True)
    for suffix in ("commands", "config/desired", "status"):
        assert device.wait_for(f"{base()}/{suffix}").retain is False


def test_device_reads_nothing_else(broker: RunningBroker) -> None:
    """Another's Commands and status, live, retained or by wildcard, do not reach a device."""
    operator = broker.operator(subscribe=None)
    other = broker.client("node-2").connect()
    other.publish(f"{base('node-2')}/status", "online", retain=True)
    device = broker.client().connect()
    others = (f"{base('node-2')}/commands", f"{base('node-2')}/status")
    wide = ("#", "limpet/#", "+/+/+/+/+/commands", "limpet/home/desk/climate/+/status", "$SYS/#")
    granted = [device.subscribe(name) for name in (*others, *wide)]
    if broker.kind == "amqtt":  # mosquitto grants and does not deliver
        assert granted == [0x80] * len(granted)
    device.subscribe(f"{base()}/commands")
    operator.publish(f"{base('node-2')}/commands", "not for node-1")
    other.publish(f"{base('node-2')}/status", "online again", retain=True)
    operator.publish(f"{base()}/commands", "for node-1")
    device.wait_for(f"{base()}/commands")
    assert {message.topic for message in device.messages} == {f"{base()}/commands"}


def test_operator_does_not_speak_for_a_device(broker: RunningBroker) -> None:
    """An operator sends Commands and desired configs; all else is the device's to say."""
    operator = broker.operator()
    device = broker.client().connect()
    for topic in (*(f"{base()}/{suffix}" for suffix in (*OWN, "elsewhere")), "limpet/time"):
        operator.publish(topic, "forged", retain=True)
    assert arrived_after(operator, device, f"{base()}/telemetry") == []


def test_operators_at_once(broker: RunningBroker) -> None:
    """Several operators are connected at once, each under a name of its own."""
    operators = [broker.operator() for _ in range(3)]
    device = broker.client().connect()
    device.publish(f"{base()}/telemetry", "heard by all")
    for operator in operators:
        operator.wait_for(f"{base()}/telemetry")


def test_will_on_abrupt_close(broker: RunningBroker) -> None:
    """The will of a client whose socket dies is sent and retained."""
    operator = broker.operator()
    device = broker.client(will=(f"{base()}/status", "gone", True)).connect()
    device.drop()
    operator.wait_for(f"{base()}/status")
    assert broker.operator().wait_for(f"{base()}/status").retain is True


def test_will_of_a_resumed_session(broker: RunningBroker) -> None:
    """A session that goes on has the will of the last CONNECT, retained or not as said there."""
    operator = broker.operator()
    broker.client(clean_session=False).connect().close()
    will = (f"{base()}/status", "gone", True)
    device = broker.client(clean_session=False, will=will).connect()
    assert device.session_present
    device.drop()
    operator.wait_for(f"{base()}/status")
    assert broker.operator().wait_for(f"{base()}/status").retain is True


def test_no_will_after_disconnect(broker: RunningBroker) -> None:
    """A clean DISCONNECT takes the will with it."""
    operator = broker.operator()
    device = broker.client(will=(f"{base()}/status", "gone", True)).connect()
    device.publish(f"{base()}/health", "first")
    device.close()
    again = broker.client().connect()
    assert [m.payload for m in arrived_after(operator, again, f"{base()}/health")] == [b"first"]


def test_will_on_silence(broker: RunningBroker) -> None:
    """A client that says nothing for one and a half keepalives is taken for dead."""
    operator = broker.operator()
    device = broker.client(will=(f"{base()}/status", "gone", True), keepalive_s=1).connect()
    device.freeze()
    operator.wait_for(f"{base()}/status")


def test_will_beyond_the_own_topics(broker: RunningBroker) -> None:
    """A will on another's topic reaches nobody; the embedded broker refuses the CONNECT."""
    operator = broker.operator()
    bad = broker.client(will=(f"{base('node-2')}/status", "forged", True))
    if broker.kind == "amqtt":
        with pytest.raises(Refused, match="Not authorized"):
            bad.connect()
    else:
        bad.connect().drop()
    device = broker.client().connect()
    assert arrived_after(operator, device, f"{base()}/telemetry") == []


def test_take_over(broker: RunningBroker) -> None:
    """A second connection of a client ends the first, whose will comes before anything new."""
    operator = broker.operator()
    will = (f"{base()}/status", "gone", True)
    for clean_session in (True, False):
        operator.messages.clear()
        old = broker.client(will=will, clean_session=clean_session).connect()
        old.subscribe(f"{base()}/commands")
        new = broker.client(will=will, clean_session=clean_session).connect()
        old.wait_closed()
        new.subscribe(f"{base()}/commands")
        new.publish(f"{base()}/status", "online", retain=True)
        operator.wait_for(f"{base()}/status", lambda message: message.payload == b"online")
        said = [message.payload for message in operator.seen(f"{base()}/status")]
        if broker.kind == "mosquitto" and not clean_session:
            said.insert(0, b"gone")  # where the session goes on, mosquitto drops the old will
        assert said == [b"gone", b"online"]
        operator.publish(f"{base()}/commands", "heard")
        new.wait_for(f"{base()}/commands")
        assert not new.closed
        new.close()


def test_session_keeps_what_comes_meanwhile(broker: RunningBroker) -> None:
    """A Command for a device that is away waits in its session, and comes as not retained."""
    operator = broker.operator()
    device = broker.client(clean_session=False).connect()
    device.subscribe(f"{base()}/commands")
    device.close()
    operator.publish(f"{base()}/commands", "while away")
    back = broker.client(clean_session=False)
    assert back.connect().session_present is True
    assert back.wait_for(f"{base()}/commands").retain is False
    back.close()
    assert broker.client(clean_session=True).connect().session_present is False


def test_clean_session_is_forgotten(broker: RunningBroker) -> None:
    """After a clean session there is none to resume, however fast the client is back."""
    device = broker.client(clean_session=True).connect()
    device.subscribe(f"{base()}/commands")
    device.close()
    assert broker.client(clean_session=False).connect().session_present is False


def test_message_does_not_overtake_the_subscription_before_it(broker: RunningBroker) -> None:
    """Who subscribes and publishes in one breath hears it, though what is retained comes first."""
    status, commands, backlog = (
        f"{base()}/{each}" for each in ("status", "commands", "telemetry/backlog")
    )
    device = broker.client().connect()
    device.publish(status, "{}", retain=True)
    device.ask_and_say([status, commands, backlog], backlog, "{}")
    device.wait_for(backlog)


def test_retained_comes_with_the_subscription_alone(broker: RunningBroker) -> None:
    """A client that never asked for it is given no retained Message when it connects."""
    operator = broker.operator()
    device = broker.client().connect()
    device.publish(f"{base()}/status", "online", retain=True)
    operator.wait_for(f"{base()}/status")
    device.close()
    again = broker.client().connect()
    assert again.subscribe(f"{base()}/commands") == 1
    operator.publish(f"{base()}/commands", "a Command")
    again.wait_for(f"{base()}/commands")
    assert again.seen(f"{base()}/status") == []
    again.subscribe(f"{base()}/status")
    assert again.wait_for(f"{base()}/status").retain is True


def test_right_password(broker: RunningBroker) -> None:
    """A device with certificate, username and password gets in, and to its topics."""
    operator = broker.operator()
    device = broker.client(username="node-1", password=PASSWORD).connect()
    device.publish(f"{base()}/telemetry", "logged in")
    operator.wait_for(f"{base()}/telemetry")


@pytest.mark.parametrize("password", ["wrong", "", PASSWORD + " ", None])
def test_wrong_password(broker: RunningBroker, password: str | None) -> None:
    """The certificate alone does not do where a password is wrong or missing."""
    with pytest.raises(Refused, match=r"Bad user name or password|Not authorized"):
        broker.client(username="node-1", password=password).connect()


def test_password_without_certificate(broker: RunningBroker) -> None:
    """The right password opens nothing without a certificate."""
    with pytest.raises(Refused, match="closed"):
        broker.client(certificate=False, username="node-1", password=PASSWORD).connect()


@amqtt_only
def test_password_of_another(broker: RunningBroker) -> None:
    """The right password of a device with the certificate of another is refused."""
    with pytest.raises(Refused, match="Bad user name or password"):
        broker.client("node-2", username="node-1", password=PASSWORD).connect()


def test_restart_on_the_same_port(broker: RunningBroker) -> None:
    """A broker that goes and comes back is found at the same place, by the same certificates."""
    device = broker.client().connect()
    port = broker.port
    broker.restart()
    device.wait_closed()
    assert broker.port == port
    operator = broker.operator()
    broker.client().connect().publish(f"{base()}/telemetry", "back")
    operator.wait_for(f"{base()}/telemetry")


@amqtt_only
def test_stop_cuts_everybody(broker: RunningBroker) -> None:
    """A broker that stops ends every connection, one in its TLS handshake too, without waiting."""
    silent = broker.client().connect()
    silent.freeze()
    with socket.create_connection((broker.host, broker.port)) as stalled:
        broker.client("node-2").connect()  # so the stalled one was accepted before
        broker.stop()
        stalled.settimeout(TIMEOUT_S)
        assert stalled.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((broker.host, broker.port))


@amqtt_only
@pytest.mark.parametrize(
    "first",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x10\xff\xff\xff\xff\x7f",
        b"\x10" + b"\xff\xff\x7f" + bytes(100),
        b"\x10\x02\x00\x04",
        b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\xff\xff",
        b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04\xff\xfe\xfd\xfc",
        b"",
    ],
)
def test_no_connect(broker: RunningBroker, first: bytes) -> None:
    """Bytes that are no CONNECT get the connection closed, and the broker goes on."""
    with socket.create_connection((broker.host, broker.plain_port)) as raw:
        raw.sendall(first)
        raw.shutdown(socket.SHUT_WR)
        # amqtt's decoder takes a CONNECT that is cut short for one without a client id.
        assert raw.makefile("rb").read() in (b"", b"\x20\x02\x00\x05")
    broker.client().connect()


@amqtt_only
def test_mqtt_5(broker: RunningBroker) -> None:
    """A CONNECT in MQTT 5 is answered: unacceptable protocol version."""
    body = b"\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x06node-1"
    with socket.create_connection((broker.host, broker.plain_port)) as raw:
        raw.sendall(struct.pack(">BB", 0x10, len(body)) + body)
        assert raw.recv(4) == b"\x20\x02\x00\x01"


def test_mqtt_5_client(broker: RunningBroker) -> None:
    """An MQTT 5 client is refused by the embedded broker, and not left waiting."""
    client = broker.client(protocol=mqtt.MQTTv5)
    if broker.kind == "amqtt":
        with pytest.raises(Refused):
            client.connect()
    else:
        client.connect()
