"""`limpet doctor` at brokers that run: one that is right, and others, each wrong in many ways."""

from __future__ import annotations

import json
import re
import resource
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread

import pytest
from limpet.brokers.embedded.broker import LOOPBACK
from limpet.brokers.setup import open_setup
from limpet.doctor.checks import examine
from limpet.doctor.facts import Facts
from limpet.doctor.finding import Finding
from limpet.doctor.gathering import Asked, Unseen, gathered
from limpet.doctor.looks import visits
from limpet.identity.provisioning import Setup
from limpet.operating.where import Where
from support.brokers.codec import Packet, puback, publish, suback
from support.brokers.mqtt_client import Client
from support.brokers.running import base, fields
from support.brokers.scripted_broker import ScriptedBroker, server_context
from support.brokers.wrong import WrongMosquitto
from support.fleets import fleet
from support.ports import closed_port, standing_ports

SECONDS = 2.0
GONE = "limpet/home/desk/climate/gone"


@pytest.fixture
def ports() -> tuple[int, int]:
    """One with TLS, one without."""
    first, second = standing_ports(2)
    return first, second


@pytest.fixture
def own(tmp_path: Path, ports: tuple[int, int]) -> Setup:
    """A fleet of two devices, which look for their broker where it is."""
    made = open_setup(fleet(tmp_path / "fleet"))
    for name in ("node-1", "node-2"):
        made.device(fields(name) | {"port": ports[0]})
    return made


def look(
    setup: Setup,
    plain_port: int,
    device: str = "",
    port: int | None = None,
    log: Path | None = None,
) -> tuple[Facts, dict[str, Finding], list[Unseen]]:
    """Look at the fleet's broker; return what was seen, what is wrong by the check's name, and what
    was not seen.
    """
    where = Where(setup.layout.root, None, port).settled()
    facts, unseen = gathered(Asked(where, device, plain_port, SECONDS, log))
    unseen = [each for each in unseen if "--log FILE" not in each.why]
    return facts, {each.check: each for each in examine(facts)}, unseen


def test_a_broker_that_is_right(own: Setup, ports: tuple[int, int]) -> None:
    """Nothing but that its devices are not there; and nothing is left behind, nothing taken away.

    node-1 has a session, with a Command in it; node-3 is revoked.
    """
    own.device(fields("node-3") | {"port": ports[0]})
    own.revoke("node-3")
    broker = WrongMosquitto(own, ports)
    broker.start()
    try:
        waiting = broker.client("node-1", clean_session=False).connect()
        waiting.subscribe(f"{base()}/commands")
        waiting.drop()
        early = broker.operator("limpet/#")
        early.publish(f"{base()}/commands", '{"id":"a"}')
        facts, found, unseen = look(own, ports[1])
        assert set(found) == {"offline"}, found
        assert unseen == []
        visits = {each.name: each for each in facts.visits}
        assert visits["node-1"].heard
        assert visits["node-2"].heard
        assert visits["node-1"].read == (f"{base()}/commands",)
        assert not visits["node-3"].admitted
        assert facts.process
        assert facts.process.pid == broker.pid
        assert facts.returned == 1
        late = broker.operator("limpet/#")
        late.publish(f"{base()}/commands", '{"id":"b"}')
        late.wait_for(f"{base()}/commands")
        assert [each.topic for each in late.messages] == [f"{base()}/commands"]  # none retained
        again = broker.client("node-1", clean_session=False).connect()
        assert again.session_present
        again.wait_for(f"{base()}/commands", lambda each: each.payload == b'{"id":"b"}')
        assert [each.payload for each in again.messages] == [b'{"id":"a"}', b'{"id":"b"}']
        second = broker.client("node-2", clean_session=False).connect()
        assert not second.session_present
    finally:
        broker.close()


