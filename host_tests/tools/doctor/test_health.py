"""`limpet health`: brokers that work, and those that do not, each in its own way."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from limpet.brokers import capacity, rules
from limpet.brokers.setup import open_setup
from limpet.doctor import figures, health, probe
from limpet.doctor.live import parsed
from limpet.doctor.probe import STEPS, Probe, Seen
from limpet.identity.authority import SERVER_VALID, Authority
from limpet.identity.layout import Layout
from limpet.identity.provisioning import Setup
from limpet.operating.where import Where
from support.brokers.codec import Packet, suback
from support.brokers.kinds import of_kind
from support.brokers.running import RunningBroker, fields
from support.brokers.scripted_broker import Answer, Closed, ScriptedBroker, server_context
from support.fleets import fleet
from support.ports import closed_port
from support.tool import limpet

LONG_S = 60.0
# So long a broker is given here that will not answer; enough for the steps before.
SHORT_S = 2.5
DAY_S = 24 * 3600


def look(
    setup: Setup, port: int, limit_s: float = LONG_S, host: str | None = None, name: str = ""
) -> Seen:
    """Look at the broker on `port`."""
    where = Where(setup.layout.root, host, port, name or None)
    return Probe(where.settled()).look(limit_s)


def failed(seen: Seen) -> tuple[str, str]:
    """Return the step that failed, and why."""
    assert seen.failed
    step, problem = seen.failed
    assert problem.remedy
    assert list(seen.took) == list(STEPS[: STEPS.index(step)]), problem.cause
    return step, problem.cause


@pytest.mark.parametrize("kind", ["amqtt", "mosquitto"])
def test_a_broker_that_works(setup: Setup, kind: str) -> None:
    """Each step is done, and mosquitto says of itself what is judged; nothing is retained."""
    running = of_kind(kind, setup)
    running.start()
    try:
        witness = running.operator("limpet/#")
        seen = look(setup, running.port)
        assert seen.failed is None
        assert set(seen.took) == set(STEPS)
        assert seen.server_ends
        assert seen.own_ends
        assert seen.server_ends > time.time()
        level = {each.name: each.level for each in _judged(setup, seen)}
        names = ("connections", "memory", "retained", "in flight", "dropped", "Messages")
        assert level == (dict.fromkeys(names, "ok") if kind == "mosquitto" else {})
        limits = health.limits_of(setup.layout)
        assert health.reasons(seen, limits, time.time(), LONG_S) == []
        witness.close()
        late = running.operator("limpet/#")
        assert look(setup, running.port).failed is None  # by now it would have come
        late.close()
    finally:
        running.close()


def _judged(setup: Setup, seen: Seen) -> list[figures.Judged]:
    return figures.judged(parsed.of_sys(seen.said), health.limits_of(setup.layout))


def test_its_topic_is_no_devices(setup: Setup) -> None:
    """Operators may write it anyway, and no device may have the name that it carries."""
    asking = Probe(Where(setup.layout.root, None, 1).settled())
    layout = setup.layout
    grant = rules.grant("operator-2", layout.bases(), layout.consumers())
    assert grant
    assert grant.may_write(asking.topic)
    assert grant.may_read(asking.topic)
    assert asking.topic.split("/")[4] in layout.consumers()
    for device in layout.bases():
        own = rules.grant(device, layout.bases(), layout.consumers())
        assert own
        assert not own.may_read(asking.topic)
    asking._client.close()


def test_one_broker_is_asked(
    broker: RunningBroker,
    setup: Setup,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of several the first, whose state is what is asked for; the others are said."""
    monkeypatch.setattr(probe.Probe.look, "__defaults__", (LONG_S,))
    made = open_setup(fleet(tmp_path / "fleet"))
    more = [f"127.0.0.1:{broker.port}"]
    made.device(fields("node-1") | {"port": 1, "more_brokers": more})
    assert health.health(fleet=made.layout.root) == health.CODES["down"]
    found = capsys.readouterr()
    assert found.out.startswith("127.0.0.1:1 is down\n")
    assert f"limpet health 127.0.0.1 --port {broker.port}\n" in found.err


