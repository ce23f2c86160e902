"""What NATS, RabbitMQ and HAProxy are told: rights in their own spelling, no more and no less."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from limpet.brokers import capacity
from limpet.brokers.haproxy import renderer as haproxy
from limpet.brokers.haproxy.renderer import Server
from limpet.brokers.nats import renderer as nats
from limpet.brokers.nats.renderer import Member
from limpet.brokers.plan import Plan, made_from
from limpet.brokers.rabbitmq import renderer as rabbitmq
from limpet.brokers.rules import covers

FOLDER = Path("/srv/limpet")
BASES = {"node-1": "limpet/home/desk/climate/node-1", "pump": "farm/south/well/water/pump"}


@pytest.fixture
def plan() -> Plan:
    """Return a plan with two devices in two organisations, an operator and a reader."""
    return Plan(
        folder=FOLDER,
        listen="127.0.0.1",
        port=8883,
        user="limpet",
        ca=FOLDER / "ca.crt",
        crl=FOLDER / "crl.pem",
        certificate=FOLDER / "server.crt",
        key=FOLDER / "server.key",
        password_file=FOLDER / "passwords",
        passwords=False,
        bases=BASES,
        consumers={"operator": "operate", "reader": "read"},
        limits=capacity.limits(2),
    )


def filters() -> Iterator[str]:
    """Yield all filters of up to three levels of two words and both wildcards."""
    for depth in (1, 2, 3):
        for parts in itertools.product(("a", "b", "+", "#"), repeat=depth):
            if "#" not in parts[:-1]:
                yield "/".join(parts)


def test_rabbitmq_expression_covers_what_the_rules_cover() -> None:
    """For each own filter and each wanted one: the expression matches where the rules allow it."""
    for own in filters():
        pattern = re.compile(rabbitmq.expression([own]))
        for wanted in filters():
            spelt = wanted.replace("/", ".").replace("+", "*")
            assert bool(pattern.search(spelt)) is covers(own, wanted), (own, wanted)


def test_rabbitmq_expression_of_nothing() -> None:
    """Who may write nothing has an expression that matches no topic; figures are no topics."""
    for own in ([], ["$SYS/#"]):
        assert not re.search(rabbitmq.expression(own), "limpet.home")
        assert not re.search(rabbitmq.expression(own), "$SYS.broker")


def test_rabbitmq_users_have_no_password_and_their_own_queues(plan: Plan) -> None:
    """One user for each client, none else; a queue is its client's alone."""
    said = json.loads(rabbitmq.render(plan)[rabbitmq.DEFINITIONS])
    names = ["node-1", "pump", "operator", "reader"]
    assert [each["name"] for each in said["users"]] == names
    assert {each["password_hash"] for each in said["users"]} == {""}
    assert not any(each["tags"] for each in said["users"])
    for each in said["permissions"]:
        may = {name for name in names if re.search(each["read"], _queue(name))}
        assert may == {each["user"]}
        assert not re.search(each["configure"], "amq.topic")
        assert re.search(each["write"], "amq.topic")
    (reader,) = (each for each in said["topic_permissions"] if each["user"] == "reader")
    assert reader["write"] == "^$"


def _queue(name: str) -> str:
    return f"mqtt-subscription-{name}qos1"


def test_rabbitmq_listens_with_tls_alone(plan: Plan) -> None:
    """No AMQP, no plain MQTT, no guest; sized by the plan."""
    files = rabbitmq.render(plan)
    lines = files[rabbitmq.CONF].splitlines()
    assert "listeners.tcp = none" in lines
    assert "mqtt.listeners.tcp = none" in lines
    assert "mqtt.listeners.ssl.1 = 127.0.0.1:8883" in lines
    assert "mqtt.allow_anonymous = false" in lines
    assert "mqtt.durable_queue_type = quorum" in lines
    assert f"connection_max = {plan.limits.connections}" in lines
    assert "{fail_if_no_peer_cert, true}" in files[rabbitmq.ADVANCED]
    assert "{crl_check, peer}" in files[rabbitmq.ADVANCED]


def test_rabbitmq_start_quotes_the_folder(plan: Plan) -> None:
    """A folder with a blank in its name is one word for the shell."""
    where = Path("/srv/my fleet")
    moved = Plan(**{**vars(plan), "folder": where, "crl": where / "crl.pem"})
    for command in rabbitmq.start(moved)[1:]:
        assert "'/srv/my fleet" in command
    assert "'/srv/my fleet/nats.conf'" in nats.start(moved)[1]


@pytest.mark.parametrize(
    ("topic_filter", "found"),
    [
        ("limpet/home/+/telemetry", ["limpet.home.*.telemetry"]),
        ("limpet/#", ["limpet", "limpet.>"]),
        ("$SYS/#", []),
    ],
)
def test_nats_subjects(topic_filter: str, found: list[str]) -> None:
    """Topics as subjects; `a/#` includes `a`; the broker's figures are not in MQTT there."""
    assert nats.subjects([topic_filter]) == found


def test_nats_users_have_rights_and_no_more(plan: Plan) -> None:
    """One user for each client, by its certificate's name; nobody may all."""
    text = nats.render(plan)[nats.CONF]
    users = re.findall(r'user: "CN=([^"]+)", allowed_connection_types: \["MQTT"\]', text)
    assert users == ["node-1", "pump", "operator", "reader"]
    allowed = re.findall(r"(?:publish|subscribe): \{ allow: \[(.*)\] \}", text)
    assert len(allowed) == 2 * len(users)
    assert all(allowed)  # an empty list would allow everything
    assert not any(re.search(r'"(>|\*\.>|\$.*)"', each) for each in allowed)
    assert text.count("verify_and_map: true") == 2
    assert "no_auth_user" not in text


def test_nats_member_knows_the_others() -> None:
    """In a cluster: the routes with their secret, and a monitor on loopback."""
    routes = ["10.0.0.1:6222", "10.0.0.2:6222"]
    text = nats.member_conf(Member("one", routes[0], routes, "c0ffee", 8222))
    assert f'include "./{nats.CONF}"' in text
    assert "server_name: one" in text
    assert 'routes: ["nats://member:c0ffee@10.0.0.1:6222", "nats://member' in text
    assert 'http: "127.0.0.1:8222"' in text


def test_files_say_what_they_were_made_from(plan: Plan) -> None:
    """So that whoever asks sees whether they are stale."""
    assert made_from(plan) in nats.render(plan)[nats.CONF]
    assert made_from(plan) in rabbitmq.render(plan)[rabbitmq.DEFINITIONS]


def test_haproxy_waits_longer_than_the_broker() -> None:
    """Above 1.5 keepalives, and each server is asked how it is."""
    servers = [Server("one", "10.0.0.1:8883", 8222), Server("two", "10.0.0.2:8883")]
    text = haproxy.conf("0.0.0.0:8883", servers, keepalive_s=60, connections=100, path="/healthz")
    (client_s,) = re.findall(r"timeout client (\d+)s", text)
    assert int(client_s) > 1.5 * 60
    assert "mode tcp" in text
    assert "server one 10.0.0.1:8883 check port 8222" in text
    assert "server two 10.0.0.2:8883 check\n" in text
    assert "httpchk GET /healthz" in text