@pytest.fixture
def wrong(own: Setup, ports: tuple[int, int], tmp_path: Path) -> Iterator[WrongMosquitto]:
    """A mosquitto that lets in everybody and knows no rules, with a certificate that ends soon."""
    ending = own.authority.server([LOOPBACK], valid=timedelta(days=20))
    (tmp_path / "crt").write_bytes(ending.pem())
    (tmp_path / "key").write_bytes(ending.key_pem())
    layout = own.layout
    changes = {
        "allow_anonymous false": "allow_anonymous true",
        "use_identity_as_username true": "",
        "use_username_as_clientid true": "",
        "require_certificate true": "require_certificate false\nciphers DEFAULT:@SECLEVEL=0",
        "tls_version tlsv1.2": "tls_version tlsv1.1",
        f"acl_file {layout.broker}/acl": "",
        f"certfile {layout.server_certificate}": f"certfile {tmp_path / 'crt'}",
        f"keyfile {layout.server_key}": f"keyfile {tmp_path / 'key'}",
        f"crlfile {layout.crl}": "",
    }
    plain = f"\nlistener {ports[1]} {LOOPBACK}\nlog_type subscribe\n"
    broker = WrongMosquitto(own, ports, changes, acl="# of another day\n", more=plain)
    broker.start()
    yield broker
    broker.close()