def test_the_command(
    broker: RunningBroker,
    setup: Setup,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Text and JSON say the same, and the exit code too."""
    monkeypatch.setattr(probe.Probe.look, "__defaults__", (LONG_S,))
    root = setup.layout.root
    code = health.health(port=broker.port, fleet=root, slow=LONG_S)
    text = capsys.readouterr().out
    assert (code, text.splitlines()[0]) == (0, f"127.0.0.1:{broker.port} is healthy")
    assert [line.split("  ")[1] for line in text.splitlines()[1:]] == list(STEPS)
    assert health.health(port=broker.port, fleet=root, slow=1e-6, as_json=True) == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["state"], said["failed"]) == ("degraded", None)
    assert len(said["reasons"]) == len(STEPS)
    assert all(each["remedy"] for each in said["reasons"])


def test_as_a_process(setup: Setup) -> None:
    """Nobody listens: that is exit code 2, with cause and remedy; twice is the same."""
    port = str(closed_port())
    for _ in range(2):
        done = limpet("health", "--port", port, "--fleet", setup.layout.root)
        assert (done.returncode, done.stderr) == (2, "")
        assert "is down" in done.stdout
        assert "Connection refused" in done.stdout
        assert "name the broker that is meant" in done.stdout


def test_what_cannot_be_asked(tmp_path: Path) -> None:
    """No fleet, and a fleet without a device: 3, and nothing on standard output."""
    for root in (tmp_path / "none", fleet(tmp_path / "empty")):
        done = limpet("health", "--fleet", root)
        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr.startswith("limpet: ")


def test_nobody_is_there(setup: Setup) -> None:
    """Refused, and a name that is none."""
    step, cause = failed(look(setup, closed_port()))
    assert (step, "Connection refused" in cause) == ("TCP", True)
    step, cause = failed(look(setup, 1, host="a" * 64))
    assert (step, cause) == ("name", f"No host is called {'a' * 64}.")


def test_a_host_that_swallows_packets(setup: Setup) -> None:
    """It ends in time, and says that not even a refusal came."""
    with _full() as port:
        began = time.monotonic()
        step, cause = failed(look(setup, port, SHORT_S))
        assert time.monotonic() - began < SHORT_S + 5
    assert step == "TCP"
    assert "not even a refusal" in cause


@contextlib.contextmanager
def _full() -> Iterator[int]:
    """A port whose queue is full: the kernel drops who comes, as a firewall does."""
    with contextlib.ExitStack() as held:
        listener = held.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            caller = held.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_a_port_that_says_nothing(setup: Setup) -> None:
    """It takes the connection, and no more."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        step, cause = failed(look(setup, listener.getsockname()[1], SHORT_S))
    assert step == "TLS"
    assert "does not answer TLS" in cause


def test_a_port_without_tls(setup: Setup, broker: RunningBroker) -> None:
    """A plain one of MQTT's is told at once."""
    step, cause = failed(look(setup, broker.plain_port))
    assert step == "TLS"
    assert "All steps have" not in cause


@pytest.mark.parametrize(
    ("name", "step", "words"),
    [
        ("CONNECT", "login", "does not greet"),
        ("SUBSCRIBE", "subscribe", "does not answer the subscription"),
        ("PUBLISH", "publish", "does not acknowledge"),
        ("", "round trip", "did not deliver"),
    ],
)
def test_a_broker_that_falls_silent(
    setup: Setup, tmp_path: Path, name: str, step: str, words: str
) -> None:
    """Whichever packet it does not answer, that step is named; the last one routes nothing."""
    with _scripted(setup, tmp_path, lambda p: b"" if p.name == name else None) as wrong:
        found, cause = failed(look(setup, wrong.port, SHORT_S))
    assert (found, words in cause) == (step, True), cause


@pytest.mark.parametrize("name", ["CONNECT", "SUBSCRIBE", "PUBLISH"])
def test_a_broker_that_hangs_up(setup: Setup, tmp_path: Path, name: str) -> None:
    """That is told at once, with the step."""

    def answer(packet: Packet) -> bytes | None:
        if packet.name == name:
            raise Closed
        return None

    with _scripted(setup, tmp_path, answer) as wrong:
        step, cause = failed(look(setup, wrong.port))
    assert step == {"CONNECT": "login"}.get(name, name.lower())
    assert "All steps have" not in cause


def test_a_broker_that_refuses(setup: Setup, tmp_path: Path) -> None:
    """A login, and a subscription."""
    with _scripted(setup, tmp_path, lambda p: b"\x20\2\0\5") as wrong:
        step, cause = failed(look(setup, wrong.port))
    assert (step, "Not authorized" in cause) == ("login", True), cause

    def refused(packet: Packet) -> bytes | None:
        return suback(packet, 0x80) if packet.name == "SUBSCRIBE" else None

    with _scripted(setup, tmp_path, refused) as wrong:
        step, cause = failed(look(setup, wrong.port))
    assert (step, "refuses the subscription" in cause) == ("subscribe", True), cause


def test_a_certificate_that_is_none_of_ours(
    setup: Setup, foreign: Authority, tmp_path: Path
) -> None:
    """Of another CA, and for another name: at the step TLS."""
    with ScriptedBroker(context=server_context(tmp_path, foreign)) as wrong:
        step, cause = failed(look(setup, wrong.port))
        assert (step, "is refused" in cause) == ("TLS", True), cause
    with _scripted(setup, tmp_path, lambda p: None) as wrong:
        step, cause = failed(look(setup, wrong.port, name="another.example"))
        assert (step, "another.example" in cause) == ("TLS", True), cause


def _scripted(
    setup: Setup, folder: Path, answer: Answer, valid: timedelta = SERVER_VALID
) -> ScriptedBroker:
    context = server_context(folder, setup.authority, valid=valid)
    return ScriptedBroker(answer, context)


def test_a_certificate_near_its_end_is_told() -> None:
    """29 days before it, of either side; not 31."""
    limits = capacity.limits(50)
    now = 1_780_000_000.0
    good = Seen(server_ends=now + 31 * DAY_S, own_ends=now + 31 * DAY_S)
    assert health.reasons(good, limits, now) == []
    near = Seen(name="operator-2", server_ends=now + 29 * DAY_S, own_ends=now + 29.5 * DAY_S)
    causes = [each.cause for each in health.reasons(near, limits, now)]
    assert causes == [
        "the broker's certificate ends in 29 days",
        "the certificate of operator-2 ends in 29 days",
    ]


def test_slow_steps_and_full_brokers_are_told() -> None:
    """A step above a second; connections or memory over 80 %."""
    limits = capacity.limits(50)
    said = {
        parsed.CONNECTED: str(int(limits.connections * 0.82) + 1).encode(),
        parsed.MEMORY: str(int(limits.memory_bytes * 0.79)).encode(),
    }
    seen = Seen(took={"name": 0.9, "TLS": 1.5}, said=said)
    causes = [each.cause for each in health.reasons(seen, limits, 0.0)]
    assert causes == ["TLS took 1.5 s", "connections 55 of 67: over 80 %"]


@pytest.mark.parametrize("payload", [b"", b"nan", b"-1", b"1e9", "٣".encode(), b"9" * 400, b"\xff"])
def test_figures_that_are_none(payload: bytes) -> None:
    """A broker may say anything below $SYS."""
    assert (
        figures.judged(parsed.of_sys(dict.fromkeys(parsed.WANTED, payload)), capacity.limits(1))
        == []
    )


@pytest.mark.parametrize(
    ("name", "topic", "levels"),
    [
        ("connections", parsed.CONNECTED, (53, 54, 63, 64)),
        ("retained", parsed.RETAINED, (99_999, 100_000, 499_999, 500_000)),
        ("in flight", parsed.STORED, (9_999, 10_000, 49_999, 50_000)),
        ("dropped", parsed.DROPPED, (9, 11, 99, 102)),
    ],
)
def test_levels(name: str, topic: str, levels: tuple[int, int, int, int]) -> None:
    """Each figure just below and at its warning, and at what is critical."""
    found = []
    for value in levels:
        said = {parsed.SENT: b"9990"} | {topic: str(value).encode()}
        found += [
            each.level
            for each in figures.judged(parsed.of_sys(said), capacity.limits(50))
            if each.name == name
        ]
    assert found == ["ok", "warning", "warning", "critical"]


def test_whose_retained_messages_count() -> None:
    """mosquitto counts what it says of itself, and that is said; NATS has a stream for it alone."""
    stream = {"name": "$MQTT_rmsgs", "state": {"messages": 54}}
    streams = {"account_details": [{"stream_detail": [stream]}]}
    for said, note in (
        (
            parsed.of_sys({parsed.RETAINED: b"54"}),
            "; what it says of itself below $SYS is among them",
        ),
        (parsed.of_nats({}, streams, {}), ""),
    ):
        words = [each.words() for each in figures.judged(said, capacity.limits(50))]
        assert f"retained 54{note}" in words


def test_limits_follow_what_was_written(tmp_path: Path) -> None:
    """A fleet without files has those that it would get."""
    root = fleet(tmp_path / "fleet")
    assert health.limits_of(Layout(root)) == capacity.limits(50, 2)