class Chatter:
    """Somebody who may say anything, and does so again and again, without TLS."""

    def __init__(self, port: int) -> None:
        self._client = Client((LOOPBACK, port), "chatter", None, None).connect()
        self._ended = Event()
        self._thread = Thread(target=self._chat)

    def _chat(self) -> None:
        said = 0
        while not self._ended.wait(0.2):
            said += 1
            reading = {"v": 1, "boot": 7 - said % 2, "seq": said, "ts": int(time.time())}
            self._client.publish(f"{base()}/telemetry", reading)
            late = reading | {"boot": 1, "ts": int(time.time()) - 300}
            self._client.publish(f"{base('node-4')}/telemetry", late)
            self._client.publish(f"{GONE}/telemetry", reading)
            self._client.publish("/limpet/home", "{}")
            self._client.publish(f"{base()}/a/b/c/d", "{}")

    def __enter__(self) -> Chatter:
        self._client.publish(f"{GONE}/status", '{"status":"online"}', retain=True)
        alert = {"v": 1, "status": "online", "alerts": ["no-time"]}
        self._client.publish(f"{base('node-4')}/status", alert, retain=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._client.close()


def test_a_broker_that_is_wrong_in_most_ways(
    own: Setup, ports: tuple[int, int], wrong: WrongMosquitto, tmp_path: Path
) -> None:
    """Each is found. node-1 are two; node-4 has a clock that is wrong."""
    own.device(fields("node-4") | {"port": ports[0], "keepalive_s": 900})
    own.device(fields("node-5") | {"port": ports[0], "server_hostname": "broker.lan"})
    own.device(fields("node-6") | {"port": 1})
    own.device(fields("node-7") | {"port": ports[0]})
    own.revoke("node-7")
    (own.layout.device("node-6") / "key.der").write_bytes(b"")
    (own.layout.broker / "acl").write_text("# of another day\n")
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.prlimit(wrong.pid, resource.RLIMIT_NOFILE, (100, limit))
    grafana = [Client((LOOPBACK, ports[1]), "grafana", None, None, keepalive_s=0) for _ in range(6)]
    for each in grafana:
        each.connect()
    grafana[-1].subscribe("limpet/#", 0)
    until = time.monotonic() + 60
    while not any(line.rstrip().endswith(" grafana 0 limpet/#") for line in wrong.log):
        assert time.monotonic() < until, "\n".join(wrong.log[-30:])
        time.sleep(0.05)
    (tmp_path / "log").write_text("\n".join(wrong.log))
    with Chatter(ports[1]):
        _, found, unseen = look(own, ports[1], log=tmp_path / "log")
    for each in grafana:
        each.close()
    assert set(found) == {
        "anonymous", "plaintext", "old-tls", "stranger", "foreign-read", "foreign-write", "revoked",
        "take-over", "certificate-end", "certificate-old", "certificate-name", "broker-files",
        "files", "folder", "keepalive", "other-broker", "two-sessions", "unknown-device", "clock",
        "slashes", "leftovers", "offline", "alerts", "taken", "qos-asked",
    }, (found, unseen)  # fmt: skip
    assert [found[each].level for each in ("anonymous", "two-sessions", "revoked")] == [
        "critical"
    ] * 3
    assert "node-4" in found["clock"].cause


def test_a_broker_with_older_files(
    own: Setup, ports: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was started before node-3 and node-4 were made and node-2 was revoked: it delivers nothing
    of the two, which is said of the first, and lets in the other. A restart puts it right.
    """
    monkeypatch.setattr(visits, "FOREIGN_S", 0.3)  # its rules are not what this is about
    broker = WrongMosquitto(own, ports)
    broker.start()
    try:
        for name in ("node-3", "node-4"):
            own.device(fields(name) | {"port": ports[0]})
        own.revoke("node-2")
        facts, found, unseen = look(own, ports[1])
        assert set(found) == {"unheard", "revoked", "offline"}, found
        assert "node-3" in found["unheard"].cause
        assert [each.name for each in facts.visits if each.asked] == ["node-1", "node-3"]
        assert [each.what for each in unseen] == ["what node-4 may"]
        broker.stop()
        broker.start()
        _, found, _ = look(own, ports[1], "node-3")
        assert set(found) == {"offline"}
    finally:
        broker.close()


def test_a_device_that_is_not_let_in(own: Setup, ports: tuple[int, int]) -> None:
    """It has the certificate of before it was revoked, and was taken back with another one."""
    folder = own.layout.device("node-2")
    before = {name: (folder / name).read_bytes() for name in ("cert.der", "key.der")}
    own.revoke("node-2")
    own.renew("node-2")
    for name, data in before.items():
        (folder / name).write_bytes(data)
    broker = WrongMosquitto(own, ports)
    broker.start()
    try:
        _, found, _ = look(own, ports[1], "node-2")
    finally:
        broker.close()
    assert set(found) == {"refused", "offline"}
    assert "does not let node-2 in" in found["refused"].cause


def scripted(setup: Setup, folder: Path, name: str = LOOPBACK, days: float = 400) -> ScriptedBroker:
    """A broker that grants and delivers with QoS 0, and has a clock of its own."""
    late = json.dumps({"v": 1, "ts": int(time.time()) - 3600}).encode()

    def answer(packet: Packet) -> bytes | None:
        if packet.name == "SUBSCRIBE":
            return suback(packet, 0) + publish("limpet/time", late)
        if packet.name == "PUBLISH" and packet.qos:
            return puback(packet) + publish(packet.topic, packet.payload)
        return None

    context = server_context(folder, setup.authority, name, timedelta(days=days))
    return ScriptedBroker(answer, context)


def test_a_broker_that_lowers_qos(
    own: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Granted and delivered with 0; and its clock is an hour behind."""
    monkeypatch.setattr(visits, "HEARD_S", 0.1)  # it delivers to nobody but who has said it
    monkeypatch.setattr(visits, "FOREIGN_S", 0.1)
    with scripted(own, tmp_path) as broker:
        _, found, _ = look(own, closed_port(), port=broker.port)
    assert "grants QoS 0" in found["qos"].cause
    assert re.search(r"3,6\d\d s behind this", found["clock"].cause)


def test_a_certificate_that_nobody_takes(
    own: Setup, tmp_path: Path, ports: tuple[int, int]
) -> None:
    """For another name, and one that has ended: the cause is told beside the step that fails."""
    with scripted(own, tmp_path, "another.lan") as broker:
        own.device(fields("node-3") | {"port": broker.port})
        _, found, unseen = look(own, closed_port(), port=broker.port)
        assert {"down", "certificate-name"} <= set(found), found
        assert "another.lan" in found["certificate-name"].cause
        assert [each.why for each in unseen] != []
    with scripted(own, tmp_path, days=-1) as broker:
        _, found, _ = look(own, closed_port(), port=broker.port)
    assert {"down", "certificate-end"} <= set(found)
    assert found["certificate-end"].level == "critical"
